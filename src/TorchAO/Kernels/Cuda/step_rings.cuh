// The ring of stages that one warp of step.cu fills and the others empty, and that of sums. Options are those of step.cu.
#pragma once
#include "gemv_arguments.cuh"
#include "mbarrier.cuh"

constexpr int Workers = WARPS * 32; // threads that compute
constexpr int SumRooms = 6;         // for sums of tiles that are not finished

// The ring of stages, and its barriers: a stage is full when its bytes have come, empty when all warps have left it.
struct Ring
{
    u8* stages;
    u64* full;
    u64* empty;
};

// Rows of a tile: sixteen neighbours after the other, or eight of the gate and eight of the other factor in turn. A run is those whose
// number has bit 3, or those that have not.
struct TileRows
{
    const u8* codes[2];
    const u8* scale[2];
    const u8* zero[2];
    int first[2]; // row of the weight
    int last[2];
    int stride; // rows of the weight from one sixteen of the tile to the next

    __device__ __forceinline__ void settle(int run, const GemvSegment& segment, int first_row)
    {
        codes[run] = segment.codes;
        scale[run] = (const u8*)segment.scale;
        zero[run] = (const u8*)segment.zero;
        first[run] = first_row;
        last[run] = segment.n - 1;
    }

    __device__ __forceinline__ TileRows(const GemvArguments& a, int tile)
    {
        if (a.epilogue == EPILOGUE_GATE)
        {
            stride = 8;
            settle(0, a.segments[0], tile * (8 * TILES));
            settle(1, a.segments[1], tile * (8 * TILES));
        }
        else
        {
            const GemvSegment& segment = *segment_of(a, tile);
            const int begin = (tile - segment.first_tile) * Rows;
            stride = 16;
            settle(0, segment, begin);
            settle(1, segment, begin + 8);
        }
    }

    // Whether the weight has all rows of the tile.
    __device__ __forceinline__ bool is_whole() const
    {
        const int behind = (TILES - 1) * stride + 7;
        return first[0] + behind <= last[0] && first[1] + behind <= last[1];
    }

    // The weight's row for row r of the tile; behind the last one it stands in.
    __device__ __forceinline__ int row(int r) const
    {
        const int run = r >> 3 & 1, at = (run ? first[1] : first[0]) + (r >> 4) * stride + (r & 7), limit = run ? last[1] : last[0];
        return at < limit ? at : limit;
    }
};

// The warp that copies: stage after stage of tile after tile of phase after phase.
struct Copier
{
    static constexpr int GroupBytes = PIECE == 0 ? 0 : WARPS * ScaleRowBytes; // scales of a row and a stage
    static constexpr int PieceBytes = PIECE == 0 ? 4 : PIECE;
    static constexpr int PiecesOfRow = PIECE == 0 ? 1 : GroupBytes / PieceBytes;

    Ring ring;
    int issued = 0;

    // Waits for room, and until few enough stages are on their way.
    __device__ __forceinline__ int reserve()
    {
        const int stage = issued % STAGES, behind = issued - FLIGHT;
        barrier_wait(shared_address(ring.empty + stage), (issued / STAGES & 1) ^ 1);
        if (behind >= 0)
        {
            barrier_wait(shared_address(ring.full + behind % STAGES), behind / STAGES & 1);
        }

        issued++;
        return stage;
    }

    __device__ __forceinline__ void copy_product(const GemvArguments& a, int first)
    {
        const int row_bytes = (int)((long long)a.k * Bits / 8), scale_bytes = PIECE == 0 ? 0 : a.k / (Grouped ? GROUP : 1) * ScaleBytes;
        const int stages = (row_bytes + StageRow - 1) / StageRow, tiles = a.tiles;
        for (int tile = first; tile < tiles; tile += gridDim.x)
        {
            const TileRows rows(a, tile);
            const bool is_whole = rows.is_whole();
            ask_scales(a, rows);
            for (int s = 0; s < stages; s++)
            {
                const int stage = reserve();
                const u32 to = shared_address(ring.stages) + stage * StageBytes;
                if (is_whole)
                {
                    copy_stage<true>(rows, s, row_bytes, scale_bytes, to);
                }
                else
                {
                    copy_stage<false>(rows, s, row_bytes, scale_bytes, to);
                }

                barrier_arrive_behind_copies(shared_address(ring.full + stage));
            }
        }
    }

    // A row's one scale is wanted at the end of the tile, and would be the last thing to arrive.
    __device__ __forceinline__ static void ask_scales(const GemvArguments& a, const TileRows& rows)
    {
        const int lane = threadIdx.x & 31;
        if (!Grouped && CODE != CODE_HALF && lane < 2)
        {
            const int row = a.segments[0].scale_step == 0 ? 0 : rows.row(lane * 8);
            ask_ahead((lane ? rows.scale[1] : rows.scale[0]) + (long long)row * ScaleBytes);
        }
    }

