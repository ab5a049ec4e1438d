// Codes, scales and zero points of a weight, packed as a format stores them: the weight is read from memory once.
//
// Formula: bit for bit that of the format's grid on the CPU; see quantize_scales.cuh and quantize_codes.cuh.
// Shapes: x [n, k] bf16, f16 or f32, codes [n, row_bytes], scale and zero [n, k / group], or one scale for all.
// Reads: a row twice, the second time from cache. With one scale for all the weight twice, of which the cache has a part. Bound: memory.
// Launch: quantize_rows with n blocks of 256 threads. With one scale for all that is not given, whole_range before it with up to n blocks,
// and whole_scale with one thread.
// Reference: the format's grid on the CPU, ChooseQParams, Quantize and Pack.
//
// Defines: IN and SCALE the types of weight and scales; RULE, LAYOUT and BITS of codes; EXPONENT and MANTISSA bits of floats, or 0.
// Variant: -DIN=1 -DSCALE=1 -DRULE=1 -DLAYOUT=1 -DBITS=8 -DEXPONENT=0 -DMANTISSA=0
// Variant: -DIN=2 -DSCALE=2 -DRULE=2 -DLAYOUT=2 -DBITS=4 -DEXPONENT=0 -DMANTISSA=0
// Variant: -DIN=3 -DSCALE=3 -DRULE=1 -DLAYOUT=4 -DBITS=7 -DEXPONENT=0 -DMANTISSA=0
// Variant: -DIN=1 -DSCALE=3 -DRULE=3 -DLAYOUT=1 -DBITS=8 -DEXPONENT=4 -DMANTISSA=3
// Variant: -DIN=3 -DSCALE=3 -DRULE=3 -DLAYOUT=1 -DBITS=8 -DEXPONENT=5 -DMANTISSA=2
// Variant: -DIN=2 -DSCALE=2 -DRULE=4 -DLAYOUT=3 -DBITS=6 -DEXPONENT=3 -DMANTISSA=2
// Variant: -DIN=1 -DSCALE=4 -DRULE=4 -DLAYOUT=3 -DBITS=4 -DEXPONENT=2 -DMANTISSA=1
// Variant: -DIN=1 -DSCALE=1 -DRULE=5 -DLAYOUT=3 -DBITS=4 -DEXPONENT=0 -DMANTISSA=0
// Variant: -DIN=1 -DSCALE=3 -DRULE=6 -DLAYOUT=3 -DBITS=2 -DEXPONENT=0 -DMANTISSA=0
#include "quantize_scales.cuh"
#include "quantize_codes.cuh"
#include "quantize_layouts.cuh"

// A group is a team's, so that many small ones are done at once; a row of one group is the block's.
__device__ __forceinline__ void write_scales(const QuantizeArguments& args, int row)
{
    if (args.groups == 1)
    {
        Range range = no_values();
        add_row(range, args, row, 0, args.k, threadIdx.x, THREADS);
        range = of_block(range);
        if (threadIdx.x == 0)
        {
            report(args, range);
            choose(args, row, range);
        }

        return;
    }

    int teams = THREADS / args.team, lane = threadIdx.x % args.team;
    for (int first = 0; first < args.groups; first += teams)
    {
        int group = first + threadIdx.x / args.team;
        Range range = no_values();
        if (group < args.groups)
        {
            add_row(range, args, row, group * args.group, (group + 1) * args.group, lane, args.team);
        }

        range = of_lanes(range, args.team);
        if (group < args.groups && lane == 0)
        {
            report(args, range);
            choose(args, (long long)row * args.groups + group, range);
        }
    }
}

#if LAYOUT == LAYOUT_SHARDS

__device__ __forceinline__ void write_codes(const QuantizeArguments& args, int row, Range& range)
{
    int eighth = args.row_bytes / BITS;
    for (int i = threadIdx.x; i < eighth; i += THREADS)
    {
        u32 codes[8];
#pragma unroll
        for (int j = 0; j < 8; j++)
        {
            int k = i + j * eighth;
            codes[j] = 0;
            if (k < args.k)
            {
                float x = load_number<IN>(args.x, (long long)row * args.k + k);
                add(range, x);
                codes[j] = code_of(args, x, load_params(args, row, group_of(args, k)));
            }
        }

        store_codes(args.codes + (long long)row * args.row_bytes, eighth, i, codes);
    }
}

#else

__device__ __forceinline__ void write_codes(const QuantizeArguments& args, int row, Range& range)
{
    for (int k0 = threadIdx.x * 8; k0 < args.k; k0 += THREADS * 8)
    {
        Eight x = load_row(args, row, k0);
        Params params = load_params(args, row, group_of(args, k0));
        u32 codes[8];
#pragma unroll
        for (int j = 0; j < 8; j++)
        {
            codes[j] = 0;
            if (k0 + j < args.k)
            {
                if (!args.is_aligned)
                {
                    params = load_params(args, row, group_of(args, k0 + j));
                }

                add(range, x.value[j]);
                codes[j] = code_of(args, x.value[j], params);
            }
        }

        store_codes(args, args.codes + (long long)row * args.row_bytes, k0, codes);
    }
}

#endif

extern "C" __global__ void __launch_bounds__(THREADS) quantize_rows(const __grid_constant__ QuantizeArguments args)
{
    int row = blockIdx.x;
    Range range = no_values();
    if (args.scale_stride != 0)
    {
        write_scales(args, row);
        __syncthreads(); // the scales of this row are there for all of the block
    }

    write_codes(args, row, range);
    if (args.scale_stride == 0)
    {
        report(args, range);
    }
}

// Magnitudes are not negative, so their bits have their order.
extern "C" __global__ void __launch_bounds__(THREADS) whole_range(const __grid_constant__ QuantizeArguments args)
{
    Range range = no_values();
    for (int row = blockIdx.x; row < args.n; row += gridDim.x)
    {
        add_row(range, args, row, 0, args.k, threadIdx.x, THREADS);
    }

    range = of_block(range);
    if (threadIdx.x == 0)
    {
        atomicMax(args.state, range.magnitude);
    }
}

extern "C" __global__ void whole_scale(const __grid_constant__ QuantizeArguments args)
{
    float amax = __uint_as_float(*args.state);
    Range range = {-amax, amax, *args.state};
    choose(args, 0, range);
}
