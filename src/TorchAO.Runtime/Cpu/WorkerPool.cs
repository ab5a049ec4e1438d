using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace TorchAO.Runtime.Cpu;

/// <summary>Threads that help a caller with its work for as long as they get to run; who calls never waits for one that has not begun.</summary>
/// <remarks>
/// Work is a function that takes pieces until none is left, and the caller runs it too. A thread that the system lets run only later finds
/// the work closed. Several callers may have work at once, up to <see cref="Places"/>; one more does its own alone.
/// After work a thread looks for more for <see cref="SpinMicroseconds"/>, then it sleeps.
/// </remarks>
internal static unsafe class WorkerPool
{
    /// <summary>Work that can be open at once.</summary>
    public const int Places = 8;

    /// <summary>How long a thread looks for more before it sleeps: the operators of a decode step lie nearer to each other than waking
    /// takes, and libtorch's threads, which share the cores, must not find them taken for long.</summary>
    public const int SpinMicroseconds = 40;

    // Kernels widen the scales of some rows on the stack.
    private const int StackBytes = 8 << 20;
    private const int SpinsBetweenClocks = 16;

    private static readonly Place[] places = [.. Enumerable.Range(0, Places).Select(_ => new Place())];
    private static readonly Lock growth = new();
    private static readonly object gate = new();
    private static int threads;
    private static int sleepers;

    /// <summary>Runs work on the calling thread and on others that come in time.</summary>
    /// <param name="helpers">Other threads at most.</param>
    /// <param name="work">Takes pieces until none is left; must not throw.</param>
    /// <param name="context">What <paramref name="work"/> gets.</param>
    public static void Run(int helpers, delegate*<void*, void> work, void* context)
    {
        if (threads < helpers)
        {
            Grow(helpers);
        }

        Place? place = Array.Find(places, static place => place.TryTake());
        if (place is null)
        {
            work(context);
            return;
        }

        place.Open(helpers, work, context);
        Wake(helpers);
        work(context);
        place.Close();
    }

    private static void Grow(int helpers)
    {
        lock (growth)
        {
            for (; threads < helpers; threads++)
            {
                new Thread(Serve, StackBytes) { IsBackground = true, Name = "TorchAO worker" }.Start();
            }
        }
    }

    // Opening is a full fence, and so is falling asleep: either the sleeper sees the work or this sees the sleeper.
    private static void Wake(int helpers)
    {
        if (Volatile.Read(ref sleepers) == 0)
        {
            return;
        }

        lock (gate)
        {
            for (int i = Math.Min(helpers, sleepers); i > 0; i--)
            {
                Monitor.Pulse(gate);
            }
        }
    }

    private static void Serve()
    {
        while (true)
        {
            if (!HelpAny() && !HelpWithin(SpinMicroseconds))
            {
                Sleep();
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool HelpAny()
    {
        bool helped = false;
        foreach (Place place in places)
        {
            helped |= place.TryHelp();
        }

        return helped;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool HelpWithin(int microseconds)
    {
        long stop = Stopwatch.GetTimestamp() + (microseconds * Stopwatch.Frequency / 1_000_000);
        do
        {
            for (int i = 0; i < SpinsBetweenClocks; i++)
            {
                if (HelpAny())
                {
                    return true;
                }

                Thread.SpinWait(1);
            }
        }
        while (Stopwatch.GetTimestamp() < stop);
        return false;
    }

    private static void Sleep()
    {
        lock (gate)
        {
            Interlocked.Increment(ref sleepers);
            if (!Array.Exists(places, static place => place.IsOpen))
            {
                Monitor.Wait(gate);
            }

            Interlocked.Decrement(ref sleepers);
        }
    }

    /// <summary>Room for the work of one caller.</summary>
    private sealed class Place
    {
        // The state: how many threads are inside, and in the upper half how many more may come.
        private const long OneToCome = 1L << 32;

        private long state;
        private int isTaken;
        private delegate*<void*, void> work;
        private void* context;

        public bool IsOpen => Volatile.Read(ref state) >= OneToCome;

        public bool TryTake() => Volatile.Read(ref isTaken) == 0 && Interlocked.CompareExchange(ref isTaken, 1, 0) == 0;

        public void Open(int helpers, delegate*<void*, void> work, void* context)
        {
            this.work = work;
            this.context = context;
            Interlocked.Exchange(ref state, helpers * OneToCome);
        }

        /// <summary>Lets nobody in any more and waits for those who are inside.</summary>
        public void Close()
        {
            Interlocked.And(ref state, OneToCome - 1);
            SpinWait wait = default;
            while (Volatile.Read(ref state) != 0)
            {
                wait.SpinOnce(sleep1Threshold: -1); // yields the core: the one inside may need it
            }

            Volatile.Write(ref isTaken, 0);
        }

        public bool TryHelp()
        {
            long seen = Volatile.Read(ref state);
            if (seen < OneToCome || Interlocked.CompareExchange(ref state, seen - OneToCome + 1, seen) != seen)
            {
                return false;
            }

            work(context);
            Interlocked.Decrement(ref state);
            return true;
        }
    }
}
