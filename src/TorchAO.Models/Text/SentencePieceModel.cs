using System.Text;
using Google.Protobuf;
using TorchAO.Checkpoints;

namespace TorchAO.Models.Text;

/// <summary>Reads a SentencePiece <c>.model</c> file of byte pair encoding (Kudo and Richardson 2018, arXiv:1808.06226).</summary>
/// <remarks>
/// A protocol buffer: pieces (1: text, score, kind), the trainer's settings (2: kind of model, special ids) and the
/// normalizer's (3: map of characters, spaces). Read here because Microsoft.ML.Tokenizers 2.0 gives no ids for a text of one character.
/// </remarks>
internal static class SentencePieceModel
{
    private const ulong BytePairs = 2;

    private enum Kind
    {
        Normal = 1,
        Unknown = 2,
        Control = 3,
        UserDefined = 4,
        Unused = 5,
        Byte = 6,
    }

    /// <summary>Opens a file.</summary>
    /// <exception cref="CheckpointException">The file is none, is cut off, or holds another kind of model.</exception>
    public static Tokenizer Open(string path)
    {
        byte[] file = File.ReadAllBytes(path);
        try
        {
            return Read(path, file);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw Lie(path, "the file is no SentencePiece model", e.Message, "a whole one", e);
        }
    }

    private static ScoredPieceTokenizer Read(string path, byte[] file)
    {
        (List<string> texts, List<float> scores, List<Kind> kinds) = ([], [], []);
        Message? trainer = null;
        Message normalizer = new();
        var input = new CodedInputStream(file);
        for (uint tag = input.ReadTag(); tag != 0; tag = input.ReadTag())
        {
            switch (WireFormat.GetTagFieldNumber(tag))
            {
                case 1:
                    Message piece = Message.Read(input.ReadBytes());
                    texts.Add(piece.Text(1));
                    scores.Add(piece.Float(2));
                    kinds.Add((Kind)piece.Number(3, (ulong)Kind.Normal));
                    break;
                case 2:
                    trainer = Message.Read(input.ReadBytes());
                    break;
                case 3:
                    normalizer = Message.Read(input.ReadBytes());
                    break;
                default:
                    input.SkipLastField();
                    break;
            }
        }

        if (texts.Count == 0 || trainer is null)
        {
            throw Lie(
                path, "the file is no SentencePiece model, or ends early",
                $"{texts.Count} pieces and {(trainer is null ? "no" : "the")} settings in {file.Length} bytes", "pieces and settings");
        }

        ulong modelKind = trainer.Number(3, 1);
        if (modelKind != BytePairs)
        {
            throw new CheckpointException(
                CheckpointError.UnsupportedTokenizer, path, "a SentencePiece model that is not supported", $"kind {modelKind}",
                "kind 2, byte pair encoding", "Use the model's tokenizer.json if there is one.");
        }

        HashSet<int> Of(params Kind[] wanted) => [.. Enumerable.Range(0, kinds.Count).Where(id => wanted.Contains(kinds[id]))];
        int unknown = kinds.IndexOf(Kind.Unknown);
        if (unknown < 0)
        {
            throw Lie(path, "the vocabulary has no unknown piece", "none", "one of kind 2");
        }

        var pieces = new ScoredPieces
        {
            Texts = [.. texts.Select(text => text.Replace('\u2581', ' '))],
            Scores = scores,
            Hidden = Of(Kind.Unknown, Kind.Control, Kind.Unused, Kind.Byte),
            Controls = Of(Kind.Control),
            Whole = [.. Of(Kind.UserDefined).Order()],
            Unknown = unknown,
            FusesUnknown = true,
            Normalize = Normalizer(path, normalizer),
            AddsSpace = normalizer.Number(3, 1) != 0,
        };
        return new ScoredPieceTokenizer(path, pieces, Special(trainer, 41, 1, texts.Count), [.. Eos(trainer, texts.Count)]);
    }

    private static IEnumerable<int> Eos(Message trainer, int count) => Special(trainer, 42, 2, count) is int id ? [id] : [];

    // Ids are signed; -1 says that there is none.
    private static int? Special(Message trainer, int field, int otherwise, int count)
    {
        long id = (long)trainer.Number(field, (ulong)otherwise);
        return id >= 0 && id < count ? (int)id : null;
    }

    private static Func<string, string> Normalizer(string path, Message settings)
    {
        var characters = CharacterMap.Read(settings.Bytes(2), path);
        bool collapses = settings.Number(4, 1) != 0;
        return text =>
        {
            string mapped = characters is null ? text : characters.Apply(text);
            return collapses ? string.Join(' ', mapped.Split(' ', StringSplitOptions.RemoveEmptyEntries)) : mapped;
        };
    }

    private static CheckpointException Lie(string path, string what, string got, string expected, Exception? inner = null) => new(
        CheckpointError.InvalidTokenizer, path, what, got, expected, "Fetch the tokenizer again, from the model's own source.", inner);

    /// <summary>The fields of a small message, the last of each number.</summary>
    private sealed class Message
    {
        private readonly Dictionary<int, ulong> numbers = [];
        private readonly Dictionary<int, ByteString> texts = [];

        public static Message Read(ByteString bytes)
        {
            var message = new Message();
            CodedInputStream input = bytes.CreateCodedInput();
            for (uint tag = input.ReadTag(); tag != 0; tag = input.ReadTag())
            {
                int field = WireFormat.GetTagFieldNumber(tag);
                switch (WireFormat.GetTagWireType(tag))
                {
                    case WireFormat.WireType.Varint:
                        message.numbers[field] = input.ReadUInt64();
                        break;
                    case WireFormat.WireType.Fixed32:
                        message.numbers[field] = input.ReadFixed32();
                        break;
                    case WireFormat.WireType.LengthDelimited:
                        message.texts[field] = input.ReadBytes();
                        break;
                    default:
                        input.SkipLastField();
                        break;
                }
            }

            return message;
        }

        public ulong Number(int field, ulong otherwise) => numbers.GetValueOrDefault(field, otherwise);

        public float Float(int field) => BitConverter.UInt32BitsToSingle((uint)numbers.GetValueOrDefault(field));

        public string Text(int field) => texts.TryGetValue(field, out ByteString? value) ? value.ToString(Encoding.UTF8) : string.Empty;

        public byte[] Bytes(int field) => texts.TryGetValue(field, out ByteString? value) ? value.ToByteArray() : [];
    }
}
