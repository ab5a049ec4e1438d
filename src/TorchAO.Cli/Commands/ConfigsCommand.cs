using System.CommandLine;
using System.Text.Json.Nodes;
using Spectre.Console;
using TorchAO.Formats;
using TorchAO.Lifecycle;

namespace TorchAO.Cli.Commands;

/// <summary><c>torchao configs</c>: what may stand behind <c>--quantize</c>.</summary>
internal static class ConfigsCommand
{
    public static Command Create(Terminal terminal)
    {
        var command = new Command("configs", "List the configs that --quantize takes: short names, whole names, options with their defaults.");
        command.SetAction(_ =>
        {
            IReadOnlyList<ConfigListing> configs = ConfigListing.Of(BuiltInFormats.Catalog);
            if (terminal.IsJson)
            {
                terminal.WriteJson(new JsonObject { ["configs"] = new JsonArray([.. configs.Select(Json)]) });
            }
            else
            {
                Write(terminal, configs);
            }

            return ExitCode.Success;
        });
        return command;
    }

    private static JsonObject Json(ConfigListing config) => new()
    {
        ["name"] = config.Name,
        ["short_name"] = config.ShortName,
        ["shortest"] = config.Shortest,
        ["format"] = config.Format,
        ["options"] = new JsonObject([.. config.Options.Select(
            option => KeyValuePair.Create<string, JsonNode?>(option.Name, JsonValue.Create(option.Default)))]),
    };

    private static void Write(Terminal terminal, IReadOnlyList<ConfigListing> configs)
    {
        Table table = new Table().Border(TableBorder.Simple)
            .AddColumn(new TableColumn("shortest").NoWrap()).AddColumn(new TableColumn("config").NoWrap()).AddColumn("options and their defaults");
        foreach (ConfigListing config in configs)
        {
            string options = string.Join(", ", config.Options.Select(option => $"{option.Name}={option.Default}"));
            table.AddRow(new Text(config.Shortest), new Text(config.Name), new Text(options.Length == 0 ? "none" : options));
        }

        terminal.Screen.Write(table);
        terminal.Out.WriteLine("-32 stands for group_size=32, any size may follow; options go into brackets: \"int4wo(group_size=32, use_hqq=true)\"");
    }
}
