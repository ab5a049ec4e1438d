using TorchAO.Lifecycle;
using TorchSharp;
using static TorchSharp.torch;

namespace TorchAO.Checkpoints;

/// <summary>Runs a model on a stored input, and says how far an output is from the stored one.</summary>
internal static class ModelProbe
{
    /// <summary>Runs a model in evaluation mode, without gradients; the modes of its modules are as before afterwards.</summary>
    /// <returns>The output on the CPU. The caller disposes it.</returns>
    /// <exception cref="QuantizationException">The model does not take one tensor and give one, or gives no finite floats.</exception>
    public static Tensor Run(nn.Module model, ModelState state, Tensor input)
    {
        if (model is not nn.Module<Tensor, Tensor> function)
        {
            throw new QuantizationException(
                $"model {model.GetType().Name}: a probe needs a Module<Tensor, Tensor>; save and load without a probe, and compare " +
                "outputs yourself.");
        }

        nn.Module[] modules = [model, .. state.Tree.Modules.Select(entry => entry.Module), .. state.Tree.Sites.Select(site => site.Layer)];
        bool[] modes = [.. modules.Select(module => module.training)];
        using IDisposable noGradient = no_grad();
        try
        {
            foreach (nn.Module module in modules)
            {
                module.eval();
            }

            using DisposeScope scope = NewDisposeScope();
            Tensor output = function.call(input);
            return output.detach().cpu().clone().MoveToOuterDisposeScope();
        }
        finally
        {
            for (int i = 0; i < modules.Length; i++)
            {
                modules[i].train(modes[i]); // a parent's mode reaches its children, which come after it
            }
        }
    }

    /// <summary>Demands of an output that it can be compared.</summary>
    public static void RequireComparable(nn.Module model, Tensor output)
    {
        using Tensor finite = output.isfinite();
        using Tensor all = finite.all();
        if (Tolerance(output.dtype, roundsActivations: false) is null || !all.item<bool>() || output.numel() == 0)
        {
            throw new QuantizationException(
                $"model {model.GetType().Name}: the probe's output is {output.dtype} [{string.Join(", ", output.shape)}], expected " +
                "finite values in Float64, Float32, Float16 or BFloat16; choose another probe.");
        }
    }

    /// <summary>Computes ‖got − expected‖ / ‖expected‖; 0 where every bit agrees, infinite where the shapes differ.</summary>
    public static double Difference(Tensor expected, Tensor got)
    {
        if (expected.dtype != got.dtype || !expected.shape.SequenceEqual(got.shape))
        {
            return double.PositiveInfinity;
        }

        using DisposeScope scope = NewDisposeScope();
        Tensor exact = expected.to(ScalarType.Float64);
        double error = (got.to(ScalarType.Float64) - exact).norm().item<double>();
        double size = exact.norm().item<double>();
        return error == 0 ? 0 : error / Math.Max(size, double.Epsilon);
    }

    /// <summary>Gets the difference that other processors and other kernels may make, by the type of the output.</summary>
    /// <remarks>
    /// All kernels accumulate in float32, so that the formats of weights do not differ here: what remains is the order of the
    /// sums, which a deep model amplifies. About a thousand roundings of the type for float32, a dozen for the 16-bit types.
    /// Where activations are rounded to codes, the last bit of an input decides ties, and a code moves by a whole step.
    /// </remarks>
    /// <param name="type">The type of the output.</param>
    /// <param name="roundsActivations">Whether a layer rounds its activations.</param>
    /// <returns>The tolerance; <see langword="null"/> for types that are not compared.</returns>
    public static double? Tolerance(ScalarType type, bool roundsActivations) => type switch
    {
        ScalarType.Float64 or ScalarType.Float32 => roundsActivations ? 2e-2 : 1e-4,
        ScalarType.Float16 => roundsActivations ? 2e-2 : 1e-2,
        ScalarType.BFloat16 => 5e-2,
        _ => null,
    };
}
