// Hopper's matrix instructions for warpgroups, and the barriers and copies that feed them. Needs the architecture sm_90a.
//
// A product D[64, n] += A[64, k] B[k, n] is computed by the 128 threads of a warpgroup. A (the weight) comes from registers or from
// shared memory, B (the activations, stored [n, k]) from shared memory in rows of 128 bytes whose 16-byte pieces are exchanged
// ("128-byte swizzle"): piece p of row r lies at p ^ (r % 8). A tile begins at a multiple of 1024 bytes.
#pragma once

#include "mbarrier.cuh"

// 14 bits of address / 16; rows of eight are 1024 bytes apart; layout 1 is the swizzle of 128 bytes.
__device__ __forceinline__ u64 tile_descriptor(u32 address)
{
    return (u64)((address & 0x3FFFF) >> 4) | ((u64)1 << 16) | ((u64)(1024 >> 4) << 32) | ((u64)1 << 62);
}

__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

template <int PENDING> __device__ __forceinline__ void wgmma_wait()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

// Moves registers between the warpgroups of a block.
template <int REGISTERS> __device__ __forceinline__ void registers_up()
{
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}

template <int REGISTERS> __device__ __forceinline__ void registers_down()
{
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}

// What the driver writes about a matrix for the copy engine: 128 bytes.
struct alignas(64) TensorMap { u64 words[16]; };

// Copies a box of a matrix, whose first element has these coordinates; what lies outside of the matrix arrives as zeros.
__device__ __forceinline__ void copy_box(u32 target, const TensorMap* map, int column, int row, u32 barrier)
{
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(target), "l"(map),
        "r"(column), "r"(row), "r"(barrier) : "memory");
}

// The same into the shared memory of several blocks of a cluster, at the same place in each.
__device__ __forceinline__ void copy_box_to_all(u32 target, const TensorMap* map, int column, int row, u32 barrier, u16 blocks)
{
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(target),
        "l"(map), "r"(column), "r"(row), "r"(barrier), "h"(blocks) : "memory");
}

__device__ __forceinline__ void cluster_sync()
{
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

__device__ __forceinline__ u32 cluster_rank()
{
    u32 rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

// Four floats of the shared memory of another block of the cluster.
__device__ __forceinline__ float4 load_from_block(u32 address, u32 rank)
{
    float4 value;
    asm volatile(
        "{ .reg .b32 there; mapa.shared::cluster.u32 there, %4, %5; ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [there]; }"
        : "=f"(value.x), "=f"(value.y), "=f"(value.z), "=f"(value.w) : "r"(address), "r"(rank) : "memory");
    return value;
}

// One instruction for n = COLUMNS of 32, 64 or 128; a wider product is several. TYPES is the tail of the instruction's name.
template <int COLUMNS> struct Wgmma;

#define WGMMA32_REGISTERS(NAME, TYPES) \
    static __device__ __forceinline__ void NAME(float (&d)[16], const u32 (&a)[4], u64 b, int accumulate) \
    { \
        asm volatile( \
            "{ .reg .pred p; setp.ne.b32 p, %21, 0; wgmma.mma_async.sync.aligned.m64n32" TYPES " {" \
            "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15" \
            "}, {%16, %17, %18, %19}, %20, p, 1, 1, 0; }" : \
            "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]), \
            "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]) \
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate) : "memory"); \
    }

#define WGMMA32_SHARED(NAME, T, C, TYPES, TAIL) \
    static __device__ __forceinline__ void NAME(T (&d)[16], u64 a, u64 b, int accumulate) \
    { \
        asm volatile( \
            "{ .reg .pred p; setp.ne.b32 p, %18, 0; wgmma.mma_async.sync.aligned.m64n32" TYPES " {" \
            "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15" \
            "}, %16, %17, p" TAIL "; }" : \
            C(d[0]), C(d[1]), C(d[2]), C(d[3]), C(d[4]), C(d[5]), C(d[6]), C(d[7]), \
            C(d[8]), C(d[9]), C(d[10]), C(d[11]), C(d[12]), C(d[13]), C(d[14]), C(d[15]) \
            : "l"(a), "l"(b), "r"(accumulate) : "memory"); \
    }

template <> struct Wgmma<32>
{
    WGMMA32_REGISTERS(bf16, "k16.f32.bf16.bf16")
    WGMMA32_REGISTERS(f16, "k16.f32.f16.f16")
    WGMMA32_SHARED(s8, int, "+r", "k32.s32.s8.s8", "")
    WGMMA32_SHARED(e4m3, float, "+f", "k32.f32.e4m3.e4m3", ", 1, 1")
};

