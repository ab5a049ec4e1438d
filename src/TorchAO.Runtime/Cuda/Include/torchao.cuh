// What every kernel file shares: types, packed 16-bit arithmetic, asynchronous copies, tensor core products. No toolkit header.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

// Types of numbers in memory, as the host counts them.
#define TYPE_BF16 1
#define TYPE_F16 2
#define TYPE_F32 3

__device__ __forceinline__ float bf16_to_float(u16 value) { return __uint_as_float((u32)value << 16); }

__device__ __forceinline__ u16 float_to_bf16(float value)
{
    u16 result;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result) : "f"(value));
    return result;
}

__device__ __forceinline__ float f16_to_float(u16 value)
{
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value));
    return result;
}

__device__ __forceinline__ u16 float_to_f16(float value)
{
    u16 result;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result) : "f"(value));
    return result;
}

// A number of a type as it is stored: to float and, rounded to the nearest with ties to even, back.
template <int Type>
struct Number
{
    typedef u16 Stored;
    static __device__ __forceinline__ float widen(u16 bits) { return Type == TYPE_BF16 ? bf16_to_float(bits) : f16_to_float(bits); }
    static __device__ __forceinline__ u16 narrow(float value) { return Type == TYPE_BF16 ? float_to_bf16(value) : float_to_f16(value); }
};

template <>
struct Number<TYPE_F32>
{
    typedef float Stored;
    static __device__ __forceinline__ float widen(float value) { return value; }
    static __device__ __forceinline__ float narrow(float value) { return value; }
};

template <int Type>
__device__ __forceinline__ float load_number(const void* base, long long index)
{
    return Number<Type>::widen(((const typename Number<Type>::Stored*)base)[index]);
}

// The same where the type is known at run time only.
__device__ __forceinline__ float load_number(const void* base, long long index, int type)
{
    return type == TYPE_F32 ? load_number<TYPE_F32>(base, index)
        : type == TYPE_BF16 ? load_number<TYPE_BF16>(base, index)
        : load_number<TYPE_F16>(base, index);
}

template <int Type>
__device__ __forceinline__ void store_number(void* base, long long index, float value)
{
    ((typename Number<Type>::Stored*)base)[index] = Number<Type>::narrow(value);
}

// float8 codes to float: e4m3fn with NaN at 127; e5m2, whose bits are float16's upper half, with infinities.
__device__ __forceinline__ float decode_e4m3(u32 code)
{
    // As float16 with the exponent 8 too small: exact, subnormal numbers included, and 2^8 puts it right.
    const u32 magnitude = code & 0x7F;
    float value = f16_to_float((u16)(magnitude << 7)) * 256.0f;
    value = magnitude == 0x7F ? __uint_as_float(0x7FC00000u) : value;
    return code & 0x80 ? -value : value;
}

__device__ __forceinline__ float decode_e5m2(u32 code) { return f16_to_float((u16)(code << 8)); }

// One 16-bit number of a pair, widened.
template <int Type>
__device__ __forceinline__ float low_of(u32 pair)
{
    return Type == TYPE_BF16 ? __uint_as_float(pair << 16) : f16_to_float((u16)(pair & 0xFFFF));
}

template <int Type>
__device__ __forceinline__ float high_of(u32 pair)
{
    return Type == TYPE_BF16 ? __uint_as_float(pair & 0xFFFF0000u) : f16_to_float((u16)(pair >> 16));
}

template <int Type>
__device__ __forceinline__ u32 pack_pair(float low, float high)
{
    u32 result;
    if (Type == TYPE_BF16)
    {
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
    }
    else
    {
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
    }

    return result;
}

// a * b + c on pairs.
template <int Type>
__device__ __forceinline__ u32 fma_pair(u32 a, u32 b, u32 c)
{
    u32 result;
    if (Type == TYPE_BF16)
    {
        asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));
    }
    else
    {
        asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));
    }

    return result;
}

