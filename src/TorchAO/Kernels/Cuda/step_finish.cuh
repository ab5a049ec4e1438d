// What the finishing warp of step.cu does: sums of a tile's rows, and what becomes of them. Options are those of step.cu.
#pragma once
#include "gemv_tiles.cuh"
#include "step_rings.cuh"

__device__ __forceinline__ const u8* pick(bool second, bool third, const void* a, const void* b, const void* c)
{
    return (const u8*)(third ? c : second ? b : a);
}

__device__ __forceinline__ int pick(bool second, bool third, int a, int b, int c) { return third ? c : second ? b : a; }

// A weight row's own numbers, asked for before its sum is there, and where its result goes.
struct RowEnding
{
    const u8* y;
    int row;
    bool exists;
    float scale, bias, before;
};

// The finishing warp's share of a product with one activation row: a lane has a weight row of the tile, or half of the sums of one.
struct RowFinisher
{
    static constexpr int Parts = 32 / Rows; // of a row's sums

    const GemvArguments& a;
    GemvSegment s0, s1, s2;
    int epilogue, out, r;

    __device__ __forceinline__ RowFinisher(const GemvArguments& arguments) : a(arguments)
    {
        s0 = a.segments[0], s1 = a.segments[1], s2 = a.segments[2];
        epilogue = a.epilogue, out = a.out;
        r = (threadIdx.x & 31) % Rows;
    }

    __device__ __forceinline__ RowEnding begin(int tile) const
    {
        const bool gated = epilogue == EPILOGUE_GATE;
        const bool third = !gated && tile >= s2.first_tile, second = gated ? (r & 8) != 0 : !third && tile >= s1.first_tile;
        const int n = pick(second, third, s0.n, s1.n, s2.n);
        RowEnding ending;
        ending.row = gated ? (tile * TILES + (r >> 4)) * 8 + (r & 7)
            : (tile - pick(second, third, s0.first_tile, s1.first_tile, s2.first_tile)) * Rows + r;
        ending.exists = ending.row < n;
        ending.row = ending.exists ? ending.row : n - 1;
        ending.y = gated ? (const u8*)s0.y : pick(second, third, s0.y, s1.y, s2.y);
        ending.scale = 1, ending.bias = 0, ending.before = 0;
        if (!Grouped && CODE != CODE_HALF)
        {
            ending.scale = load_number<SCALE>(
                pick(second, third, s0.scale, s1.scale, s2.scale), ending.row * pick(second, third, s0.scale_step, s1.scale_step, s2.scale_step));
        }

        const u8* const bias = pick(second, third, s0.bias, s1.bias, s2.bias);
        if (bias != nullptr)
        {
            ending.bias = load_number<ACT>(bias, ending.row);
        }

        if (epilogue == EPILOGUE_ADD)
        {
            ending.before = load_fresh<ACT>(ending.y, ending.row);
        }

        return ending;
    }

    __device__ __forceinline__ void end(const RowEnding& ending, const float* sums, float norm) const
    {
        const int part = (threadIdx.x & 31) / Rows;
        float value = 0;
#pragma unroll
        for (int w = 0; w < WARPS / Parts; w++)
        {
            value += sums[(w * Parts + part) * Rows + r];
        }

#pragma unroll
        for (int distance = Rows; distance < 32; distance <<= 1)
        {
            value += __shfl_xor_sync(0xFFFFFFFFu, value, distance);
        }

        value = value * (ending.scale * norm) + ending.bias;
        bool stores = ending.exists && part == 0;
        if (epilogue == EPILOGUE_GATE)
        {
            value = value / (1 + __expf(-value)) * __shfl_down_sync(0xFFFFFFFFu, value, 8);
            stores = stores && (r & 8) == 0;
        }

        value += ending.before;
        if (stores && out == TYPE_F32)
        {
            store_number<TYPE_F32>((void*)ending.y, ending.row, value);
        }
        else if (stores)
        {
            store_number<ACT>((void*)ending.y, ending.row, value);
        }
    }
};

// The finishing warp's share of a product.
__device__ __forceinline__ void finish_product(const GemvArguments& a, const GemvRooms& rooms, SumRing& ring, int first)
{
    const RowFinisher finisher(a);
    const int tiles = a.tiles;
    RowEnding next = finisher.begin(first);
    float norm = 1;
    for (int tile = first; tile < tiles; tile += gridDim.x)
    {
        const RowEnding ending = next;
        if (tile + gridDim.x < tiles)
        {
            next = finisher.begin(tile + gridDim.x);
        }

        barrier_wait(shared_address(ring.full + ring.room), ring.parity);
        norm = tile == first ? norm_of(a, rooms, 0) : norm;
        finisher.end(ending, ring.at(), norm);
        __syncwarp();
        if ((threadIdx.x & 31) == 0)
        {
            barrier_arrive(shared_address(ring.empty + ring.room));
        }

        ring.advance();
    }
}
