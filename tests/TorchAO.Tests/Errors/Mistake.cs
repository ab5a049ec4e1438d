namespace TorchAO.Tests.Errors;

/// <summary>A mistake that users make, and what the library answers.</summary>
/// <param name="Section">The heading of the page under which it stands.</param>
/// <param name="Title">The mistake in a few words.</param>
/// <param name="Make">Makes the mistake, checks that nothing was half done, and returns the answer: an exception, or the reason
/// in a report.</param>
internal sealed record Mistake(string Section, string Title, Func<Answer> Make);

/// <summary>What the library answers to a mistake.</summary>
/// <param name="Kind">The class of the exception, or where a reason stands.</param>
/// <param name="Text">The message as the user reads it.</param>
internal sealed record Answer(string Kind, string Text)
{
    public static Answer Of(Exception exception) => new(exception.GetType().Name, exception.Message);
}
