using TorchAO.Cli;

return await CommandLine.RunAsync(args, Terminal.ForConsole()).ConfigureAwait(false);
