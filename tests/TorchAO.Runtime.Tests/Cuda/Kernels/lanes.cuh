// The place of a thread in its grid of rows.
#pragma once

inline long long lane()
{
    return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}
