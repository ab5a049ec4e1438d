using System.Text.Json;
using TorchAO.Formats.Int4;
using TorchAO.Primitives;
using static TorchSharp.torch;

namespace TorchAO.Tests.Golden.Handlers;

/// <summary>int4 with integer zero points in a layout for which torchao looks up no such domain: here they are for all devices.</summary>
internal sealed class ZeroPointDomainHandler : IGoldenHandler
{
    public bool Handles(GoldenCase recorded) =>
        recorded.Area == "B" && recorded.Has("config") && recorded.Text("config") == "Int4WeightOnlyConfig"
        && recorded.ExpectedError is not null && recorded.Has("config_args")
        && recorded.Params.GetProperty("config_args").TryGetProperty("zero_point_domain", out JsonElement domain)
        && domain.GetString() == "INT";

    public void Run(GoldenCase recorded, GoldenRun run) => run.Accepts(() =>
    {
        long group = recorded.Params.GetProperty("config_args").GetProperty("group_size").GetInt64();
        WeightOnly.Quantize(
            new Int4WeightOnlyConfig { GroupSize = group, ZeroPointDomain = ZeroPointDomain.Integer },
            ones(recorded.Longs("shape"))).Dispose();
    });
}