// (a & mask) | bits in one instruction.
__device__ __forceinline__ u32 and_or(u32 a, u32 mask, u32 bits)
{
    u32 result;
    asm("lop3.b32 %0, %1, %2, %3, 0xEA;" : "=r"(result) : "r"(a), "r"(mask), "r"(bits));
    return result;
}

// (a ^ flip) & mask in one instruction.
__device__ __forceinline__ u32 xor_and(u32 a, u32 flip, u32 mask)
{
    u32 result;
    asm("lop3.b32 %0, %1, %2, %3, 0x28;" : "=r"(result) : "r"(a), "r"(flip), "r"(mask));
    return result;
}

__device__ __forceinline__ u32 shared_address(const void* pointer) { return (u32)__cvta_generic_to_shared(pointer); }

// 16 bytes from global to shared memory without registers; zeros where there is nothing to copy.
__device__ __forceinline__ void copy_async_16(u32 to, const void* from, bool exists)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(exists ? 16 : 0) : "memory");
}

// The same for 4 or 8 bytes, through the first-level cache.
template <int Bytes>
__device__ __forceinline__ void copy_async(u32 to, const void* from, bool exists)
{
    if (Bytes == 16)
    {
        copy_async_16(to, from, exists);
    }
    else
    {
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(from), "n"(Bytes == 16 ? 4 : Bytes), "r"(exists ? Bytes : 0) : "memory");
    }
}

__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until all but the last Pending groups of copies have arrived.
template <int Pending>
__device__ __forceinline__ void await_copies()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

// Asks for the line of an address into the second-level cache; nothing waits for it.
__device__ __forceinline__ void ask_ahead(const void* address) { asm volatile("prefetch.global.L2 [%0];" ::"l"(address)); }

// What another multiprocessor may have written while this kernel runs: past the first-level cache.
__device__ __forceinline__ uint4 load_fresh(const uint4* at) { return __ldcg(at); }

template <int Type>
__device__ __forceinline__ float load_fresh(const void* base, long long index)
{
    return Number<Type>::widen(__ldcg((const typename Number<Type>::Stored*)base + index));
}

// A barrier of some of a block's threads, all those that compute.
template <int Threads>
__device__ __forceinline__ void sync_threads()
{
    asm volatile("bar.sync 1, %0;" ::"n"(Threads) : "memory");
}

// Blocks that wait for one another: what a thread wrote, and what its block wrote before a barrier, is seen by whoever reads the sum.
__device__ __forceinline__ void add_released(u32* at, u32 value)
{
    asm volatile("red.release.gpu.global.add.u32 [%0], %1;" ::"l"(at), "r"(value) : "memory");
}

__device__ __forceinline__ void await_sum(const u32* at, u32 least)
{
    u32 value;
    do
    {
        asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(at) : "memory");
    } while (value < least);
}

// The kernel before this one on the stream has finished, and what it wrote is visible. Before it, only weights may be read.
__device__ __forceinline__ void await_predecessor()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// The next kernel on the stream may begin as soon as there is room for it.
__device__ __forceinline__ void admit_successor()
{
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

// c[16, 8] += a[16, 16] * b[16, 8], sums in float32.
template <int Type>
__device__ __forceinline__ void multiply_tile(float (&c)[4], u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1)
{
    if (Type == TYPE_BF16)
    {
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
    }
    else
    {
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
    }
}

__device__ __forceinline__ float sum_of_warp(float value)
{
#pragma unroll
    for (int distance = 16; distance > 0; distance >>= 1)
    {
        value += __shfl_xor_sync(0xFFFFFFFFu, value, distance);
    }

    return value;
}

__device__ __forceinline__ float least_of_warp(float value)
{
#pragma unroll
    for (int distance = 16; distance > 0; distance >>= 1)
    {
        value = fminf(value, __shfl_xor_sync(0xFFFFFFFFu, value, distance));
    }

    return value;
}

// To a type and back.
template <int Type>
__device__ __forceinline__ float rounded(float value)
{
    return Number<Type>::widen(Number<Type>::narrow(value));
}
