// Barriers in shared memory that count arrivals and bytes that copies bring. Needs compute capability 9.0.
#pragma once
#include "torchao.cuh"

__device__ __forceinline__ void barrier_init(u32 barrier, int arrivals)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

__device__ __forceinline__ void barrier_arrive(u32 barrier)
{
    asm volatile("{ .reg .b64 state; mbarrier.arrive.shared::cta.b64 state, [%0]; }" ::"r"(barrier) : "memory");
}

// Arrives, and says how many bytes copies will bring.
__device__ __forceinline__ void barrier_expect(u32 barrier, u32 bytes)
{
    asm volatile("{ .reg .b64 state; mbarrier.arrive.expect_tx.shared::cta.b64 state, [%0], %1; }" ::"r"(barrier), "r"(bytes) : "memory");
}

// Arrives at the barrier of another block of the cluster.
__device__ __forceinline__ void barrier_arrive_at(u32 barrier, u32 rank)
{
    asm volatile(
        "{ .reg .b32 there; mapa.shared::cluster.u32 there, %0, %1; mbarrier.arrive.release.cluster.shared::cluster.b64 _, [there]; }" ::"r"(barrier),
        "r"(rank) : "memory");
}

__device__ __forceinline__ void barrier_wait(u32 barrier, u32 parity)
{
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1, %2;\n"
        "@!done bra again;\n"
        "}\n" ::"r"(barrier), "r"(parity), "r"(10000000) : "memory"); // sleeps up to so many nanoseconds a look
}

// Arrives when all of this thread's asynchronous copies so far have arrived.
__device__ __forceinline__ void barrier_arrive_behind_copies(u32 barrier)
{
    asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(barrier) : "memory");
}
