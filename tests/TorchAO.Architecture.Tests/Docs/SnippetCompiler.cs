using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace TorchAO.Architecture.Tests.Docs;

/// <summary>Compiles the snippets of a page as a reader would: each in an ordinary console project.</summary>
internal static class SnippetCompiler
{
    public static IEnumerable<string> Errors(MarkdownPage page)
    {
        List<Snippet> parts = [];
        foreach (Snippet snippet in page.Snippets)
        {
            if (!snippet.IsFragment)
            {
                parts.Clear();
            }

            parts.Add(snippet);
            string name = $"{Path.GetFileNameWithoutExtension(page.Path)}_{snippet.Line}";
            SyntaxTree tree = InMemoryCompiler.Parse(Join(parts, page.Path), page.Path);
            IEnumerable<Diagnostic> errors = InMemoryCompiler.Program(name, tree).GetDiagnostics()
                .Where(diagnostic => diagnostic.Severity == DiagnosticSeverity.Error);
            foreach (Diagnostic error in errors)
            {
                FileLinePositionSpan place = error.Location.GetMappedLineSpan();
                yield return $"{page.Path}({place.StartLinePosition.Line + 1}) {error.Id}: {error.GetMessage()}";
            }
        }
    }

    // C# wants usings, then statements, then types: blocks of one page are sorted into that order, lines kept by #line.
    private static string Join(IEnumerable<Snippet> parts, string path)
    {
        StringBuilder usings = new(), statements = new(), types = new();
        foreach (Snippet part in parts)
        {
            CompilationUnitSyntax root = InMemoryCompiler.Parse(part.Text).GetCompilationUnitRoot();
            foreach (UsingDirectiveSyntax directive in root.Usings)
            {
                Append(usings, directive);
            }

            foreach (MemberDeclarationSyntax member in root.Members)
            {
                Append(member is GlobalStatementSyntax ? statements : types, member);
            }

            void Append(StringBuilder target, SyntaxNode node)
            {
                int line = part.Line + node.GetLocation().GetLineSpan().StartLinePosition.Line;
                target.Append("\n#line ").Append(line).Append(" \"").Append(path).Append("\"\n").Append(node).Append('\n');
            }
        }

        // A page may show a type alone; a program needs one statement.
        string program = statements.Length == 0 ? ";\n" : statements.ToString();
        return usings.ToString() + program + types;
    }
}
