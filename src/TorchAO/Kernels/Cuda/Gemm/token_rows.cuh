// What kernels share that round activations row by row: the range of a row.
//
// Defines: IN the number of the type of x.
#pragma once

#include "numbers.cuh"

#define THREADS 256

// The smallest and the largest number of a row, with zero between them; what is not a number is left out.
struct Range { float low, high; };

__device__ __forceinline__ float largest_of_block(float value)
{
    __shared__ float partial[THREADS / 32];
    for (int offset = 16; offset > 0; offset /= 2)
    {
        value = fmaxf(value, __shfl_xor_sync(0xFFFFFFFFu, value, offset));
    }

    __syncthreads(); // what was here before has been read
    if (threadIdx.x % 32 == 0)
    {
        partial[threadIdx.x / 32] = value;
    }

    __syncthreads();
    value = partial[threadIdx.x % (THREADS / 32)];
    for (int offset = THREADS / 64; offset > 0; offset /= 2)
    {
        value = fmaxf(value, __shfl_xor_sync(0xFFFFFFFFu, value, offset));
    }

    return value;
}

__device__ __forceinline__ Range row_range(const void* x, long long row, long long k)
{
    float negative = 0.0f, positive = 0.0f;
    for (long long i = threadIdx.x; i < k / 8; i += THREADS)
    {
        Eight eight = load_eight<IN>(x, row * (k / 8) + i);
        for (int j = 0; j < 8; j++)
        {
            negative = fmaxf(negative, -eight.value[j]);
            positive = fmaxf(positive, eight.value[j]);
        }
    }

    Range range = {-largest_of_block(negative), largest_of_block(positive)};
    return range;
}
