// Kernels that test the launcher. Each takes one struct, as all kernels of this library do.
// Variant: -DOFFSET=0
// Variant: -DOFFSET=7
#include "lanes.cuh"

#ifndef OFFSET
#define OFFSET 0
#endif

struct ScaleArguments
{
    const float* x;
    float* y;
    long long count;
    float factor;
};

// y[i] = factor * x[i] + OFFSET
extern "C" __global__ void scale(const ScaleArguments a)
{
    long long i = lane();
    if (i < a.count)
    {
        a.y[i] = a.factor * a.x[i] + OFFSET;
    }
}

// As scale, and may begin before the kernel that makes x has ended.
extern "C" __global__ void scale_overlapped(const ScaleArguments a)
{
    long long i = lane();
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
    if (i < a.count)
    {
        a.y[i] = a.factor * a.x[i] + OFFSET;
    }
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}

// Reverses x within each block, through as much dynamic shared memory as the launch gives.
extern "C" __global__ void reverse_shared(const ScaleArguments a)
{
    extern __shared__ float stage[];
    long long first = (long long)blockIdx.x * a.count;
    for (long long i = threadIdx.x; i < a.count; i += blockDim.x)
    {
        stage[i] = a.x[first + i];
    }

    __syncthreads();
    for (long long i = threadIdx.x; i < a.count; i += blockDim.x)
    {
        a.y[first + i] = a.factor * stage[a.count - 1 - i];
    }
}

// y[block] = its rank in the cluster.
extern "C" __global__ void cluster_rank(const ScaleArguments a)
{
    unsigned rank = 0;
#if __CUDA_ARCH__ >= 900
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
#endif
    if (threadIdx.x == 0 && blockIdx.x < a.count)
    {
        a.y[blockIdx.x] = rank;
    }
}

// y[0] = the sum of x over the whole block, by shuffles: 32 lanes of each warp, then the warps by lane 0.
extern "C" __global__ void block_sum(const ScaleArguments a)
{
    __shared__ float partial[32];
    float sum = 0;
    for (long long i = threadIdx.x; i < a.count; i += blockDim.x)
    {
        sum += a.x[i];
    }

    for (int distance = 16; distance > 0; distance /= 2)
    {
        sum += __shfl_xor_sync(0xffffffff, sum, distance);
    }

    if (threadIdx.x % 32 == 0)
    {
        partial[threadIdx.x / 32] = sum;
    }

    __syncthreads();
    if (threadIdx.x == 0)
    {
        float total = 0;
        for (int warp = 0; warp < blockDim.x / 32; warp++)
        {
            total += partial[warp];
        }

        a.y[0] = a.factor * total;
    }
}

// Two parameters, which the launcher refuses.
extern "C" __global__ void two_parameters(const ScaleArguments a, int extra)
{
    a.y[0] = extra;
}
