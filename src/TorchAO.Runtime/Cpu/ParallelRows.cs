using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using TorchAO.Runtime.Libtorch;

namespace TorchAO.Runtime.Cpu;

/// <summary>Splits rows over the cores, on libtorch's own thread pool, or on one that waits for nobody where that one is held up.</summary>
/// <remarks>
/// Sharing libtorch's pool is what makes this fast between operators: its workers spin for a while after each one, and a
/// second pool would fight them for the cores. But it waits for each of its threads, whenever the system lets it run: where another
/// process keeps a core busy that is milliseconds, and then <see cref="WorkerPool"/> has the next calls. The count of threads is
/// <c>torch.set_num_threads</c>'s, at first the environment variable <c>TORCHAO_NUM_THREADS</c> if set. A call from inside a worker of
/// libtorch runs on that worker.
/// Workers take one contiguous range after the other, some for each, so that a core that another process keeps busy does less and
/// nobody waits long for it. Jobs work on addresses and spans; they make no tensors.
/// </remarks>
public static unsafe class ParallelRows
{
    // Ranges for each worker: one that is late holds up the others by an eighth of its share.
    private const int RangesPerWorker = 8;

    /// <summary>Gets how many threads share the rows at most.</summary>
    public static int WorkerCount
    {
        get
        {
            uint count;
            LibtorchExports.Check(LibtorchExports.ThreadCount(&count), "torch_get_num_threads");
            return (int)count;
        }
    }

    /// <summary>Runs a job over the rows <c>[0, rows)</c> and returns when all are done.</summary>
    /// <param name="rows">The count of rows.</param>
    /// <param name="minRowsPerWorker">The least rows of a range, but perhaps the last: no more workers than
    /// <c>rows / minRowsPerWorker</c> share the rows, at least one.</param>
    /// <param name="job">The work. Each worker runs this same instance.</param>
    /// <exception cref="ArgumentOutOfRangeException">A negative count, or no row a worker.</exception>
    /// <remarks>The first exception of a job is thrown again here, with its own stack; other ranges still finish.</remarks>
    public static void Run<TJob>(long rows, long minRowsPerWorker, TJob job)
        where TJob : struct, IRowJob
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(minRowsPerWorker);
        if (rows / minRowsPerWorker < 2)
        {
            if (rows > 0)
            {
                job.Run(0, rows);
            }

            return;
        }

        long workers = Math.Min(WorkerCount, rows / minRowsPerWorker);
        if (workers == 1)
        {
            job.Run(0, rows);
            return;
        }

        // Job, failure and counter are locals of this frame, which outlives the call: workers may hold plain addresses of them.
        Exception? failure = null;
        long next = 0;
        long range = Math.Max(minRowsPerWorker, (rows + (workers * RangesPerWorker) - 1) / (workers * RangesPerWorker));
        var context = new Context(
            &Invoke<TJob>, Unsafe.AsPointer(ref job), Unsafe.AsPointer(ref failure), &next, rows, range);

        if (Congestion.IsNear)
        {
            WorkerPool.Run((int)workers - 1, &Take, &context);
        }
        else
        {
            RunOnLibtorch(workers, &context);
        }

        if (failure is not null)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    /// <summary>As the other <c>Run</c>, with a delegate: for cold paths and tests.</summary>
    /// <param name="rows">The count of rows.</param>
    /// <param name="minRowsPerWorker">Bounds the count of workers as above.</param>
    /// <param name="body">The work on rows <c>[begin, end)</c>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A negative count, or no row a worker.</exception>
    public static void Run(long rows, long minRowsPerWorker, Action<long, long> body)
    {
        ArgumentNullException.ThrowIfNull(body);
        Run(rows, minRowsPerWorker, new DelegateJob(body));
    }

    private readonly struct DelegateJob(Action<long, long> body) : IRowJob
    {
        public void Run(long begin, long end) => body(begin, end);
    }

    // One index a worker: what a worker does is decided when it comes.
    private static void RunOnLibtorch(long workers, Context* context)
    {
        long start = Stopwatch.GetTimestamp();
        LibtorchExports.Check(LibtorchExports.ParallelFor(0, workers, 1, &Body, context), "torch_parallel_for");
        Congestion.Judge(start, context->CallersEnd, context->CallersRanges, Stopwatch.GetTimestamp());
    }

    private struct Context(
        delegate*<void*, long, long, void> invoke, void* work, void* failure, long* next, long rows, long range)
    {
        public long CallersEnd;
        public long CallersRanges;
        public readonly delegate*<void*, long, long, void> Invoke = invoke;
        public readonly void* Work = work;
        public readonly void* Failure = failure;
        public readonly long* Next = next;
        public readonly long Rows = rows;
        public readonly long Range = range;
    }

    // An unmanaged entry cannot be generic: this one finds the instance for the job's type in the context. The caller's own share
    // begins at 0.
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Body(long begin, long end, void* state)
    {
        long ranges = TakeRanges((Context*)state);
        if (begin == 0)
        {
            ((Context*)state)->CallersRanges = ranges;
            ((Context*)state)->CallersEnd = Stopwatch.GetTimestamp();
        }
    }

    private static void Take(void* state) => TakeRanges((Context*)state);

    private static long TakeRanges(Context* context)
    {
        long taken = 0;
        while (true)
        {
            long first = Interlocked.Add(ref *context->Next, context->Range) - context->Range;
            if (first >= context->Rows)
            {
                return taken;
            }

            taken++;

            try
            {
                context->Invoke(context->Work, first, Math.Min(context->Rows, first + context->Range));
            }
            catch (Exception e) // nothing may cross the native frames; Run throws it again
            {
                Interlocked.CompareExchange(ref Unsafe.AsRef<Exception?>(context->Failure), e, null);
            }
        }
    }

    private static void Invoke<TJob>(void* job, long begin, long end)
        where TJob : struct, IRowJob => Unsafe.AsRef<TJob>(job).Run(begin, end);
}
