// Mistakes that the emulator must tell. None of these is ever launched on a device.
// Architectures: none
#include "mbarrier.cuh"

struct Arguments
{
    const float* x;
    float* y;
    long long count;
    float factor;
};

extern "C" __global__ void parted_at_barriers(const Arguments a)
{
    if (threadIdx.x < 7)
    {
        __syncthreads();
    }
    else
    {
        __syncwarp();
    }
}

extern "C" __global__ void parted_at_shuffle(const Arguments a)
{
    if (threadIdx.x < 9)
    {
        __syncwarp();
    }
    else
    {
        a.y[0] = __shfl_xor_sync(0xFFFFFFFFu, 1.0f, 1);
    }
}

extern "C" __global__ void from_an_ended_lane(const Arguments a)
{
    if (threadIdx.x < 8)
    {
        a.y[threadIdx.x] = __shfl_xor_sync(0xFFu, 1.0f, 8);
    }
}

extern "C" __global__ void unknown_instruction(const Arguments a)
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

extern "C" __global__ void skewed_copy(const Arguments a)
{
    __shared__ __align__(16) float stage[4];
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"((unsigned)__cvta_generic_to_shared(stage)), "l"(a.x + 1) : "memory");
}

extern "C" __global__ void too_few_arrivals(const Arguments a)
{
    __shared__ u64 ready[2], last;
    if (threadIdx.x == 0)
    {
        barrier_init(shared_address(ready), 32);
        barrier_init(shared_address(ready + 1), 32);
        barrier_init(shared_address(&last), 1);
    }

    __syncwarp();
    barrier_arrive(shared_address(ready));
    barrier_wait(shared_address(ready), 0);
    if (threadIdx.x > 0)
    {
        barrier_arrive(shared_address(ready + 1));
        barrier_wait(shared_address(ready + 1), 0);
    }

    barrier_wait(shared_address(&last), 0);
}

extern "C" __global__ void never_changed(const Arguments a)
{
    await_sum((const u32*)a.x, 1);
}

extern "C" __global__ void no_barrier(const Arguments a)
{
    __shared__ u64 nothing;
    barrier_arrive(shared_address(&nothing));
}
