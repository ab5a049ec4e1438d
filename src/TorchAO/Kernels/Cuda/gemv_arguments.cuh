// What products of few rows work on: their arguments, and the sizes that follow from their options, those of gemv.cu.
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
    const void* gain; // null where activations are not normalized
    long long x_stride;
    long long y_stride;
    int k;
    int m;
    int x_pitch; // 16-bit numbers from one activation row to the next in shared memory
    int tiles;
    float epsilon;
    int epilogue; // EPILOGUE_*
    int out;      // TYPE_* of results that are stored
    float smallest_step; // of rounded activations
};

// How activations are rounded: ActivationScheme.
#define ROUND_NONE 0
#define ROUND_SYMMETRIC 1 // int8, the arithmetic of their own type
#define ROUND_WIDE 2      // int8, arithmetic in float32
#define ROUND_ASYMMETRIC 3
#define ROUND_E4M3 4

// What becomes of the sums.
#define EPILOGUE_STORE 0
#define EPILOGUE_ADD 1  // to what is there
#define EPILOGUE_GATE 2 // silu(first) * second


constexpr int ChunkK = ROW * 8 / Bits; // input features of a chunk
constexpr int Runs = ChunkK / 32;      // of 32 features in a chunk: two tensor core products each
constexpr int Span = Runs < 8 ? Runs : 8; // runs that have columns of their own at the same time
constexpr int Rows = 16 * TILES;
constexpr int ScaleBytes = SCALE == TYPE_F32 ? 4 : 2;
constexpr int GroupRuns = Grouped ? GROUP / 32 : 1;
constexpr int ChunkGroups = !Grouped ? 0 : GROUP >= ChunkK ? 1 : ChunkK / GROUP;
constexpr int ScaleRowBytes = PIECE == 0 ? 0 : ChunkGroups * ScaleBytes; // of one warp
#ifdef SHARED_STAGES
constexpr int ScalePitch = PIECE == 0 ? 0 : WARPS * ScaleRowBytes + 16; // other banks for the next row
#else
constexpr int ScalePitch = ScaleRowBytes;
#endif
constexpr int ScaleMatrix = Rows * ScalePitch;
constexpr int StageBytes = Rows * Pitch + ScaleMatrix * (ZERO ? 2 : 1);
constexpr bool NeedsSums = Grouped && (ZERO || Middle != 0); // of 32 activations each
constexpr int Columns = SINGLE ? 1 : 8;
constexpr int ZeroBytes = ByRun ? Span * 64 : 0; // what lanes read whose column is another run's
constexpr int Vectors = ChunkK / 8;    // of eight activations in a chunk

// Where a weight row of a tile is; behind the last row the last row stands in, and its results are not stored.
struct RowPlace
{
    const GemvSegment* segment;
    int row;
    bool exists;
};

__device__ __forceinline__ const GemvSegment* segment_of(const GemvArguments& a, int tile)
{
    return &a.segments[tile >= a.segments[2].first_tile ? 2 : tile >= a.segments[1].first_tile ? 1 : 0];
}

__device__ __forceinline__ RowPlace place_of(const GemvArguments& a, int tile, int r)
{
    RowPlace place;
    if (a.epilogue == EPILOGUE_GATE)
    {
        // Eight rows of the gate and the same eight of the other factor, so that results that belong together stay together.
        place.segment = &a.segments[(r >> 3) & 1];
        place.row = (tile * TILES + (r >> 4)) * 8 + (r & 7);
    }
    else
    {
        place.segment = segment_of(a, tile);
        place.row = (tile - place.segment->first_tile) * Rows + r;
    }

    place.exists = place.row < place.segment->n;
    place.row = place.exists ? place.row : place.segment->n - 1;
    return place;
}
