using System.Globalization;
using System.Text;
using TorchAO.Formats;
using TorchAO.Lifecycle;

namespace TorchAO.Tests.Contracts;

/// <summary>Writes docs/formats.md from the catalogue and the pages of the formats.</summary>
internal static class FormatsPage
{
    public const string Path = "docs/formats.md";

    private static readonly string[] Devices = ["cpu", "cuda"];

    public static string Write(FormatCatalog catalog)
    {
        var page = new StringBuilder(
            """
            # Formats

            Made from the catalogue; `TORCHAO_UPDATE_FORMATS=1` on the contract tests makes it anew. "Memory only" says that a device has no
            fused kernel for a format: its weights are small there, but every product dequantizes them first.

            | Format | Stores | cpu | cuda |
            | --- | --- | --- | --- |

            """.ReplaceLineEndings("\n"));
        foreach (IFormat format in catalog.Formats)
        {
            page.Append(CultureInfo.InvariantCulture, $"| [{format.Name}](#{format.Name}) | {format.Summary} |");
            foreach (string device in Devices)
            {
                string kernels = string.Join(", ", KernelsOf(format, device).Select(kernel => $"`{kernel}`"));
                page.Append(CultureInfo.InvariantCulture, $" {(kernels.Length == 0 ? "memory only" : kernels)} |");
            }

            page.Append('\n');
        }

        WriteNames(page, catalog);
        foreach (IFormat format in catalog.Formats)
        {
            Write(page, catalog, format);
        }

        return page.ToString();
    }

    /// <summary>Gets the folder of a format.</summary>
    public static string Folder(IFormat format) =>
        $"src/TorchAO/Formats/{format.Handlers[0].ConfigType.Namespace!.Split('.')[^1]}";

    private static IEnumerable<string> KernelsOf(IFormat format, string device) =>
        format.Kernels.Where(kernel => kernel.Split('.').Contains(device));

    private static void WriteNames(StringBuilder page, FormatCatalog catalog)
    {
        page.Append(
            """

            ## Names of configs

            What `--quantize`, recipes and `ConfigText.Parse` take. The short name stands for the whole one, `-32` behind either for
            `group_size=32` where the config has that option; options stand in brackets: `int4wo(group_size=32, use_hqq=true)`.
            `torchao configs` lists the same.

            | Short | Whole name | With a group size | Format |
            | --- | --- | --- | --- |

            """.ReplaceLineEndings("\n"));
        foreach (ConfigListing config in ConfigListing.Of(catalog))
        {
            string brief = config.ShortName is null ? "" : $"`{config.ShortName}`";
            string grouped = config.TakesGroupSize ? $"`{config.Shortest}`" : "";
            page.Append(
                CultureInfo.InvariantCulture, $"| {brief} | `{config.Name}` | {grouped} | [{config.Format}](#{config.Format}) |\n");
        }
    }

    private static void Write(StringBuilder page, FormatCatalog catalog, IFormat format)
    {
        string folder = Folder(format);
        string[] text = File.ReadAllText(RepositoryFiles.Path($"{folder}/README.md")).ReplaceLineEndings("\n").Split('\n');
        page.Append(CultureInfo.InvariantCulture, $"\n## {format.Name}\n\n[Bit layout, components and kernels](../{folder}/README.md).\n\n");
        foreach (string line in text.SkipWhile(line => !IsCode(line)).TakeWhile(line => IsCode(line)))
        {
            page.Append(line).Append('\n');
        }

        page.Append("\n| Config | Options and their defaults |\n| --- | --- |\n");
        foreach (IQuantizeHandler handler in format.Handlers)
        {
            IEnumerable<string> options = ConfigListing.Of(catalog).Single(config => config.Name == handler.ConfigName).Options
                .Select(option => $"`{option.Name}={option.Default}`");
            page.Append(
                CultureInfo.InvariantCulture,
                $"| `{handler.ConfigName}` (`{handler.ConfigType.Name}`) | {string.Join(", ", options.DefaultIfEmpty("none"))} |\n");
        }
    }

    private static bool IsCode(string line) => line.StartsWith("    ", StringComparison.Ordinal);
}
