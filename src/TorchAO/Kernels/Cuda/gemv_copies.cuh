// What gemv.cu works on: its arguments, the sizes that follow from its options, and the asynchronous copies of weights. Options are
// those of gemv.cu.
#pragma once
#include "gemv_codes.cuh"

struct GemvSegment
{
    const u8* codes;
    const void* scale;
    const void* zero;
    const void* bias;
    void* y;
    int n;
    int first_tile;
    int scale_step; // 0 where all rows share one scale
    int reserved;
};

struct GemvArguments
{
    GemvSegment segments[3];
    const void* x;
    const void* gain;
    long long x_stride;
    long long y_stride;
    int k;
    int m;
    int x_pitch; // 16-bit numbers from one activation row to the next in shared memory
    int tiles;
    float epsilon;
};

constexpr int ChunkK = ROW * 8 / Bits; // input features of a chunk
constexpr int Runs = ChunkK / 32;      // of 32 features in a chunk: two tensor core products each
constexpr int Span = Runs < 8 ? Runs : 8; // runs that have columns of their own at the same time
constexpr int Lanes = ROW / 16;        // that copy one row of a chunk
constexpr int RowsOfCopy = 32 / Lanes;
constexpr int Rows = 16 * TILES;
constexpr int ScaleBytes = SCALE == TYPE_F32 ? 4 : 2;
constexpr bool Grouped = GROUP != 0;
constexpr int GroupRuns = Grouped ? GROUP / 32 : 1;
constexpr int ChunkGroups = !Grouped ? 0 : GROUP >= ChunkK ? 1 : ChunkK / GROUP;
constexpr int ScaleRowBytes = PIECE == 0 ? 0 : ChunkGroups * ScaleBytes;
constexpr int ScaleMatrix = Rows * ScaleRowBytes;
constexpr int PiecesOfRow = PIECE == 0 ? 1 : ScaleRowBytes / (PIECE == 0 ? 1 : PIECE);
constexpr int Pieces = PIECE == 0 ? 0 : Rows * PiecesOfRow * (ZERO ? 2 : 1);
constexpr int PieceLoads = (Pieces + 31) / 32;
constexpr int StageBytes = Rows * Pitch + ScaleMatrix * (ZERO ? 2 : 1);
constexpr bool ByRun = SINGLE && Grouped;  // columns are runs of features
constexpr bool Folded = ByRun && Middle != 0; // codes keep their offset; sums of activations take it away
constexpr bool NeedsSums = ZERO || Folded;
constexpr int Columns = SINGLE ? 1 : 8;
constexpr int Vectors = ChunkK / 8;    // of eight activations in a chunk

// Where a weight row of a tile is; behind the last row the last row stands in, and its results are not stored.
struct RowPlace
{
    const GemvSegment* segment;
    int row;
    bool exists;
};

__device__ __forceinline__ RowPlace place_of(const GemvArguments& a, int tile, int r)
{
    RowPlace place;
#if EPILOGUE == 2
    // Eight rows of the gate and the same eight of the other factor, so that results that belong together stay together.
    place.segment = &a.segments[(r >> 3) & 1];
    place.row = (tile * TILES + (r >> 4)) * 8 + (r & 7);
#else
    place.segment = &a.segments[tile >= a.segments[2].first_tile ? 2 : tile >= a.segments[1].first_tile ? 1 : 0];
    place.row = (tile - place.segment->first_tile) * Rows + r;
#endif
    place.exists = place.row < place.segment->n;
    place.row = place.exists ? place.row : place.segment->n - 1;
    return place;
}

// A warp's asynchronous copies: chunk after chunk of tile after tile.
struct CopyStream
{
    const u8* codes[Rows / RowsOfCopy];
    const u8* scales[PieceLoads == 0 ? 1 : PieceLoads];
    long long row_bytes;
    int tile, chunk, chunks, groups;

    __device__ __forceinline__ void place(const GemvArguments& a)
    {
        const int lane = threadIdx.x & 31;
        chunk = threadIdx.x >> 5;
#pragma unroll
        for (int i = 0; i < Rows / RowsOfCopy; i++)
        {
            const RowPlace at = place_of(a, tile, i * RowsOfCopy + lane / Lanes);
            codes[i] = at.segment->codes + at.row * row_bytes + lane % Lanes * 16;
        }

#pragma unroll
        for (int i = 0; i < PieceLoads; i++)
        {
            const int piece = i * 32 + lane, r = piece / PiecesOfRow;
            const RowPlace at = place_of(a, tile, r % Rows);
            const void* base = r >= Rows ? at.segment->zero : at.segment->scale;
            scales[i] = (const u8*)base + ((long long)at.row * groups * ScaleBytes + piece % PiecesOfRow * (PIECE == 0 ? 1 : PIECE));
        }
    }

    // Begins the copies of the next chunk into a stage.
    __device__ __forceinline__ void next(const GemvArguments& a, u32 stage)
    {
        const int lane = threadIdx.x & 31;
        if (tile < a.tiles)
        {
            const bool exists = chunk * ROW + lane % Lanes * 16 < row_bytes;
            const long long offset = exists ? (long long)chunk * ROW : 0;
#pragma unroll
            for (int i = 0; i < Rows / RowsOfCopy; i++)
            {
                copy_async<16>(stage + (i * RowsOfCopy + lane / Lanes) * Pitch + lane % Lanes * 16, codes[i] + offset, exists);
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
                if (tile < a.tiles)
                {
                    place(a);
                }
            }
        }

        commit_copies();
    }
};
