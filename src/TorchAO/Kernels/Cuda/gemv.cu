// y[m, n] = epilogue(sum_k x[m, k] * w[n, k]) for up to eight rows of 16-bit activations and a weight in its stored order.
//
// A block walks over tiles of 16 (or 32) weight rows; its warps divide K among them. Each warp streams its share through shared
// memory by asynchronous copies that run ahead over tiles, decodes eight codes at a time to 16-bit numbers without rounding, and
// multiplies on tensor cores: the weight is the 16-row operand, activations are the eight columns, sums are float32. Scales
// multiply sums, not codes. Weights do not depend on the kernel before: their copies begin while it still runs.
//
// With one activation row and groups, the eight columns are eight runs of 32 features instead: column i holds the activations of
// run i and zeros elsewhere, so that one chunk leaves its sums run by run, and scales are applied once a chunk and not once a run.
//
// Compiled once for each combination of:
//   ACT        TYPE_BF16, TYPE_F16: type of activations
//   CODE       CODE_HALF, CODE_INT8, CODE_INT4, CODE_E4M3, CODE_E5M2
//   SCALE      TYPE_*: type of scales (and of zero points that are values)
//   GROUP      input features that share a scale, a power of two from 32 on, or K; 0 where a row has one and no zero point
//   ZERO       0 none; 1 values of the middle code; 2, 3 codes of the value 0, a byte or an int32 each (PIECE 0)
//   OUT        TYPE_*: type of results that are stored (EPILOGUE 0); ACT otherwise
//   NORM       1: activations are divided by their root mean square and multiplied by a gain first
//   EPILOGUE   0 store; 1 add to what is there; 2 silu(gate) * up
//   SINGLE     1: one activation row
//   WARPS, STAGES, TILES (of 16 rows), ROW (bytes that one row gives to one stage: 128 or 256)
//   PIECE      bytes of an aligned piece of a chunk's row of scales: 16, 8, 4; 0 where a chunk is no multiple of 4 bytes of them
// Variant: -DACT=1 -DCODE=0 -DSCALE=1 -DGROUP=0 -DZERO=0 -DOUT=1 -DNORM=1 -DEPILOGUE=2 -DSINGLE=1 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=1 -DCODE=1 -DSCALE=1 -DGROUP=0 -DZERO=0 -DOUT=3 -DNORM=1 -DEPILOGUE=0 -DSINGLE=0 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=2 -DCODE=1 -DSCALE=2 -DGROUP=128 -DZERO=0 -DOUT=2 -DNORM=0 -DEPILOGUE=1 -DSINGLE=1 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=1 -DCODE=2 -DSCALE=1 -DGROUP=32 -DZERO=1 -DOUT=1 -DNORM=1 -DEPILOGUE=2 -DSINGLE=1 -DROW=256 -DPIECE=16 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=1 -DCODE=2 -DSCALE=1 -DGROUP=64 -DZERO=2 -DOUT=1 -DNORM=0 -DEPILOGUE=0 -DSINGLE=0 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=2 -DCODE=3 -DSCALE=3 -DGROUP=0 -DZERO=0 -DOUT=2 -DNORM=0 -DEPILOGUE=1 -DSINGLE=1 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
// Variant: -DACT=1 -DCODE=4 -DSCALE=1 -DGROUP=0 -DZERO=0 -DOUT=1 -DNORM=0 -DEPILOGUE=0 -DSINGLE=0 -DROW=128 -DPIECE=0 -DWARPS=8 -DSTAGES=2 -DTILES=1
#include "gemv_inputs.cuh"
#include "gemv_scales.cuh"

