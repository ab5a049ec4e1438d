using System.Collections.Concurrent;
using System.Text;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Libtorch;

/// <summary>Any operator of libtorch by name and overload, TorchSharp's missing ones included.</summary>
/// <remarks>
/// Calls go through the full dispatcher: autograd records them and <c>no_grad</c> and <c>inference_mode</c> are respected.
/// Arguments are checked against the operator's own schema before the call, and those left out at the end get its defaults.
/// Not callable are operators that take a <c>Scalar</c> or a packed object, or give results of different types: libtorch's
/// stable interface cannot carry them. A call costs about a microsecond more than TorchSharp's own.
/// </remarks>
public sealed unsafe class Operator
{
    private static readonly ConcurrentDictionary<(string, string), Operator> Known = new();

    private readonly byte[] nameBytes;
    private readonly byte[] overloadBytes;
    private readonly OperatorSchema schema;
    private readonly int cellCount;

    private Operator(string name, string overload, OperatorSchema schema)
    {
        this.schema = schema;
        nameBytes = Encoding.UTF8.GetBytes(name + '\0');
        overloadBytes = Encoding.UTF8.GetBytes(overload + '\0');
        cellCount = Math.Max(Math.Max(schema.Parameters.Count, schema.Results.Count), 1);
    }

    /// <summary>Gets the schema as libtorch writes it, such as <c>aten::mm(Tensor self, Tensor mat2) -> Tensor</c>.</summary>
    public string Schema => schema.Text;

