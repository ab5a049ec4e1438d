using System.Security.Cryptography;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Xunit;

namespace TorchAO.Architecture.Tests.Docs;

/// <summary>What we ship and what we refer to is written down, with the hash or the version that is really there.</summary>
public sealed partial class NoticeTests
{
    [Theory]
    [InlineData("assets/README.md", "assets")]
    [InlineData("examples/assets/README.md", "examples/assets")]
    [InlineData("tests/goldens/PROVENANCE.md", "tests/goldens")]
    public void Every_shipped_file_has_the_size_and_hash_that_its_page_states(string page, string folder)
    {
        Dictionary<string, (long Bytes, string Hash)> stated = HashRow().Matches(Repository.Read(page)).ToDictionary(
            row => $"{folder}/{row.Groups[1].Value}",
            row => (long.Parse(row.Groups[2].Value, System.Globalization.CultureInfo.InvariantCulture),
                row.Groups[3].Value));
        IEnumerable<string> shipped = Repository.Files.Where(file => !file.EndsWith(".md", StringComparison.Ordinal)
            && file.StartsWith(folder + "/", StringComparison.Ordinal));

        Offences.AssertNone(
            [
                .. shipped.Where(file => !stated.ContainsKey(file)).Select(file => $"{file} is not on {page}"),
                .. stated.Where(row => !Matches(row.Key, row.Value)).Select(row => $"{row.Key} differs from {page}"),
            ],
            "A shipped file changes only with its page: origin, licence, size and hash.");
    }

    [Fact]
    public void Every_package_has_its_notice_with_the_version_in_use()
    {
        var versions = XDocument.Parse(Repository.Read("Directory.Packages.props"));
        Dictionary<string, string> properties = versions.Descendants("PropertyGroup").Elements()
            .ToDictionary(property => $"$({property.Name})", property => property.Value);
        string notices = Repository.Read("THIRD-PARTY-NOTICES.md");

        IEnumerable<string> offences =
            from package in versions.Descendants()
            where package.Name == "PackageVersion" || package.Name == "GlobalPackageReference"
            let version = package.Attribute("Version")!.Value
            let row = $"| {package.Attribute("Include")!.Value} | {properties.GetValueOrDefault(version, version)} |"
            where !notices.Contains(row, StringComparison.Ordinal)
            select row;

        Offences.AssertNone(offences, "Add the row with licence and holder to THIRD-PARTY-NOTICES.md.");
    }

    private static bool Matches(string file, (long Bytes, string Hash) stated)
    {
        string path = Repository.FullPath(file);
        if (!File.Exists(path) || new FileInfo(path).Length != stated.Bytes)
        {
            return false;
        }

        using FileStream stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream)) == stated.Hash;
    }

    [GeneratedRegex(@"^\| ([\w./-]+) \| (\d+) \| ([0-9a-f]{64}) \|$", RegexOptions.Multiline)]
    private static partial Regex HashRow();
}
