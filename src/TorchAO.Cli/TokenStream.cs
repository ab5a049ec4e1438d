using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Spectre.Console;
using TorchAO.Models.Generation;

namespace TorchAO.Cli;

/// <summary>Text on the screen as it comes, and what it took.</summary>
internal static class TokenStream
{
    /// <summary>Writes a stream: as text for people, as one JSON object a token for machines.</summary>
    /// <returns>Why the text ended.</returns>
    public static FinishReason Write(Terminal terminal, IEnumerable<GeneratedToken> tokens)
    {
        FinishReason? reason = null;
        foreach (GeneratedToken token in tokens)
        {
            reason = token.FinishReason;
            if (terminal.IsJson)
            {
                terminal.WriteJson(new JsonObject { ["token"] = token.Id, ["text"] = token.Text }, isLine: true);
            }
            else
            {
                terminal.Out.Write(Printable(token.Text));
                terminal.Out.Flush();
            }
        }

        if (!terminal.IsJson)
        {
            terminal.Out.WriteLine();
        }

        return reason!.Value;
    }

    /// <summary>Describes what a stream took, for machines.</summary>
    public static JsonObject Json(GenerationStatistics took, FinishReason reason) => new()
    {
        ["finish_reason"] = System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName($"{reason}"),
        ["prompt_tokens"] = took.PromptTokens,
        ["new_tokens"] = took.NewTokens,
        ["time_to_first_token_ms"] = Math.Round(took.PrefillMilliseconds, 3),
        ["decode_ms"] = Math.Round(took.DecodeMilliseconds, 3),
        ["tokens_per_second"] = Math.Round(took.TokensPerSecond, 2),
        ["gigabytes_per_second"] = Math.Round(took.GigabytesPerSecond, 3),
        ["weight_bytes_per_token"] = took.WeightBytesPerToken,
        ["cache_bytes"] = took.CacheBytes,
        ["cache_bytes_per_token"] = took.CacheBytesPerToken,
        ["decode_path"] = $"{took.DecodePath}",
    };

    /// <summary>Writes what a stream took on one line, for people.</summary>
    public static void WriteStatistics(IAnsiConsole screen, GenerationStatistics took) => screen.MarkupLine(string.Create(
        CultureInfo.InvariantCulture,
        $"[grey]{took.NewTokens} tokens, [/][bold]{took.TokensPerSecond:F0} tok/s[/][grey], {took.GigabytesPerSecond:F2} GB/s of weights, first token after {took.PrefillMilliseconds:F0} ms, decode by {Markup.Escape($"{took.DecodePath}")}[/]"));

    // A model may write anything; what moves the cursor or changes colours must not reach a terminal.
    private static string Printable(string text)
    {
        if (!text.Any(character => char.IsControl(character) && character is not ('\n' or '\t')))
        {
            return text;
        }

        var clean = new StringBuilder(text.Length);
        foreach (char character in text)
        {
            clean.Append(char.IsControl(character) && character is not ('\n' or '\t') ? '\uFFFD' : character);
        }

        return clean.ToString();
    }
}
