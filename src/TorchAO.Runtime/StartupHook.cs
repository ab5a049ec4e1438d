using TorchAO.Runtime.Libtorch;

/// <summary>Started by the host before <c>Main</c>, because the first touch of TorchSharp may be in a user's static field.</summary>
/// <remarks>The runtime finds this type by its bare name, so it can have no namespace.</remarks>
internal static class StartupHook
{
    public static void Initialize() => NativeLoader.EnsureLoaded();
}
