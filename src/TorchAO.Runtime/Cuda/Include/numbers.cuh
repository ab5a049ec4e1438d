// Eight numbers of a row at a time, and the codes of 8-bit floats.
#pragma once

#include "torchao.cuh"

struct Eight { float value[8]; };

// The numbers from 8 * index on; x begins at a multiple of 16 bytes.
template <int Type>
__device__ __forceinline__ Eight load_eight(const void* x, long long index)
{
    Eight eight;
    if (Type == TYPE_F32)
    {
        float4 a = ((const float4*)x)[index * 2], b = ((const float4*)x)[index * 2 + 1];
        eight.value[0] = a.x; eight.value[1] = a.y; eight.value[2] = a.z; eight.value[3] = a.w;
        eight.value[4] = b.x; eight.value[5] = b.y; eight.value[6] = b.z; eight.value[7] = b.w;
    }
    else
    {
        uint4 packed = ((const uint4*)x)[index];
        u32 words[4] = {packed.x, packed.y, packed.z, packed.w};
        for (int i = 0; i < 4; i++)
        {
            eight.value[2 * i] = low_of<Type>(words[i]);
            eight.value[2 * i + 1] = high_of<Type>(words[i]);
        }
    }

    return eight;
}

// The code of e4m3fn (three mantissa bits) or e5m2 (two). Saturates: what is beyond the largest code takes it; NaN stays NaN.
template <int Mantissa>
__device__ __forceinline__ u32 encode_float8(float value)
{
#if __CUDA_ARCH__ >= 890
    u16 pair;
    if (Mantissa == 3)
    {
        asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(0.0f), "f"(value));
    }
    else
    {
        asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(0.0f), "f"(value));
    }

    return pair & 0xFF;
#else
    const int bias = Mantissa == 3 ? 7 : 15;
    u32 sign = (__float_as_uint(value) >> 24) & 0x80;
    float magnitude = fminf(fabsf(value), Mantissa == 3 ? 448.0f : 57344.0f);
    if (value != value)
    {
        return sign | 0x7F;
    }

    if (magnitude < __uint_as_float((128 - bias) << 23))
    {
        return sign | (u32)rintf(magnitude * __uint_as_float((bias - 1 + Mantissa + 127) << 23));
    }

    u32 bits = __float_as_uint(magnitude) - ((127 - bias) << 23), shift = 23 - Mantissa;
    return sign | ((bits + ((bits >> shift) & 1) + (1u << (shift - 1)) - 1) >> shift);
#endif
}