    // Zeros stand behind the end of a row. Of a whole tile addresses go on by equal steps.
    template <bool Whole>
    __device__ __forceinline__ static void copy_stage(const TileRows& rows, int s, int row_bytes, int scale_bytes, u32 to)
    {
        constexpr int Copies = StageRow / 512;
        const int lane = threadIdx.x & 31, begin = s * StageRow + lane * 16;
        bool exists[Copies];
#pragma unroll
        for (int i = 0; i < Copies; i++)
        {
            exists[i] = begin + i * 512 < row_bytes;
        }

        const u8* from = nullptr;
        constexpr int Unrolled = Whole ? Rows : 1;
#pragma unroll Unrolled
        for (int r = 0; r < Rows; r++)
        {
            if (!Whole || r % 8 == 0)
            {
                from = ((r >> 3 & 1) ? rows.codes[1] : rows.codes[0]) + ((long long)rows.row(r) * row_bytes + begin);
            }

#pragma unroll
            for (int i = 0; i < Copies; i++)
            {
                copy_async<16>(to + (r * Pitch + i * 512) + lane * 16, from + i * 512, exists[i]);
            }

            from += row_bytes;
        }

        if constexpr (PIECE != 0)
        {
            copy_scales<Whole>(rows.scale, rows, s, scale_bytes, to + Rows * Pitch);
            if constexpr (ZERO != 0)
            {
                copy_scales<Whole>(rows.zero, rows, s, scale_bytes, to + Rows * Pitch + ScaleMatrix);
            }
        }
    }

    template <bool Whole>
    __device__ __forceinline__ static void copy_scales(const u8* const (&bases)[2], const TileRows& rows, int s, int scale_bytes, u32 to)
    {
        constexpr int RowsAtOnce = PiecesOfRow >= 32 ? 1 : 32 / PiecesOfRow, Loads = (Rows * PiecesOfRow + 31) / 32;
        const int lane = threadIdx.x & 31;
        constexpr int Unrolled = Whole ? Loads : 1;
        const u8* from = nullptr;
#pragma unroll Unrolled
        for (int i = 0; i < Loads; i++)
        {
            const int piece = i * 32 + lane, r = piece / PiecesOfRow, in_row = piece % PiecesOfRow * PieceBytes;
            const int at = s * GroupBytes + in_row;
            const bool exists = at < scale_bytes;
            if (Rows * PiecesOfRow % 32 == 0 || r < Rows)
            {
                // Whole rows at once, or a row at several times: neither leaves a run in the middle where these divide eight.
                if (!Whole || 32 % PiecesOfRow != 0 || RowsAtOnce > 8 || i * RowsAtOnce % 8 == 0)
                {
                    from = ((r >> 3 & 1) ? bases[1] : bases[0]) + ((long long)rows.row(r) * scale_bytes + (exists ? at : 0));
                }

                copy_async<PieceBytes>(to + r * ScalePitch + in_row, from, exists);
                from += (long long)RowsAtOnce * scale_bytes;
            }
        }
    }
};

// The warps that compute see the ring as a stream.
struct RingStream
{
    static constexpr bool IsShared = true;

    Ring ring;
    int stage = 0;
    u32 parity = 0;

    __device__ __forceinline__ const u8* acquire()
    {
        barrier_wait(shared_address(ring.full + stage), parity);
        return ring.stages + stage * StageBytes;
    }

    __device__ __forceinline__ void release()
    {
        __syncwarp();
        if ((threadIdx.x & 31) == 0)
        {
            barrier_arrive(shared_address(ring.empty + stage));
        }

        if (++stage == STAGES)
        {
            stage = 0;
            parity ^= 1;
        }
    }
};

// Where the sums of tiles are handed over: a room is full when all computing warps have left theirs, empty when the tile is finished.
struct SumRing
{
    static constexpr int Floats = WARPS * Rows * Columns;

    float* rooms;
    u64* full;
    u64* empty;
    int room = 0;
    u32 parity = 0;

    __device__ __forceinline__ float* at() const { return rooms + room * Floats; }

    __device__ __forceinline__ void advance()
    {
        if (++room == SumRooms)
        {
            room = 0;
            parity ^= 1;
        }
    }
};

// The computing warps' end of it.
struct SumSink
{
    SumRing ring;

    __device__ __forceinline__ void prepare(const GemvArguments&, int) {}

    __device__ __forceinline__ float* reserve()
    {
        barrier_wait(shared_address(ring.empty + ring.room), ring.parity ^ 1);
        return ring.at();
    }

    __device__ __forceinline__ void publish(const GemvArguments&, int, const float*)
    {
        __syncwarp();
        if ((threadIdx.x & 31) == 0)
        {
            barrier_arrive(shared_address(ring.full + ring.room));
        }

        ring.advance();
    }
};
