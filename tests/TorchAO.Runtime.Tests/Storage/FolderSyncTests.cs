using TorchAO.Runtime.Storage;
using Xunit;

namespace TorchAO.Runtime.Tests.Storage;

public sealed class FolderSyncTests
{
    [Fact]
    public void A_folder_is_flushed()
    {
        string folder = Directory.CreateTempSubdirectory("torchao-").FullName;
        FolderSync.Flush(folder);
        Directory.Delete(folder);
    }

    [Fact]
    public void A_folder_that_is_not_there_is_named()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("nothing is opened on Windows");
        }

        IOException error = Assert.Throws<IOException>(() => FolderSync.Flush("/nowhere/models"));
        Assert.Contains("/nowhere/models", error.Message, StringComparison.Ordinal);
        Assert.Contains("could not be opened", error.Message, StringComparison.Ordinal);
    }
}
