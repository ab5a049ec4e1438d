using System.Runtime.CompilerServices;

namespace TorchAO.Numerics;

/// <summary>
/// Random bits as a pure function of (seed, index): the same whatever the order, the thread or the device that asks.
/// Philox4x32-10 with the seed as key; Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011.
/// </summary>
public readonly struct CounterRandom
{
    private const int Rounds = 10;
    private readonly ulong _seed;

    /// <summary>Opens the sequence of a seed.</summary>
    public CounterRandom(ulong seed) => _seed = seed;

    /// <summary>The 32 bits at an index of the sequence.</summary>
    public uint this[ulong index]
    {
        get
        {
            (uint a, uint b, uint c, uint d) = Block(_seed, index >> 2, 0);
            return (index & 3) switch { 0 => a, 1 => b, 2 => c, _ => d };
        }
    }

    /// <summary>Writes the elements of the sequence from an index on; four cost one evaluation.</summary>
    public void Fill(ulong index, Span<uint> destination)
    {
        int i = 0;
        for (; i < destination.Length && ((index + (ulong)i) & 3) != 0; i++)
        {
            destination[i] = this[index + (ulong)i];
        }

        for (; i <= destination.Length - 4; i += 4)
        {
            (destination[i], destination[i + 1], destination[i + 2], destination[i + 3]) =
                Block(_seed, (index + (ulong)i) >> 2, 0);
        }

        for (; i < destination.Length; i++)
        {
            destination[i] = this[index + (ulong)i];
        }
    }

    /// <summary>The cipher itself: 128 bits of counter to 128 bits of output.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static (uint A, uint B, uint C, uint D) Block(ulong key, ulong counterLow, ulong counterHigh)
    {
        uint a = (uint)counterLow, b = (uint)(counterLow >> 32), c = (uint)counterHigh, d = (uint)(counterHigh >> 32);
        uint k0 = (uint)key, k1 = (uint)(key >> 32);
        for (int round = 0; round < Rounds; round++)
        {
            ulong p0 = 0xD251_1F53ul * a;
            ulong p1 = 0xCD9E_8D57ul * c;
            (a, b, c, d) = ((uint)(p1 >> 32) ^ b ^ k0, (uint)p1, (uint)(p0 >> 32) ^ d ^ k1, (uint)p0);
            k0 += 0x9E37_79B9;
            k1 += 0xBB67_AE85;
        }

        return (a, b, c, d);
    }
}
