using TorchAO.Runtime.Cpu;
using Xunit;

namespace TorchAO.Runtime.Tests.Cpu;

public sealed unsafe class WorkerPoolTests
{
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(30);

    [Fact]
    public void Helpers_come_and_are_done_when_the_call_returns()
    {
        int inside = 0;
        WorkerPool.Run(2, &MeetTwoOthers, &inside);
        Assert.Equal(3, inside);
    }

    [Fact]
    public void A_caller_does_not_wait_for_threads_that_are_held_up_elsewhere()
    {
        var hold = new Hold();
        Hold* shared = &hold; // a local of this frame, which outlives both threads
        var holder = new Thread(() => WorkerPool.Run(2, &HoldUp, shared));
        holder.Start();
        Assert.True(SpinWait.SpinUntil(() => Volatile.Read(ref shared->Held) == 3, patience), "no helpers came");

        var pieces = new Pieces { Left = 64 };
        WorkerPool.Run(2, &TakePieces, &pieces);

        Assert.Equal(64, pieces.Done);
        Assert.Equal(3, Volatile.Read(ref shared->Held));
        Volatile.Write(ref shared->IsReleased, 1);
        Assert.True(holder.Join(patience));
        Assert.Equal(0, shared->Held);
    }

    [Fact]
    public void More_callers_than_places_do_all_their_work()
    {
        int[] done = new int[3 * WorkerPool.Places];
        Thread[] callers = [.. Enumerable.Range(0, done.Length).Select(i => new Thread(() => done[i] = SumOfRuns()))];
        Array.ForEach(callers, caller => caller.Start());
        Array.ForEach(callers, caller => Assert.True(caller.Join(patience)));
        Assert.All(done, sum => Assert.Equal(200 * 64, sum));
    }

    private static int SumOfRuns()
    {
        int sum = 0;
        for (int i = 0; i < 200; i++)
        {
            var pieces = new Pieces { Left = 64 };
            WorkerPool.Run(2, &TakePieces, &pieces);
            sum += pieces.Done;
        }

        return sum;
    }

    private static void TakePieces(void* context)
    {
        var pieces = (Pieces*)context;
        while (Interlocked.Decrement(ref pieces->Left) >= 0)
        {
            Interlocked.Increment(ref pieces->Done);
        }
    }

    private static void MeetTwoOthers(void* context)
    {
        Interlocked.Increment(ref *(int*)context);
        SpinWait.SpinUntil(() => Volatile.Read(ref *(int*)context) == 3, patience);
    }

    private static void HoldUp(void* context)
    {
        var hold = (Hold*)context;
        Interlocked.Increment(ref hold->Held);
        SpinWait.SpinUntil(() => Volatile.Read(ref hold->IsReleased) == 1, patience);
        Interlocked.Decrement(ref hold->Held);
    }

    private struct Pieces
    {
        public int Left;
        public int Done;
    }

    private struct Hold
    {
        public int Held;
        public int IsReleased;
    }
}
