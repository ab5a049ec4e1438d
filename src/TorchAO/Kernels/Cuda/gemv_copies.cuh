// Asynchronous copies of weights, each warp for itself. Options are those of gemv.cu.
#pragma once
#include "gemv_arguments.cuh"

// A warp's asynchronous copies: chunk after chunk of tile after tile of a product. A tile's rows lie in two runs, those whose number has
// bit 3 and those that have not: two weights' rows where these are gated, sixteen neighbours otherwise.
struct CopyStream
{
    static constexpr int PiecesOfRow = PIECE == 0 ? 1 : ScaleRowBytes / (PIECE == 0 ? 1 : PIECE);
    static constexpr int Pieces = PIECE == 0 ? 0 : Rows * PiecesOfRow * (ZERO ? 2 : 1);
    static constexpr int PieceLoads = (Pieces + 31) / 32;
    static constexpr int Lanes = ROW / 16; // that copy one row of a chunk
    static constexpr int RowsOfCopy = 32 / Lanes;

    const u8* codes[2];
    const u8* scales[PieceLoads == 0 ? 1 : PieceLoads];
    int last[2]; // row of a run behind which its last one stands in
    int stride;  // rows of a run from one sixteen to the next
    int row_bytes, tile, tiles, chunk, chunks, groups;

    // Settles on the tiles of a product from one on.
    __device__ __forceinline__ void begin(const GemvArguments& a, int first)
    {
        row_bytes = (int)((long long)a.k * Bits / 8);
        chunks = (a.k + ChunkK - 1) / ChunkK;
        groups = Grouped ? a.k / (Grouped ? GROUP : 1) : 1;
        tiles = a.tiles;
        tile = (int)(threadIdx.x >> 5) < chunks ? first : tiles;
        stride = a.epilogue == EPILOGUE_GATE ? 8 : 16;
        if (tile < tiles)
        {
            place(a);
        }
    }

    __device__ __forceinline__ bool is_done() const { return tile >= tiles; }

    __device__ __forceinline__ void place(const GemvArguments& a)
    {
        const int lane = threadIdx.x & 31;
        const bool gated = a.epilogue == EPILOGUE_GATE;
        const GemvSegment* const first = gated ? &a.segments[0] : segment_of(a, tile);
        const GemvSegment* const second = gated ? &a.segments[1] : first;
        const int begin = gated ? tile * (8 * TILES) : (tile - first->first_tile) * Rows;
        const int rows[2] = {begin, gated ? begin : begin + 8};
        chunk = threadIdx.x >> 5;
        codes[0] = first->codes + ((long long)rows[0] * row_bytes + lane % Lanes * 16);
        codes[1] = second->codes + ((long long)rows[1] * row_bytes + lane % Lanes * 16);
        last[0] = first->n - 1 - rows[0];
        last[1] = second->n - 1 - rows[1];
#pragma unroll
        for (int i = 0; i < PieceLoads; i++)
        {
            const int piece = i * 32 + lane, r = piece / PiecesOfRow;
            const bool second_run = r & 8;
            const GemvSegment* const segment = second_run ? second : first;
            const int row = (second_run ? rows[1] : rows[0]) + row_in_run(r % Rows, second_run ? last[1] : last[0]);
            const void* base = r >= Rows ? segment->zero : segment->scale;
            scales[i] = (const u8*)base + ((long long)row * groups * ScaleBytes + piece % PiecesOfRow * (PIECE == 0 ? 1 : PIECE));
        }

        if (!Grouped && CODE != CODE_HALF && lane < 2)
        {
            // A row's one scale is wanted at the end of the tile, and would be the last thing to arrive.
            const GemvSegment* const segment = lane ? second : first;
            const int row = lane ? rows[1] : rows[0];
            ask_ahead((const u8*)segment->scale + (long long)(row < segment->n ? row : 0) * segment->scale_step * ScaleBytes);
        }
    }

    __device__ __forceinline__ int row_in_run(int r, int limit) const
    {
        const int row = (TILES == 1 ? 0 : (r >> 4) * stride) + (r & 7);
        return row < limit ? row : limit;
    }

    // Begins the copies of the next chunk into a stage; there must be one.
    __device__ __forceinline__ void copy(const GemvArguments& a, u32 stage)
    {
        const int lane = threadIdx.x & 31;
        const bool exists = chunk * ROW + lane % Lanes * 16 < row_bytes;
        const int offset = exists ? chunk * ROW : 0;
#pragma unroll
        for (int i = 0; i < Rows / RowsOfCopy; i++)
        {
            const int r = i * RowsOfCopy, run = (r >> 3) & 1; // constants: a copy's rows lie in one run
            const long long row = row_in_run(r + lane / Lanes, last[run]);
            copy_async<16>(stage + (r + lane / Lanes) * Pitch + (lane % Lanes * 16 ^ (lane / Lanes & 1) * OddFlip), codes[run] + (row * row_bytes + offset), exists);
        }

#pragma unroll
        for (int i = 0; i < PieceLoads; i++)
        {
            const int piece = i * 32 + lane;
            if (Pieces % 32 == 0 || piece < Pieces)
            {
                const int group = chunk * ChunkGroups + piece % PiecesOfRow * (PIECE / ScaleBytes);
                copy_async<PIECE == 0 ? 4 : PIECE>(
                    stage + Rows * Pitch + piece * PIECE, scales[i] + (group < groups ? chunk * ScaleRowBytes : 0), group < groups);
            }
        }

        chunk += WARPS;
        if (chunk >= chunks)
        {
            tile += gridDim.x;
            if (tile < tiles)
            {
                place(a);
            }
        }
    }
};

// The copies of one product into a warp's own ring of stages.
struct ProductStream
{
    static constexpr bool IsShared = false;

    const GemvArguments& a;
    const u8* stages;
    int stage = 0;
    CopyStream copies;

    __device__ __forceinline__ ProductStream(const GemvArguments& arguments, const u8* of_warp) : a(arguments), stages(of_warp)
    {
        copies.begin(a, blockIdx.x);
#pragma unroll 1
        for (int s = 0; s < STAGES; s++)
        {
            next(s);
        }
    }

    // Waits for the next chunk.
    __device__ __forceinline__ const u8* acquire()
    {
        await_copies<STAGES - 1>();
        __syncwarp();
        return stages + stage * StageBytes;
    }

    // The chunk is done with: another may take its place.
    __device__ __forceinline__ void release()
    {
        __syncwarp();
        next(stage);
        stage = stage + 1 == STAGES ? 0 : stage + 1;
    }

    // Begins the copies of the next chunk, if there is one, as a group of their own.
    __device__ __forceinline__ void next(int into)
    {
        if (!copies.is_done())
        {
            copies.copy(a, shared_address(stages) + into * StageBytes);
        }

        commit_copies();
    }
};