#define WGMMA64_REGISTERS(NAME, TYPES) \
    static __device__ __forceinline__ void NAME(float (&d)[32], const u32 (&a)[4], u64 b, int accumulate) \
    { \
        asm volatile( \
            "{ .reg .pred p; setp.ne.b32 p, %37, 0; wgmma.mma_async.sync.aligned.m64n64" TYPES " {" \
            "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
            "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31" \
            "}, {%32, %33, %34, %35}, %36, p, 1, 1, 0; }" : \
            "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]), \
            "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]), \
            "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), \
            "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31]) \
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate) : "memory"); \
    }

#define WGMMA64_SHARED(NAME, T, C, TYPES, TAIL) \
    static __device__ __forceinline__ void NAME(T (&d)[32], u64 a, u64 b, int accumulate) \
    { \
        asm volatile( \
            "{ .reg .pred p; setp.ne.b32 p, %34, 0; wgmma.mma_async.sync.aligned.m64n64" TYPES " {" \
            "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
            "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31" \
            "}, %32, %33, p" TAIL "; }" : \
            C(d[0]), C(d[1]), C(d[2]), C(d[3]), C(d[4]), C(d[5]), C(d[6]), C(d[7]), \
            C(d[8]), C(d[9]), C(d[10]), C(d[11]), C(d[12]), C(d[13]), C(d[14]), C(d[15]), \
            C(d[16]), C(d[17]), C(d[18]), C(d[19]), C(d[20]), C(d[21]), C(d[22]), C(d[23]), \
            C(d[24]), C(d[25]), C(d[26]), C(d[27]), C(d[28]), C(d[29]), C(d[30]), C(d[31]) \
            : "l"(a), "l"(b), "r"(accumulate) : "memory"); \
    }

template <> struct Wgmma<64>
{
    WGMMA64_REGISTERS(bf16, "k16.f32.bf16.bf16")
    WGMMA64_REGISTERS(f16, "k16.f32.f16.f16")
    WGMMA64_SHARED(s8, int, "+r", "k32.s32.s8.s8", "")
    WGMMA64_SHARED(e4m3, float, "+f", "k32.f32.e4m3.e4m3", ", 1, 1")
};

#define WGMMA128_REGISTERS(NAME, TYPES) \
    static __device__ __forceinline__ void NAME(float (&d)[64], const u32 (&a)[4], u64 b, int accumulate) \
    { \
        asm volatile( \
            "{ .reg .pred p; setp.ne.b32 p, %69, 0; wgmma.mma_async.sync.aligned.m64n128" TYPES " {" \
            "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
            "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
            "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
            "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63" \
            "}, {%64, %65, %66, %67}, %68, p, 1, 1, 0; }" : \
            "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]), \
            "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]), \
            "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), \
            "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31]), \
            "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]), "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), \
            "+f"(d[40]), "+f"(d[41]), "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]), \
            "+f"(d[48]), "+f"(d[49]), "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]), \
            "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63]) \
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate) : "memory"); \
    }

#define WGMMA128_SHARED(NAME, T, C, TYPES, TAIL) \
    static __device__ __forceinline__ void NAME(T (&d)[64], u64 a, u64 b, int accumulate) \
    { \
        asm volatile( \
            "{ .reg .pred p; setp.ne.b32 p, %66, 0; wgmma.mma_async.sync.aligned.m64n128" TYPES " {" \
            "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
            "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
            "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
            "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63" \
            "}, %64, %65, p" TAIL "; }" : \
            C(d[0]), C(d[1]), C(d[2]), C(d[3]), C(d[4]), C(d[5]), C(d[6]), C(d[7]), \
            C(d[8]), C(d[9]), C(d[10]), C(d[11]), C(d[12]), C(d[13]), C(d[14]), C(d[15]), \
            C(d[16]), C(d[17]), C(d[18]), C(d[19]), C(d[20]), C(d[21]), C(d[22]), C(d[23]), \
            C(d[24]), C(d[25]), C(d[26]), C(d[27]), C(d[28]), C(d[29]), C(d[30]), C(d[31]), \
            C(d[32]), C(d[33]), C(d[34]), C(d[35]), C(d[36]), C(d[37]), C(d[38]), C(d[39]), \
            C(d[40]), C(d[41]), C(d[42]), C(d[43]), C(d[44]), C(d[45]), C(d[46]), C(d[47]), \
            C(d[48]), C(d[49]), C(d[50]), C(d[51]), C(d[52]), C(d[53]), C(d[54]), C(d[55]), \
            C(d[56]), C(d[57]), C(d[58]), C(d[59]), C(d[60]), C(d[61]), C(d[62]), C(d[63]) \
            : "l"(a), "l"(b), "r"(accumulate) : "memory"); \
    }

template <> struct Wgmma<128>
{
    WGMMA128_REGISTERS(bf16, "k16.f32.bf16.bf16")
    WGMMA128_REGISTERS(f16, "k16.f32.f16.f16")
    WGMMA128_SHARED(s8, int, "+r", "k32.s32.s8.s8", "")
    WGMMA128_SHARED(e4m3, float, "+f", "k32.f32.e4m3.e4m3", ", 1, 1")
};
