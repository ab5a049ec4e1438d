// From the values of a group to its scale and zero point, each step rounded to the type that its tensor arithmetic has.
//
// Formulas, T the type of the weight:
//   symmetric         scale = max(max(-low, high) / half the range of codes, smallest) in T, low and high with zero between them
//   no clipping       scale = max(low / least code, high / largest code), at least the smallest, in T
//   asymmetric        scale = max((high - low) / range of codes, smallest) in T
//     zero is a code  clamp(least code - round(low / scale)) in T
//     zero is a value low + scale * middle code in T
//   small float       scale = max(amax, 1e-12) / largest value in float32
//   magnitude         scale = amax
//   exponent          of two, as MxQuantization.ChooseScale
#pragma once

#include "quantize.cuh"

#define CHOICE_SYMMETRIC 1
#define CHOICE_NO_CLIPPING 2
#define CHOICE_ASYMMETRIC 3
#define CHOICE_SMALL_FLOAT 4
#define CHOICE_MAGNITUDE 5
#define CHOICE_EXPONENT 6

#define SCALING_FLOOR 0
#define SCALING_CEILING 1
#define SCALING_EVEN 2
#define SCALING_ROUND_UP 3

#define INFINITY_BITS 0x7F800000u

// The smallest and the largest of some values, and the bits of the largest magnitude, which those of infinity and NaN exceed.
struct Range { float low, high; u32 magnitude; };

__device__ __forceinline__ Range no_values()
{
    Range range = {__uint_as_float(INFINITY_BITS), -__uint_as_float(INFINITY_BITS), 0};
    return range;
}

__device__ __forceinline__ void add(Range& range, float value)
{
    range.low = fminf(range.low, value);
    range.high = fmaxf(range.high, value);
    range.magnitude = max(range.magnitude, __float_as_uint(value) & 0x7FFFFFFFu);
}

__device__ __forceinline__ void add(Range& range, const Range& other)
{
    range.low = fminf(range.low, other.low);
    range.high = fmaxf(range.high, other.high);
    range.magnitude = max(range.magnitude, other.magnitude);
}

// Adds values from k = from to k = to - 1 of a row, of which this thread takes eights.
__device__ __forceinline__ void add_row(Range& range, const QuantizeArguments& args, int row, int from, int to, int first, int step)
{
    for (int k0 = from + first * 8; k0 < to; k0 += step * 8)
    {
        Eight x = load_row(args, row, k0);
        for (int j = 0; j < 8; j++)
        {
            if (k0 + j < to)
            {
                add(range, x.value[j]);
            }
        }
    }
}

// The range of neighbouring lanes, a power of two of them; all lanes of the warp call it.
__device__ __forceinline__ Range of_lanes(Range range, int lanes)
{
    for (int distance = 1; distance < lanes; distance *= 2)
    {
        Range other = {__shfl_xor_sync(0xFFFFFFFFu, range.low, distance), __shfl_xor_sync(0xFFFFFFFFu, range.high, distance),
            __shfl_xor_sync(0xFFFFFFFFu, range.magnitude, distance)};
        add(range, other);
    }

    return range;
}

__device__ __forceinline__ Range of_block(Range range)
{
    __shared__ Range partial[THREADS / 32];
    range = of_lanes(range, 32);
    if (threadIdx.x % 32 == 0)
    {
        partial[threadIdx.x / 32] = range;
    }

    __syncthreads();
    return of_lanes(partial[threadIdx.x % (THREADS / 32)], THREADS / 32);
}

__device__ __forceinline__ void report(const QuantizeArguments& args, const Range& range)
{
    if (range.magnitude >= INFINITY_BITS)
    {
        args.state[1] = 1;
    }
}

#if SCALE == E8M0

// The exponent of a number that is not 0, rounded down, and whether it is more than that power of two.
__device__ __forceinline__ int exponent_below(double value, bool& is_more)
{
    u64 bits = *(const u64*)&value;
    is_more = (bits << 12) != 0;
    return (int)(bits >> 52) - 1023;
}

