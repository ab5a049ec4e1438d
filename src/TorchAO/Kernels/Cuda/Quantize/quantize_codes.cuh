// From a value and the parameters of its group to a code, each step rounded to the type that its tensor arithmetic has.
//
// Formulas, s the scale as it is stored and z the zero point:
//   RULE_STEPS    clamp(round(x * (1 / s)) + z), the middle code for z where there are none
//   RULE_VALUES   clamp(round((x - (z - s * middle code)) / s))
//   RULE_FLOAT8   clamp(x * (1 / s)) cast to e4m3fn or e5m2
//   RULE_SMALL    clamp(x / s) to the nearest small float without infinities, ties to the even code, in float32
//   RULE_TABLE    the nearest entry to x / s, the first at a tie; to 0 where s is 0
//   RULE_DIVIDED  clamp(round(x / max(s, smallest))) in float32
// Integers of what is not a number are 0, as in a vector's cast: a float16 scale has no reciprocal below 1.6e-5, and 0 * infinity is none.
//
// Defines: RULE; EXPONENT and MANTISSA bits of the floats that codes are.
#pragma once

#include "quantize.cuh"

#define RULE_STEPS 1
#define RULE_VALUES 2
#define RULE_FLOAT8 3
#define RULE_SMALL 4
#define RULE_TABLE 5
#define RULE_DIVIDED 6

__device__ __forceinline__ u32 integer_of(const QuantizeArguments& args, float value)
{
    return value != value ? 0u : (u32)(int)fminf(fmaxf(value, args.least), args.most);
}

#if SCALE == E8M0

// Dividing by no subnormal number, as torchao does.
__device__ __forceinline__ float load_scale(const QuantizeArguments& args, long long index)
{
    u32 exponent = ((const u8*)args.scale)[index];
    return __uint_as_float(exponent == 0 ? 0x00800000u : exponent << 23);
}

#else

__device__ __forceinline__ float load_scale(const QuantizeArguments& args, long long index)
{
    return load_number<SCALE>(args.scale, index);
}

#endif

__device__ __forceinline__ Params load_params(const QuantizeArguments& args, int row, int group)
{
    long long index = (long long)row * args.scale_stride + (args.scale_stride == 0 ? 0 : group);
    float scale = load_scale(args, index);
    Params params = {scale, 0.0f};
#if RULE == RULE_STEPS || RULE == RULE_FLOAT8
    params.a = rounded<SCALE>(__fdiv_rn(1.0f, scale));
    params.b = args.zero_kind == ZERO_BYTE ? (float)((const u8*)args.zero)[index]
        : args.zero_kind == ZERO_INT32 ? (float)((const int*)args.zero)[index]
        : args.middle;
#elif RULE == RULE_VALUES
    params.b = rounded<IN>(__fsub_rn(load_number<IN>(args.zero, index), rounded<IN>(__fmul_rn(scale, args.middle))));
#elif RULE == RULE_DIVIDED
    params.a = fmaxf(scale, args.smallest);
#endif
    return params;
}

__device__ __forceinline__ u32 code_of(const QuantizeArguments& args, float x, const Params& params)
{
#if RULE == RULE_STEPS
    return integer_of(args, rounded<WORK>(__fadd_rn(rintf(rounded<WORK>(__fmul_rn(x, params.a))), params.b)));
#elif RULE == RULE_VALUES
    return integer_of(args, rintf(rounded<WORK>(__fdiv_rn(rounded<WORK>(__fsub_rn(x, params.b)), params.a))));
#elif RULE == RULE_FLOAT8
    // 0 * infinity has a sign on a processor, and its code too.
    float value = rounded<WORK>(__fmul_rn(x, params.a));
    return value != value ? 0xFFu : encode_float8<MANTISSA>(fminf(fmaxf(value, args.least), args.most));
#elif RULE == RULE_SMALL
    const int bias = (1 << (EXPONENT - 1)) - 1, shift = 23 - MANTISSA;
    const u32 largest = (1u << (EXPONENT + MANTISSA)) - 1;
    float scaled = __fdiv_rn(x, params.a);
    if (scaled != scaled)
    {
        return largest * 2 + 1; // 0 / 0, and its sign as above
    }

    float magnitude = fminf(fabsf(scaled), args.most);
    u32 bits = __float_as_uint(magnitude) - ((u32)(127 - bias) << 23);
    u32 code = magnitude < __uint_as_float((u32)(128 - bias) << 23)
        ? (u32)rintf(__fmul_rn(magnitude, __uint_as_float((u32)(bias - 1 + MANTISSA + 127) << 23)))
        : (bits + ((bits >> shift) & 1) + (1u << (shift - 1)) - 1) >> shift;
    return min(code, largest) | (__float_as_uint(scaled) >> 31) << (EXPONENT + MANTISSA);
#elif RULE == RULE_TABLE
    float scaled = params.a == 0.0f ? 0.0f : rounded<WORK>(__fdiv_rn(x, params.a));
    float nearest = __uint_as_float(0x7F800000u);
    u32 code = 0;
#pragma unroll
    for (u32 i = 0; i < 16; i++)
    {
        float distance = fabsf(rounded<WORK>(__fsub_rn(scaled, args.table[i])));
        code = distance < nearest ? i : code;
        nearest = fminf(distance, nearest);
    }

    return code;
#else
    return integer_of(args, rintf(__fdiv_rn(x, params.a)));
#endif
}
