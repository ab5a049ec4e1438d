// Many products of few rows and attentions in one launch: the layers of a decode step. One block a multiprocessor stays for all of them.
//
// What a phase needs of the phase before it waits for, block by block, in device memory: all blocks must run at the same time.
//
// A block's warps have three trades. WARPS of them compute. One finishes: it adds up their sums of a tile and stores results. One copies
// weights, which depend on no phase, into a ring of stages: memory goes on delivering while results travel, which launches of their own
// cannot have. Few stages are on their way at once, no more than memory needs to be busy: what waits in its queues would delay all else
// that blocks have to say to each other. None of these warps waits for another but where it must, by barriers in shared memory.
//
// Tried, and slower: results that carry a mark of their phase and readers that look until it is there, without a count of blocks (what
// looks at memory so often keeps it from delivering weights); copies by the copy engine, row by row (it takes a hundred cycles for each);
// asking for the next weights into the second-level cache (a multiprocessor takes from there hardly faster than from memory).
//
// Compiled for the options of gemv.cu but SINGLE, which all products share, those of attend.cu, and FLIGHT: stages on their way at once.
// One activation row, one sequence.
// Architectures: sm_90a sm_100a sm_120a
// Variant: -DACT=1 -DCODE=2 -DSCALE=1 -DGROUP=32 -DZERO=1 -DROUND=0 -DROW=256 -DPIECE=16 -DWARPS=8 -DSTAGES=4 -DFLIGHT=2 -DTILES=1 -DHEAD=128 -DSHARERS=1 -DHEAD_NORM=0 -DCACHE=0 -DCACHE_SCALE=3 -DCACHE_GROUP=128
// Variant: -DACT=1 -DCODE=1 -DSCALE=1 -DGROUP=0 -DZERO=0 -DROUND=0 -DROW=256 -DPIECE=0 -DWARPS=8 -DSTAGES=4 -DFLIGHT=2 -DTILES=1 -DHEAD=128 -DSHARERS=4 -DHEAD_NORM=1 -DCACHE=1 -DCACHE_SCALE=3 -DCACHE_GROUP=128
// Variant: -DACT=1 -DCODE=2 -DSCALE=1 -DGROUP=64 -DZERO=1 -DROUND=3 -DROW=128 -DPIECE=8 -DWARPS=8 -DSTAGES=4 -DFLIGHT=4 -DTILES=2 -DHEAD=128 -DSHARERS=8 -DHEAD_NORM=0 -DCACHE=2 -DCACHE_SCALE=3 -DCACHE_GROUP=128
#define SINGLE 1
#define SHARED_STAGES
#include "attend_heads.cuh"
#include "step_finish.cuh"

#define PHASE_PRODUCT 0
#define PHASE_ATTENTION 1

struct StepPhase
{
    int kind;  // PHASE_*
    int first; // the block that has the first tile or task, so that all phases together keep blocks equally busy
    union
    {
        GemvArguments product;
        AttendArguments attention;
    };
};

struct StepArguments
{
    const StepPhase* phases;
    u32* arrived; // phases that blocks have ended; zero before and afterwards
    const int* position;
    int count;
    int splits; // of the keys of a head, at most
};

// The block's first tile or task of a phase that begins at some block.
__device__ __forceinline__ int first_of(int first) { return (blockIdx.x + gridDim.x - first) % gridDim.x; }

// Descriptions of phases in shared memory. The copying warp brings them; one is in its place until all other warps have left the phase.
struct PhaseRing
{
    static constexpr int Places = 4;
    static constexpr int Words = sizeof(StepPhase) / 4, Loads = (Words + 31) / 32;

    StepPhase* places;
    u64* full;
    u64* empty;

    __device__ __forceinline__ const StepPhase& enter(int p) const
    {
        barrier_wait(shared_address(full + p % Places), p / Places & 1);
        return places[p % Places];
    }

    __device__ __forceinline__ void leave(int p) const
    {
        __syncwarp();
        if ((threadIdx.x & 31) == 0)
        {
            barrier_arrive(shared_address(empty + p % Places));
        }
    }

    __device__ __forceinline__ static void fetch(const StepArguments& s, int p, u32 (&words)[Loads])
    {
        const int lane = threadIdx.x & 31;
#pragma unroll
        for (int i = 0; i < Loads; i++)
        {
            words[i] = p < s.count && i * 32 + lane < Words ? ((const u32*)(s.phases + p))[i * 32 + lane] : 0;
        }
    }

    __device__ __forceinline__ const StepPhase& put(int p, const u32 (&words)[Loads]) const
    {
        const int lane = threadIdx.x & 31;
        barrier_wait(shared_address(empty + p % Places), (p / Places & 1) ^ 1);
#pragma unroll
        for (int i = 0; i < Loads; i++)
        {
            if (i * 32 + lane < Words)
            {
                ((u32*)(places + p % Places))[i * 32 + lane] = words[i];
            }
        }

        __syncwarp();
        if (lane == 0)
        {
            barrier_arrive(shared_address(full + p % Places));
        }

        return places[p % Places];
    }
};

// The copying warp.
__device__ __forceinline__ void copy_phases(const StepArguments& s, PhaseRing ring, Copier copier)
{
    u32 words[PhaseRing::Loads];
    PhaseRing::fetch(s, 0, words);
    for (int p = 0; p < s.count; p++)
    {
        const StepPhase& phase = ring.put(p, words);
        PhaseRing::fetch(s, p + 1, words);
        if (phase.kind == PHASE_PRODUCT)
        {
            ask_gain(phase.product);
            copier.copy_product(phase.product, first_of(phase.first));
        }
    }
}