__device__ __forceinline__ float exponent_of(const QuantizeArguments& args, float amax)
{
    bool is_more;
    if (args.scaling == SCALING_EVEN)
    {
        // Half of the last kept fraction bit lifts what is nearly twice a power of two to the next one. Beyond 2^127 is infinity.
        double carries = 2.0 - 1.0 / (1 << (MANTISSA + 1));
        int powers = exponent_below((double)amax / carries, is_more) + 128;
        return powers >= 255 ? 254.0f : (float)(max(powers, 0) - args.max_exponent);
    }

    if (args.scaling == SCALING_ROUND_UP)
    {
        int below = exponent_below((double)amax / (double)args.most, is_more);
        return (float)(below + 127 + (is_more ? 1 : 0));
    }

    // float16 is taken as float32, bfloat16 rounds its logarithm.
    float logarithm = (float)log2((double)(amax == 0.0f ? __uint_as_float(0x00800000u) : amax));
    logarithm = IN == TYPE_BF16 ? rounded<TYPE_BF16>(logarithm) : logarithm;
    return (args.scaling == SCALING_FLOOR ? floorf(logarithm) : ceilf(logarithm)) - (float)args.max_exponent + 127.0f;
}

__device__ __forceinline__ void choose(const QuantizeArguments& args, long long index, const Range& range)
{
    float exponent = exponent_of(args, __uint_as_float(range.magnitude));
    ((u8*)args.scale)[index] = (u8)(int)fminf(fmaxf(exponent, 0.0f), 254.0f);
}

#else

__device__ __forceinline__ void choose_zero(const QuantizeArguments& args, long long index, float low, float scale)
{
    if (args.zero_kind == ZERO_VALUE)
    {
        store_number<IN>(args.zero, index, __fadd_rn(low, rounded<IN>(__fmul_rn(scale, args.middle))));
    }
    else if (args.zero_kind != ZERO_NONE)
    {
        float steps = rintf(rounded<IN>(__fdiv_rn(low, scale)));
        int zero = (int)fminf(fmaxf(rounded<IN>(__fsub_rn(args.choice_least, steps)), args.choice_least), args.choice_most);
        if (args.zero_kind == ZERO_BYTE)
        {
            ((u8*)args.zero)[index] = (u8)zero;
        }
        else
        {
            ((int*)args.zero)[index] = zero;
        }
    }
}

__device__ __forceinline__ void choose(const QuantizeArguments& args, long long index, const Range& range)
{
    float amax = __uint_as_float(range.magnitude);
    if (args.choice == CHOICE_MAGNITUDE || args.choice == CHOICE_SMALL_FLOAT)
    {
        bool is_magnitude = args.choice == CHOICE_MAGNITUDE;
        store_number<SCALE>(args.scale, index, is_magnitude ? amax : __fdiv_rn(fmaxf(amax, args.smallest), args.divisor));
        return;
    }

    float low = args.preserves_zero ? fminf(range.low, 0.0f) : range.low;
    float high = args.preserves_zero ? fmaxf(range.high, 0.0f) : range.high;
    float steps;
    if (args.choice == CHOICE_SYMMETRIC)
    {
        steps = __fdiv_rn(fmaxf(-low, high), args.divisor);
    }
    else if (args.choice == CHOICE_NO_CLIPPING)
    {
        steps = fmaxf(rounded<IN>(__fdiv_rn(low, args.choice_least)), rounded<IN>(__fdiv_rn(high, args.choice_most)));
    }
    else
    {
        steps = __fdiv_rn(rounded<IN>(__fsub_rn(high, low)), args.divisor);
    }

    float scale = fmaxf(rounded<IN>(steps), rounded<IN>(args.smallest));
    store_number<SCALE>(args.scale, index, scale);
    choose_zero(args, index, low, scale);
}

#endif