extern "C" __global__ void __launch_bounds__(WARPS * 32) gemv(const __grid_constant__ GemvArguments a)
{
    extern __shared__ __align__(16) u8 memory[];
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
    const int chunks = (a.k + ChunkK - 1) / ChunkK;
    const int runs = chunks * Runs;

    // Shared memory: the warps' stages, their sums twice, then activations, their sums over 32, partial sums of squares.
    u8* const stages = memory + warp * (STAGES * StageBytes);
    float* const partials = (float*)(memory + WARPS * STAGES * StageBytes);
    u16* const xs = (u16*)(partials + 2 * WARPS * Rows * Columns);
    float* const xsums = (float*)(xs + a.m * a.x_pitch);
    float* const squares = xsums + (NeedsSums ? a.m * runs : 0);

    CopyStream copies;
    copies.row_bytes = (long long)a.k * Bits / 8;
    copies.chunks = chunks;
    copies.groups = Grouped ? a.k / (Grouped ? GROUP : 1) : 1;
    copies.tile = warp < chunks ? blockIdx.x : a.tiles;
    if (copies.tile < a.tiles)
    {
        copies.place(a);
    }

    const u32 stages_at = shared_address(stages);
#pragma unroll
    for (int s = 0; s < STAGES; s++)
    {
        copies.next(a, stages_at + s * StageBytes);
    }

    admit_successor();
    ActivationBatch gains;
#if NORM
    gains.load(a.gain, 0, a.k);
#endif
    await_predecessor();
    fill(a, gains, xs, xsums, squares, chunks, runs);

    const u16* const x_row = xs + (SINGLE ? 0 : (g < a.m ? g : 0) * a.x_pitch) + t * 8;
    const float* const sums0 = xsums + (SINGLE || 2 * t >= a.m ? 0 : 2 * t) * runs;
    const float* const sums1 = xsums + (SINGLE || 2 * t + 1 >= a.m ? 0 : 2 * t + 1) * runs;
    int stage = 0, parity = 0;
    for (int tile = blockIdx.x; tile < a.tiles; tile += gridDim.x)
    {
        float sums[TILES][4] = {};
        for (int chunk = warp; chunk < chunks; chunk += WARPS)
        {
            await_copies<STAGES - 1>();
            __syncwarp();
            const u8* const from = stages + stage * StageBytes;
            float group_sum0 = 0, group_sum1 = 0;
#pragma unroll
            for (int span = 0; span < Runs / Span; span++)
            {
                float products[TILES][2][4] = {};
                uint4 own = make_uint4(0, 0, 0, 0);
                if (ByRun && (Span == 8 || g < Span))
                {
                    own = *(const uint4*)(xs + chunk * ChunkK + span * 256 + lane * 8);
                }

#pragma unroll
                for (int step = 0; step < Span; step++)
                {
                    const int run = span * 8 + step;
                    uint4 b;
                    if (ByRun)
                    {
                        const bool mine = g == step;
                        b = make_uint4(mine ? own.x : 0, mine ? own.y : 0, mine ? own.z : 0, mine ? own.w : 0);
                    }
                    else
                    {
                        b = *(const uint4*)(x_row + chunk * ChunkK + run * 32);
                    }

                    if (!ByRun && ZERO)
                    {
                        group_sum0 += sums0[chunk * Runs + run];
                        group_sum1 += sums1[chunk * Runs + run];
                    }

#pragma unroll
                    for (int i = 0; i < TILES; i++)
                    {
                        u32 upper[4], lower[4];
                        decode<Folded>(from + (i * 16 + g) * Pitch, run, t, upper);
                        decode<Folded>(from + (i * 16 + g + 8) * Pitch, run, t, lower);
                        float(&c)[2][4] = products[i];
                        multiply_tile<ACT>(c[0], upper[0], lower[0], upper[1], lower[1], b.x, b.y);
                        multiply_tile<ACT>(c[1], upper[2], lower[2], upper[3], lower[3], b.z, b.w);
                        if (Grouped && !ByRun && ((run + 1) % GroupRuns == 0 || step + 1 == Span))
                        {
                            scale_group(a, copies, from, tile, chunk, run, i, c, group_sum0, group_sum1, sums[i]);
                        }
                    }

                    if ((run + 1) % GroupRuns == 0 || step + 1 == Span)
                    {
                        group_sum0 = group_sum1 = 0;
                    }
                }

#pragma unroll
                for (int i = 0; i < TILES; i++)
                {
                    float(&c)[2][4] = products[i];
                    if (!Grouped)
                    {
#pragma unroll
                        for (int j = 0; j < 4; j++)
                        {
                            sums[i][j] += c[0][j] + c[1][j];
                        }
                    }
                    else if (ByRun && (Span == 8 || 2 * t < Span))
                    {
                        scale_runs(a, copies, from, tile, chunk, span, i, c, xsums, sums[i]);
                    }
                }
            }

            __syncwarp();
            copies.next(a, stages_at + stage * StageBytes);
            stage = stage + 1 == STAGES ? 0 : stage + 1;
        }

        // The warps' sums meet in shared memory; two rooms in turn, so that one barrier a tile is enough.
        float* const partial = partials + parity * (WARPS * Rows * Columns);
        parity ^= 1;
#pragma unroll
        for (int i = 0; i < TILES; i++)
        {
            if (SINGLE)
            {
                float upper = sums[i][0], lower = sums[i][2];
                if (ByRun)
                {
                    upper += __shfl_xor_sync(0xFFFFFFFFu, upper, 1);
                    lower += __shfl_xor_sync(0xFFFFFFFFu, lower, 1);
                    upper += __shfl_xor_sync(0xFFFFFFFFu, upper, 2);
                    lower += __shfl_xor_sync(0xFFFFFFFFu, lower, 2);
                }

                if (t == 0)
                {
                    partial[warp * Rows + i * 16 + g] = upper;
                    partial[warp * Rows + i * 16 + g + 8] = lower;
                }
            }
            else
            {
                float* const at = partial + (warp * Rows + i * 16 + g) * Columns + 2 * t;
                *(float2*)at = make_float2(sums[i][0], sums[i][1]);
                *(float2*)(at + 8 * Columns) = make_float2(sums[i][2], sums[i][3]);
            }
        }

        __syncthreads();
        constexpr int Results = EPILOGUE == 2 ? Rows / 2 : Rows;
        for (int index = threadIdx.x; index < Results * (SINGLE ? 1 : a.m); index += WARPS * 32)
        {
            const int m = index / Results, result = index % Results;
            float norm = 1;
#if NORM
            float square = 0;
#pragma unroll
            for (int w = 0; w < WARPS; w++)
            {
                square += squares[m * WARPS + w];
            }

            norm = rsqrtf(square / a.k + a.epsilon);
#endif
            auto finish = [&](const RowPlace& place, int r) {
                float value = 0;
#pragma unroll
                for (int w = 0; w < WARPS; w++)
                {
                    value += partial[(w * Rows + r) * Columns + m];
                }

                if (!Grouped && CODE != CODE_HALF)
                {
                    value *= load_number<SCALE>(place.segment->scale, (long long)place.row * place.segment->scale_step);
                }

                value *= norm;
                return place.segment->bias == nullptr ? value : value + load_number<ACT>(place.segment->bias, place.row);
            };
#if EPILOGUE == 2
            const int r = (result >> 3) * 16 + (result & 7);
            const RowPlace gate_place = place_of(a, tile, r), up_place = place_of(a, tile, r + 8);
            const float gate = finish(gate_place, r), up = finish(up_place, r + 8);
            if (gate_place.exists)
            {
                store_number<ACT>(a.segments[0].y, m * a.y_stride + gate_place.row, gate / (1 + __expf(-gate)) * up);
            }
#else
            const RowPlace place = place_of(a, tile, result);
            const float value = finish(place, result);
            if (place.exists)
            {
                void* const y = place.segment->y;
                const long long at = m * a.y_stride + place.row;
                store_number<EPILOGUE == 1 ? ACT : OUT>(y, at, EPILOGUE == 1 ? value + load_number<ACT>(y, at) : value);
            }
#endif
        }
    }

    await_copies<0>();
}