// One thread says that its block has ended a phase, whose results it and its block have stored before. The last block of the last phase
// puts the count back: none looks at it any more.
__device__ __forceinline__ void end_phase(const StepArguments& s, int p, int thread)
{
    if (thread != 0)
    {
        return;
    }

    if (p + 1 < s.count)
    {
        add_released(s.arrived, 1);
    }
    else if (atomicAdd(s.arrived, 1u) == (u32)s.count * gridDim.x - 1)
    {
        *s.arrived = 0;
    }
}

// Tells the computing warps that other blocks have ended the phase before: a barrier in shared memory, once a phase.
struct Signal
{
    u64* barrier;

    __device__ __forceinline__ void give() const
    {
        if ((threadIdx.x & 31) == 0)
        {
            barrier_arrive(shared_address(barrier));
        }
    }

    __device__ __forceinline__ void await(int p) const { barrier_wait(shared_address(barrier), p & 1); }
};

// The finishing warp.
__device__ __forceinline__ void finish_phases(const StepArguments& s, PhaseRing ring, Signal begin, u8* room, SumRing sums)
{
    const int lane = threadIdx.x & 31;
    for (int p = 0; p < s.count; p++)
    {
        const StepPhase& phase = ring.enter(p);
        if (lane == 0)
        {
            await_sum(s.arrived, (u32)p * gridDim.x);
        }

        __syncwarp();
        begin.give();
        if (phase.kind == PHASE_PRODUCT)
        {
            const GemvArguments& a = phase.product;
            const GemvRooms rooms(room, a.m, a.x_pitch, (a.k + ChunkK - 1) / ChunkK * Runs);
            if (first_of(phase.first) < a.tiles)
            {
                finish_product(a, rooms, sums, first_of(phase.first));
                __syncwarp();
                end_phase(s, p, lane);
            }
        }

        ring.leave(p);
    }
}

// The computing warps.
__device__ __forceinline__ void compute_phases(
    const StepArguments& s, PhaseRing ring, Signal begin, u8* room, RingStream stream, SumSink sink)
{
    const int position = *s.position;
    GemvRooms::clear(room);
    for (int p = 0; p < s.count; p++)
    {
        const StepPhase& phase = ring.enter(p);
        const int first = first_of(phase.first);
        if (phase.kind == PHASE_PRODUCT)
        {
            const GemvArguments& a = phase.product;
            begin.await(p);
            if (first < a.tiles)
            {
                const int chunks = (a.k + ChunkK - 1) / ChunkK, runs = chunks * Runs;
                const GemvRooms rooms(room, a.m, a.x_pitch, runs);
                fill(a, rooms, chunks, runs);
                multiply_tiles(a, stream, sink, rooms, chunks, runs, first);
            }
            else
            {
                sync_threads<Workers>(); // the finishing warp has nothing that tells it that all are here
                end_phase(s, p, threadIdx.x);
            }
        }
        else
        {
            // Rooms lie where activations lay: all warps must have left those, and will have to have left these.
            attention::Rooms& rooms = *(attention::Rooms*)(room + ZeroBytes);
            const AttendArguments& a = phase.attention;
            const int tasks = a.kv_heads * s.splits;
            for (int task = first; task < tasks; task += gridDim.x)
            {
                sync_threads<Workers>();
                attention::attend(
                    a, attention::PlainSource{a.qkv}, attention::PlainTarget{a.out}, rooms, position, task % s.splits, s.splits,
                    task / s.splits, 0, [&] { begin.await(p); });
            }

            begin.await(p);
            sync_threads<Workers>();
            end_phase(s, p, threadIdx.x);
        }

        ring.leave(p);
    }
}

extern "C" __global__ void __launch_bounds__(Workers + 64, 1) step(const __grid_constant__ StepArguments s)
{
    extern __shared__ __align__(128) u8 memory[];
    __shared__ u64 full[STAGES], empty[STAGES], sums_full[SumRooms], sums_empty[SumRooms], phase_full[PhaseRing::Places], phase_empty[PhaseRing::Places], began;
    __shared__ StepPhase places[PhaseRing::Places];
    auto begin = [&](u64* barriers, int count, int arrivals) {
        if ((int)threadIdx.x < count)
        {
            barrier_init(shared_address(barriers + threadIdx.x), arrivals);
        }
    };
    begin(full, STAGES, 32);
    begin(empty, STAGES, WARPS);
    begin(sums_full, SumRooms, WARPS);
    begin(sums_empty, SumRooms, 1);
    begin(phase_full, PhaseRing::Places, 1);
    begin(phase_empty, PhaseRing::Places, WARPS + 1);
    begin(&began, 1, 1);
    __syncthreads();

    // Shared memory: stages, sums, then what phases share.
    const Ring ring = {memory, full, empty};
    const SumRing sums = {(float*)(memory + STAGES * StageBytes), sums_full, sums_empty};
    const PhaseRing phases = {places, phase_full, phase_empty};
    u8* const room = (u8*)(sums.rooms + SumRooms * SumRing::Floats);
    if (threadIdx.x < Workers)
    {
        compute_phases(s, phases, Signal{&began}, room, RingStream{ring}, SumSink{sums});
    }
    else if (threadIdx.x < Workers + 32)
    {
        finish_phases(s, phases, Signal{&began}, room, sums);
    }
    else
    {
        copy_phases(s, phases, Copier{ring});
    }
}
