using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace TorchAO.Architecture.Tests.Budgets;

/// <summary>One C# file and what the budgets ask of it. Every rule is a pure function of path and text.</summary>
internal sealed class SourceFile
{
    private readonly CompilationUnitSyntax root;
    private readonly Lazy<(string Text, int Line)[]> codeTokens;

    public SourceFile(string path, string text)
    {
        Path = path;
        Text = text;
        root = InMemoryCompiler.Parse(text, path).GetCompilationUnitRoot();
        codeTokens = new(() => [.. root.Members.SelectMany(member => member.DescendantTokens())
            .Select(token => (token.Text, LineOf(token)))]);
    }

    public string Path { get; }

    public string Text { get; }

    public int LineCount => Text.AsSpan().Count('\n') + (Text.EndsWith('\n') ? 0 : 1);

    /// <summary>Gets the tokens below the usings, without comments and layout.</summary>
    public IReadOnlyList<(string Text, int Line)> CodeTokens => codeTokens.Value;

    /// <summary>Gets the identifiers of the file with the line each stands on; comments and strings are not code.</summary>
    public IEnumerable<(string Name, int Line)> Identifiers
        => root.DescendantTokens().Where(token => token.IsKind(SyntaxKind.IdentifierToken))
            .Select(token => (token.ValueText, LineOf(token)));

    /// <summary>Gets the text literals of the file with the line each stands on.</summary>
    public IEnumerable<(string Value, int Line)> Strings
        => root.DescendantTokens().Where(token => token.IsKind(SyntaxKind.StringLiteralToken))
            .Select(token => (token.ValueText, LineOf(token)));

    /// <summary>Gets the names of the types that stand directly in a namespace.</summary>
    public IEnumerable<string> DeclaredTypes
        => Types.Where(type => type.Parent is not TypeDeclarationSyntax).Select(type => type.Identifier.ValueText);

    /// <summary>Gets the namespaces that the file declares.</summary>
    public IEnumerable<string> Namespaces
        => root.DescendantNodes().OfType<BaseNamespaceDeclarationSyntax>().Select(node => node.Name.ToString());

    private IEnumerable<BaseTypeDeclarationSyntax> Types
        => root.DescendantNodes().OfType<BaseTypeDeclarationSyntax>();

    /// <summary>Finds methods, constructors, accessors and local functions that span more lines than allowed.</summary>
    public IEnumerable<(string Name, int Lines, int Line)> MethodsLongerThan(int limit)
        => from node in root.DescendantNodes()
           where node is BaseMethodDeclarationSyntax or LocalFunctionStatementSyntax or AccessorDeclarationSyntax
           let span = node.GetLocation().GetLineSpan()
           let lines = span.EndLinePosition.Line - span.StartLinePosition.Line + 1
           where lines > limit
           select (NameOf(node), lines, span.StartLinePosition.Line + 1);

    /// <summary>Finds top-level public types beyond the first, and a first one that the file is not named after.</summary>
    public IEnumerable<string> PublicTypesOutOfPlace()
    {
        string expected = System.IO.Path.GetFileNameWithoutExtension(Path).Split('.')[0];
        string[] names = [.. Types.Where(type => type.Parent is not TypeDeclarationSyntax && IsPublic(type.Modifiers))
            .Select(type => type.Identifier.ValueText).Distinct()];
        if (names.Length > 1)
        {
            yield return $"{Path} declares {names.Length} public types: {string.Join(", ", names)}";
        }
        else if (names.Length == 1 && names[0] != expected)
        {
            yield return $"{Path} declares the public type {names[0]}";
        }
    }

    public IEnumerable<int> UnsafeLines()
        => root.DescendantTokens().Where(token => token.IsKind(SyntaxKind.UnsafeKeyword)).Select(LineOf);

    public IEnumerable<int> PlatformInvokeLines()
        => root.DescendantNodes().OfType<AttributeSyntax>()
            .Where(attribute => attribute.Name.ToString().Split('.')[^1] is "DllImport" or "LibraryImport"
                or "DllImportAttribute" or "LibraryImportAttribute")
            .Select(attribute => LineOf(attribute.GetFirstToken()));

    /// <summary>Finds public types and members, visible from outside, that carry no summary.</summary>
    public IEnumerable<string> UndocumentedPublicMembers()
        => from member in root.DescendantNodes().OfType<MemberDeclarationSyntax>()
           where member is not BaseNamespaceDeclarationSyntax && IsVisibleOutside(member) && !HasSummary(member)
               && !IsLaterPart(member)
           select $"{Path}({LineOf(member.GetFirstToken())}) {NameOf(member)}";

    private static bool IsVisibleOutside(MemberDeclarationSyntax member)
    {
        for (SyntaxNode? node = member; node is not null; node = node.Parent)
        {
            bool isImplicitlyPublic = node is EnumMemberDeclarationSyntax
                || node is MemberDeclarationSyntax { Parent: InterfaceDeclarationSyntax };
            if (node is MemberDeclarationSyntax and not BaseNamespaceDeclarationSyntax
                && !isImplicitlyPublic && !IsPublic(((MemberDeclarationSyntax)node).Modifiers))
            {
                return false;
            }
        }

        return true;
    }

    // Type.Part.cs goes on from Type.cs, where the type has its words.
    private bool IsLaterPart(MemberDeclarationSyntax member)
        => member is TypeDeclarationSyntax && member.Modifiers.Any(SyntaxKind.PartialKeyword)
            && System.IO.Path.GetFileNameWithoutExtension(Path).Contains('.');

    // An override without words of its own inherits them; everything else says what it does.
    private static bool HasSummary(MemberDeclarationSyntax member)
    {
        DocumentationCommentTriviaSyntax? comment = member.GetLeadingTrivia().Select(trivia => trivia.GetStructure())
            .OfType<DocumentationCommentTriviaSyntax>().LastOrDefault();
        if (comment is null)
        {
            return false;
        }

        bool hasText = comment.Content.OfType<XmlElementSyntax>()
            .Any(element => element.StartTag.Name.ToString() == "summary"
                && element.Content.ToString().Any(char.IsLetterOrDigit));
        return hasText || comment.Content.OfType<XmlEmptyElementSyntax>()
            .Any(element => element.Name.ToString() == "inheritdoc");
    }

    private static bool IsPublic(SyntaxTokenList modifiers) => modifiers.Any(SyntaxKind.PublicKeyword);

    private static int LineOf(SyntaxToken token) => token.GetLocation().GetLineSpan().StartLinePosition.Line + 1;

    private static string NameOf(SyntaxNode node) => node switch
    {
        MethodDeclarationSyntax method => method.Identifier.ValueText,
        ConstructorDeclarationSyntax constructor => constructor.Identifier.ValueText,
        LocalFunctionStatementSyntax local => local.Identifier.ValueText,
        BaseTypeDeclarationSyntax type => type.Identifier.ValueText,
        PropertyDeclarationSyntax property => property.Identifier.ValueText,
        EnumMemberDeclarationSyntax value => value.Identifier.ValueText,
        DelegateDeclarationSyntax handler => handler.Identifier.ValueText,
        BaseFieldDeclarationSyntax field => string.Join(", ", field.Declaration.Variables),
        AccessorDeclarationSyntax accessor => $"{NameOf(accessor.Parent!.Parent!)}.{accessor.Keyword.ValueText}",
        _ => node.Kind().ToString(),
    };
}
