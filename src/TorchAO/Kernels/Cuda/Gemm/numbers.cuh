// Numbers of 16 and 8 bits without the toolkit's headers: they travel as unsigned integers and are converted by instructions
// of PTX. Every conversion rounds to the nearest, ties to even, and keeps NaN.
#pragma once

#define BF16 1
#define F16 2
#define F32 3

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// Two floats to two bfloat16, the first in the low half.
__device__ __forceinline__ u32 pack_bf16(float low, float high)
{
    u32 packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

__device__ __forceinline__ u32 pack_f16(float low, float high)
{
    u32 packed;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

__device__ __forceinline__ float low_bf16(u32 packed) { return __uint_as_float(packed << 16); }

__device__ __forceinline__ float high_bf16(u32 packed) { return __uint_as_float(packed & 0xFFFF0000u); }

__device__ __forceinline__ float low_f16(u32 packed)
{
    float value;
    asm("{ .reg .b16 lo, hi; mov.b32 {lo, hi}, %1; cvt.f32.f16 %0, lo; }" : "=f"(value) : "r"(packed));
    return value;
}

__device__ __forceinline__ float high_f16(u32 packed) { return low_f16(packed >> 16); }

// The three types of activations and scales, by number.
template <int TYPE> struct Number;

template <> struct Number<BF16>
{
    typedef u16 Stored;
    static __device__ __forceinline__ float widen(u16 bits) { return low_bf16(bits); }
    static __device__ __forceinline__ u16 narrow(float value) { return (u16)pack_bf16(value, 0.0f); }
    static __device__ __forceinline__ u32 pack(float low, float high) { return pack_bf16(low, high); }
    static __device__ __forceinline__ float low(u32 packed) { return low_bf16(packed); }
    static __device__ __forceinline__ float high(u32 packed) { return high_bf16(packed); }
};

template <> struct Number<F16>
{
    typedef u16 Stored;
    static __device__ __forceinline__ float widen(u16 bits) { return low_f16(bits); }
    static __device__ __forceinline__ u16 narrow(float value) { return (u16)pack_f16(value, 0.0f); }
    static __device__ __forceinline__ u32 pack(float low, float high) { return pack_f16(low, high); }
    static __device__ __forceinline__ float low(u32 packed) { return low_f16(packed); }
    static __device__ __forceinline__ float high(u32 packed) { return high_f16(packed); }
};

template <> struct Number<F32>
{
    typedef float Stored;
    static __device__ __forceinline__ float widen(float value) { return value; }
    static __device__ __forceinline__ float narrow(float value) { return value; }
};

// A parameter of a group, whose type is known at run time only.
__device__ __forceinline__ float load_parameter(const void* values, long long index, int type)
{
    return type == F32 ? ((const float*)values)[index]
        : type == BF16 ? low_bf16(((const u16*)values)[index])
        : low_f16(((const u16*)values)[index]);
}

// float8 codes to float: e4m3fn with NaN at 127, e5m2 with infinities, whose bits are float16's upper half.
__device__ __forceinline__ float decode_e5m2(u32 code) { return low_f16(code << 8); }

__device__ __forceinline__ float decode_e4m3(u32 code)
{
    // As float16 with the exponent 8 too small: exact, subnormal numbers included, and 2^8 puts it right.
    u32 magnitude = code & 0x7F;
    float value = low_f16(magnitude << 7) * 256.0f;
    value = magnitude == 0x7F ? __uint_as_float(0x7FC00000u) : value;
    return (code & 0x80) ? -value : value;
}
