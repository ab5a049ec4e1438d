using TorchAO.Tests.Golden.Handlers;
using Xunit;

namespace TorchAO.Tests.Golden;

/// <summary>Weight-only configs: that no recorded case is left out.</summary>
public sealed class WeightOnlyTests
{
    [Fact]
    public void Every_case_of_our_configs_has_a_handler()
    {
        IGoldenHandler[] handlers =
        [
            new WeightOnlyLinearHandler(), new WeightOnlyModelHandler(), new WeightOnlyRefusalHandler(),
            new WeightOperationsHandler(), new UIntXLinearHandler(), new MistakenZeroPointHandler(),
        ];

        GoldenCase[] missing =
        [
            .. GoldenSet.Current.Cases.Where(c => WeightOnly.HasConfig(c) && !handlers.Any(h => h.Handles(c))),
        ];

        Assert.Empty(missing.Select(c => c.Id));
    }
}
