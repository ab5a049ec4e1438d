using System.Reflection;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchAO.Runtime.Libtorch;

/// <summary>Moves parameters in and out of <see cref="Linear"/> layers without copying, disposing or miscounting them.</summary>
/// <remarks>
/// TorchSharp's own ways do each of these: the setters of <c>weight</c> and <c>bias</c> dispose the parameter before, and the
/// public constructor of <see cref="Parameter"/> takes a tensor's handle over without taking that tensor off
/// <see cref="Tensor.TotalCount"/>, which so grows by one for ever.
/// </remarks>
public static class LinearParameters
{
    private const BindingFlags Internal = BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;

    private static readonly FieldInfo WeightField = Field("_weight");
    private static readonly FieldInfo BiasField = Field("_bias");

    private static readonly ConstructorInfo FromHandle = typeof(Parameter).GetConstructor(Internal, [typeof(nint)])
        ?? throw new MissingMethodException("TorchSharp's Parameter has no constructor over a handle; use TorchSharp 0.107.");

    private static readonly ConstructorInfo FromParameters =
        typeof(Linear).GetConstructor(Internal, [typeof(Parameter), typeof(Parameter)])
        ?? throw new MissingMethodException("TorchSharp's Linear has no constructor over parameters; use TorchSharp 0.107.");

    /// <summary>Makes a tensor a parameter.</summary>
    /// <param name="tensor">The values: no result of a recorded operation. Disposed; its storage goes on in the parameter.</param>
    /// <param name="requiresGrad">Whether the parameter collects a gradient.</param>
    /// <returns>The parameter, in no dispose scope. The caller disposes it.</returns>
    public static Parameter Adopt(Tensor tensor, bool requiresGrad)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        tensor.requires_grad = requiresGrad;
        var parameter = (Parameter)FromHandle.Invoke([LibtorchExports.Share(tensor)]);
        parameter.DetachFromDisposeScope();
        tensor.Dispose();
        return parameter;
    }

    /// <summary>Makes a layer over existing parameters.</summary>
    /// <param name="weight">The weight <c>[N, K]</c>; owned by the layer from now on.</param>
    /// <param name="bias">The bias <c>[N]</c> on the weight's device, or <see langword="null"/>; owned by the layer.</param>
    /// <returns>The layer. The caller disposes it.</returns>
    public static Linear CreateLayer(Parameter weight, Parameter? bias)
    {
        ArgumentNullException.ThrowIfNull(weight);
        var linear = (Linear)FromParameters.Invoke([weight, bias]);
        linear.to(weight.device); // moves nothing; the layer remembers where it is
        return linear;
    }

    /// <summary>Takes the weight out of a layer, which reads <see langword="null"/> until it gets another one.</summary>
    /// <returns>The weight as it was, not disposed; still registered under its name.</returns>
    public static Parameter? TakeWeight(Linear linear) => Take(linear, WeightField);

    /// <summary>Takes the bias out of a layer, which computes without from now on.</summary>
    /// <returns>The bias as it was, not disposed; still registered under its name.</returns>
    public static Parameter? TakeBias(Linear linear) => Take(linear, BiasField);

    /// <summary>Gives a layer the bias that is registered under its name back.</summary>
    public static void PutBias(Linear linear, Parameter bias)
    {
        ArgumentNullException.ThrowIfNull(linear);
        BiasField.SetValue(linear, bias);
    }

    private static Parameter? Take(Linear linear, FieldInfo field)
    {
        ArgumentNullException.ThrowIfNull(linear);
        var parameter = (Parameter?)field.GetValue(linear);
        field.SetValue(linear, null);
        return parameter;
    }

    private static FieldInfo Field(string name) => typeof(Linear).GetField(name, Internal)
        ?? throw new MissingFieldException($"TorchSharp's Linear has no field {name}; use TorchSharp 0.107.");
}