    /// <summary>Finds an operator; the second time at the cost of a look-up.</summary>
    /// <param name="name">The name with its namespace, such as <c>aten::_int_mm</c>.</param>
    /// <param name="overload">The overload, such as <c>out</c>; most operators have the empty one.</param>
    /// <exception cref="MissingMethodException">This libtorch has no such operator.</exception>
    /// <exception cref="PlatformNotSupportedException">Not Linux on x86-64, or a libtorch that cannot be asked.</exception>
    public static Operator Find(string name, string overload = "")
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(overload);
        return Known.GetOrAdd((name, overload), static key =>
        {
            (string name, string overload) = key;
            string text = DispatcherSchemas.Find(name, overload) ?? throw new MissingMethodException(
                $"libtorch of {NativeLoader.Report?.LibtorchFolder} has no operator {name} with overload \"{overload}\". " +
                "Check the spelling, or whether this version or build has it.");
            return new Operator(name, overload, OperatorSchema.Parse(text));
        });
    }

    /// <summary>Calls an operator that gives one tensor.</summary>
    /// <param name="arguments">The arguments in the schema's order.</param>
    /// <returns>The result. The caller disposes it, also where an in-place operator gives its own argument again.</returns>
    /// <exception cref="ArgumentException">The arguments do not fit the schema, or the operator gives something else.</exception>
    /// <exception cref="NotSupportedException">The stable interface cannot carry a type of the schema.</exception>
    /// <exception cref="InvalidOperationException">The operator failed; the message has libtorch's reason.</exception>
    public Tensor Call(params ReadOnlySpan<OperatorArgument> arguments)
    {
        if (schema.Results is not [{ Name: "Tensor", IsList: false }])
        {
            throw new ArgumentException($"{Schema} does not give one tensor; use {nameof(CallAll)}.");
        }

        return (Tensor)Invoke(arguments)[0];
    }

    /// <summary>Calls any operator.</summary>
    /// <param name="arguments">The arguments in the schema's order.</param>
    /// <returns>The results: <see cref="Tensor"/>, <see cref="Tensor"/>[], <see cref="long"/>, <see cref="double"/> or
    /// <see cref="bool"/> each. The caller disposes the tensors.</returns>
    /// <exception cref="ArgumentException">The arguments do not fit the schema.</exception>
    /// <exception cref="NotSupportedException">The stable interface cannot carry a type of the schema.</exception>
    /// <exception cref="InvalidOperationException">The operator failed; the message has libtorch's reason.</exception>
    public IReadOnlyList<object> CallAll(params ReadOnlySpan<OperatorArgument> arguments) => Invoke(arguments);

    /// <inheritdoc/>
    public override string ToString() => Schema;

    private object[] Invoke(ReadOnlySpan<OperatorArgument> arguments)
    {
        object?[] values = Complete(arguments);
        ulong* stack = stackalloc ulong[cellCount];
        if (Dispatch(values, stack) != 0)
        {
            throw new InvalidOperationException(
                $"{Schema} failed for ({string.Join(", ", arguments.ToArray())}): {ReasonOf(values)}");
        }

        object[] results = new object[schema.Results.Count];
        for (int i = 0; i < results.Length; i++)
        {
            results[i] = StableAbi.Decode(stack[i], schema.Results[i]);
        }

        return results;
    }

    // All is checked before the first cell is made: a cell that no call consumes would leak.
    private object?[] Complete(ReadOnlySpan<OperatorArgument> arguments)
    {
        RequireSupportedResults();
        if (arguments.Length > schema.Parameters.Count)
        {
            throw new ArgumentException($"{Schema} takes {schema.Parameters.Count} arguments, got {arguments.Length}.");
        }

        object?[] values = new object?[schema.Parameters.Count];
        for (int i = 0; i < values.Length; i++)
        {
            OperatorParameter parameter = schema.Parameters[i];
            bool isGiven = i < arguments.Length && arguments[i].Value is not null;
            bool isCarried = parameter.Type.IsSupported || (isGiven && StableAbi.IsEmptyList(arguments[i].Value, parameter.Type));
            if (!isCarried && (isGiven || !parameter.Type.IsOptional))
            {
                throw new NotSupportedException(
                    $"{Schema}: {parameter.Name} is a {parameter.Type}, which libtorch's stable interface cannot carry; " +
                    "use TorchSharp's own function, or an overload without it.");
            }

            if (i < arguments.Length)
            {
                values[i] = arguments[i].Value;
            }
            else if (!OperatorDefaults.TryRead(parameter, out values[i]))
            {
                throw new ArgumentException(
                    $"{Schema}: argument {parameter.Name} ({parameter.Type}) is missing; got {arguments.Length} arguments.");
            }

            if (!StableAbi.Fits(values[i], parameter.Type))
            {
                throw new ArgumentException(
                    $"{Schema}: argument {parameter.Name} is a {parameter.Type}, got " +
                    $"{(i < arguments.Length ? arguments[i].ToString() : "its default")}.");
            }
        }

        return values;
    }

    private void RequireSupportedResults()
    {
        foreach (OperatorType result in schema.Results)
        {
            bool isKnown = !result.IsOptional && result.IsSupported && result.Name != "str" && (!result.IsList || result.Name == "Tensor");

            // libtorch 2.10 converts the results' cells in reverse: harmless only where all have one type.
            if (!isKnown || result != schema.Results[0])
            {
                throw new NotSupportedException(
                    $"{Schema} gives results that libtorch's stable interface cannot carry ({string.Join(", ", schema.Results)}).");
            }
        }
    }

    private int Dispatch(object?[] values, ulong* stack)
    {
        for (int i = 0; i < values.Length; i++)
        {
            stack[i] = StableAbi.Encode(values[i], schema.Parameters[i].Type);
        }

        fixed (byte* name = nameBytes, overload = overloadBytes)
        {
            int status = LibtorchExports.CallDispatcher(name, overload, stack, LibtorchExports.AbiVersion());
            GC.KeepAlive(values);
            return status;
        }
    }

    /// <summary>Gets libtorch's reason by failing once more with standard error read; not where that would write twice.</summary>
    private string ReasonOf(object?[] values)
    {
        const string Elsewhere = "the reason is on standard error";
        if (schema.IsMutating || !OperatingSystem.IsLinux())
        {
            return Elsewhere;
        }

        int status = 0;
        string? reason = StandardErrorCapture.FirstLineDuring(() => status = Repeat(values));
        return status == 0 ? $"{Elsewhere}; a second call succeeded" : reason ?? Elsewhere;
    }

    private int Repeat(object?[] values)
    {
        ulong* stack = stackalloc ulong[cellCount];
        int status = Dispatch(values, stack);
        for (int i = 0; status == 0 && i < schema.Results.Count; i++)
        {
            object result = StableAbi.Decode(stack[i], schema.Results[i]);
            foreach (Tensor tensor in result as Tensor[] ?? (result is Tensor single ? [single] : []))
            {
                tensor.Dispose();
            }
        }

        return status;
    }
}
