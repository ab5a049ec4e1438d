// A GPU's block on the CPU: lets a .cu file be compiled as C++ and run lane by lane, so that mistakes of index arithmetic, of barriers and of
// fragments show without a device. Written for tests: slow, deterministic, one block after the other.
//
// Each thread of a block is a fiber. It runs until it waits: at a barrier of the block, at one in shared memory, for the lanes of its warp, or
// for a number that another thread changes. When no thread can go on, the kernel has a deadlock, which is told. Asynchronous copies arrive when
// they are waited for, or when they arrive at a barrier, and not before; dynamic shared memory begins as NaN. Blocks run in order, so a block
// may wait for earlier ones only.
#pragma once
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __grid_constant__
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

struct uint3 { unsigned x, y, z; };
struct float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(8) int2 { int x, y; };
struct alignas(16) int4 { int x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }

namespace emulated
{
const int WarpSize = 32, MostThreads = 1024, StackBytes = 256 << 10, SharedBytes = 232 << 10, SlotBytes = 64, IdleRounds = 64;

// Shared addresses of 32 bits count from here, those of __shared__ variables too: they lie in the same library.
alignas(1024) inline unsigned char dynamic_shared[SharedBytes];
inline unsigned shared_offset(const void* pointer) { return (unsigned)((const char*)pointer - (const char*)dynamic_shared); }
inline void* shared_pointer(uint64_t offset) { return (char*)dynamic_shared + (int32_t)offset; }

struct Barrier
{
    int arrived = 0;
    uint64_t generation = 0;
    const char* kind = "";
};

struct CountingBarrier; // of emulated_barrier.h

struct Copy { void* to; const void* from; int bytes, present, group; };

struct Thread
{
    ucontext_t context;
    uint3 index;
    int lane, warp;
    bool is_done = false;
    Barrier* waits_for = nullptr;
    uint64_t generation = 0;
    const CountingBarrier* waits_at = nullptr; // in shared memory
    unsigned parity = 0;
    std::vector<Copy> copies;
    int groups = 0;
};

struct Warp
{
    struct Group { unsigned mask; Barrier barrier; };
    unsigned live = 0;
    alignas(16) unsigned char slots[WarpSize][SlotBytes];
    std::vector<Group*> groups; // lanes that meet, by mask
};

struct Block
{
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    Barrier barriers[16];
    int live = 0;
    uint64_t progress = 0;
    std::string failure;
    ucontext_t scheduler;
    void (*body)(void*) = nullptr;
    void* state = nullptr;
    uint3 index, block, grid;
};

inline Block* current_block;
inline Thread* current;

// Gives way to others. Whoever does it again and again waits in a loop.
inline void yield() { swapcontext(&current->context, &current_block->scheduler); }

inline void release(Barrier& barrier)
{
    barrier.arrived = 0;
    barrier.generation++;
    current_block->progress++;
}

// Waits until as many threads as expected are here. All must be here for the same reason.
inline void meet(Barrier& barrier, int expected, const char* kind)
{
    if (barrier.arrived > 0 && strcmp(barrier.kind, kind) != 0)
    {
        throw std::runtime_error(std::string("threads that should do the same are at ") + barrier.kind + " and at " + kind);
    }

    barrier.kind = kind;
    current_block->progress++;
    if (++barrier.arrived >= expected)
    {
        release(barrier);
        return;
    }

    current->waits_for = &barrier;
    current->generation = barrier.generation;
    while (barrier.generation == current->generation)
    {
        yield();
    }

    current->waits_for = nullptr;
}

inline void meet_block(int id, int count, const char* kind) { meet(current_block->barriers[id], count > 0 ? count : current_block->live, kind); }

inline Warp& warp() { return current_block->warps[current->warp]; }

inline void meet_lanes(unsigned mask, const char* kind)
{
    Warp& own = warp();
    if (!(mask >> current->lane & 1))
    {
        throw std::runtime_error(std::string(kind) + ": lane " + std::to_string(current->lane) + " is not in its own mask");
    }

    Warp::Group* found = nullptr;
    for (Warp::Group* group : own.groups)
    {
        found = group->mask == mask ? group : found;
    }

    if (found == nullptr)
    {
        found = new Warp::Group{mask, {}};
        own.groups.push_back(found);
    }

    meet(found->barrier, __builtin_popcount(mask & own.live), kind);
}

inline void leave()
{
    Thread& thread = *current;
    Block& block = *current_block;
    Warp& own = warp();
    thread.is_done = true;
    own.live &= ~(1u << thread.lane);
    block.live--;
    block.progress++;
    // A thread that has ended counts as arrived.
    if (block.barriers[0].arrived > 0 && block.barriers[0].arrived >= block.live)
    {
        release(block.barriers[0]);
    }

    for (Warp::Group* group : own.groups)
    {
        if (group->barrier.arrived > 0 && group->barrier.arrived >= __builtin_popcount(group->mask & own.live))
        {
            release(group->barrier);
        }
    }
}

inline void fiber()
{
    try
    {
        current_block->body(current_block->state);
    }
    catch (const std::exception& e)
    {
        if (current_block->failure.empty())
        {
            const uint3 t = current->index, b = current_block->index;
            char place[160];
            snprintf(place, sizeof place, "thread [%u, %u, %u] of block [%u, %u, %u]: ", t.x, t.y, t.z, b.x, b.y, b.z);
            current_block->failure = place + std::string(e.what());
        }
    }

    leave();
    yield();
}

// The value that another lane has; what lanes outside the mask or ended ones have is nobody's to read.
template <class T, class Source>
T exchange(unsigned mask, T value, const char* kind, Source source)
{
    static_assert(sizeof(T) <= SlotBytes, "a slot is too small");
    memcpy(warp().slots[current->lane], &value, sizeof value);
    const unsigned live = warp().live;
    meet_lanes(mask, kind);
    const int from = source(current->lane);
    if (((mask & live) >> from & 1) == 0)
    {
        throw std::runtime_error(std::string(kind) + " reads lane " + std::to_string(from) + ", which does not take part");
    }

    T result;
    memcpy(&result, warp().slots[from], sizeof result);
    meet_lanes(mask, kind);
    return result;
}

inline void start_block(Block& block, char* stacks)
{
    const unsigned count = block.block.x * block.block.y * block.block.z;
    memset(dynamic_shared, 0xFF, sizeof dynamic_shared);
    block.threads = std::vector<Thread>(count);
    block.warps = std::vector<Warp>((count + WarpSize - 1) / WarpSize);
    block.live = count;
    for (unsigned i = 0; i < count; i++)
    {
        Thread& thread = block.threads[i];
        thread.index = {i % block.block.x, i / block.block.x % block.block.y, i / (block.block.x * block.block.y)};
        thread.lane = i % WarpSize;
        thread.warp = i / WarpSize;
        block.warps[thread.warp].live |= 1u << thread.lane;
        getcontext(&thread.context);
        thread.context.uc_stack.ss_sp = stacks + (size_t)i * StackBytes;
        thread.context.uc_stack.ss_size = StackBytes;
        thread.context.uc_link = nullptr;
        makecontext(&thread.context, fiber, 0);
    }
}

}

#include "emulated_barrier.h"

namespace emulated
{
inline bool is_waiting(const Thread& thread)
{
    return thread.waits_at != nullptr ? !thread.waits_at->has_passed(thread.parity)
        : thread.waits_for != nullptr && thread.waits_for->generation == thread.generation;
}

// How many threads wait at which barriers.
inline std::string waiting(const Block& block)
{
    std::vector<std::pair<std::string, int>> places;
    for (const Thread& thread : block.threads)
    {
        const std::string place = thread.waits_at != nullptr ? "the barrier " + thread.waits_at->name()
            : thread.waits_for != nullptr                    ? thread.waits_for->kind
                                                             : "a loop";
        size_t at = 0;
        for (; at < places.size() && places[at].first != place; at++)
        {
        }

        if (!thread.is_done && at == places.size())
        {
            places.push_back({place, 0});
        }

        if (!thread.is_done)
        {
            places[at].second++;
        }
    }

    std::string text;
    for (const auto& [place, count] : places)
    {
        text += (text.empty() ? "" : ", ") + std::to_string(count) + (text.empty() ? " threads wait at " : " at ") + place;
    }

    return text;
}

inline void run_block(Block& block, char* stacks)
{
    start_block(block, stacks);
    current_block = &block;
    // Threads that look at memory in a loop may need some rounds to see what others did in one.
    for (int idle = 0; block.live > 0 && block.failure.empty();)
    {
        const uint64_t before = block.progress;
        bool can_go_on = false;
        for (Thread& thread : block.threads)
        {
            if (!thread.is_done && !is_waiting(thread))
            {
                can_go_on = true;
                current = &thread;
                swapcontext(&block.scheduler, &thread.context);
            }
        }

        idle = block.progress == before ? idle + 1 : 0;
        if ((idle > IdleRounds || !can_go_on) && block.live > 0 && block.failure.empty())
        {
            block.failure = "deadlock: " + waiting(block) + ", for others that never come";
        }
    }

    for (Warp& own : block.warps)
    {
        for (Warp::Group* group : own.groups)
        {
            delete group;
        }
    }
}

// Runs a kernel; null or what went wrong, which stays valid until the next run.
template <class Arguments>
const char* run(void (*kernel)(Arguments), const void* arguments, size_t bytes, const unsigned* grid, const unsigned* block, unsigned shared)
{
    static std::string failure;
    struct State { void (*kernel)(Arguments); const Arguments* arguments; } state{kernel, (const Arguments*)arguments};
    const unsigned count = block[0] * block[1] * block[2];
    if (bytes != sizeof(Arguments) || count == 0 || count > MostThreads || shared > SharedBytes)
    {
        failure = "the kernel takes " + std::to_string(sizeof(Arguments)) + " bytes, got " + std::to_string(bytes) + "; " + std::to_string(count)
            + " threads a block and " + std::to_string(shared) + " bytes of shared memory were asked for";
        return failure.c_str();
    }

    const size_t stack_bytes = (size_t)count * StackBytes;
    char* stacks = (char*)mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    failure.clear();
    for (unsigned i = 0; i < grid[0] * grid[1] * grid[2] && failure.empty(); i++)
    {
        Block one;
        one.index = {i % grid[0], i / grid[0] % grid[1], i / (grid[0] * grid[1])};
        one.block = {block[0], block[1], block[2]};
        one.grid = {grid[0], grid[1], grid[2]};
        one.state = &state;
        one.body = [](void* s) { ((State*)s)->kernel(*((State*)s)->arguments); };
        run_block(one, stacks);
        failure = one.failure;
    }

    munmap(stacks, stack_bytes);
    return failure.empty() ? nullptr : failure.c_str();
}
}

#define threadIdx (emulated::current->index)
#define blockIdx (emulated::current_block->index)
#define blockDim (emulated::current_block->block)
#define gridDim (emulated::current_block->grid)
#define warpSize 32

inline void __syncthreads() { emulated::meet_block(0, 0, "__syncthreads"); }
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu) { emulated::meet_lanes(mask, "__syncwarp"); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __nanosleep(unsigned) { emulated::yield(); }
inline void __trap() { throw std::runtime_error("__trap"); }

template <class T> T __shfl_xor_sync(unsigned mask, T value, int other, int width = 32)
{
    return emulated::exchange(mask, value, "__shfl_xor_sync", [=](int lane) { return (lane ^ other) / width == lane / width ? lane ^ other : lane; });
}

template <class T> T __shfl_down_sync(unsigned mask, T value, int by, int width = 32)
{
    return emulated::exchange(mask, value, "__shfl_down_sync", [=](int lane) { return (lane + by) / width == lane / width ? lane + by : lane; });
}

template <class T> T __shfl_up_sync(unsigned mask, T value, int by, int width = 32)
{
    return emulated::exchange(mask, value, "__shfl_up_sync", [=](int lane) { return lane % width >= by ? lane - by : lane; });
}

template <class T> T __shfl_sync(unsigned mask, T value, int from, int width = 32)
{
    return emulated::exchange(mask, value, "__shfl_sync", [=](int lane) { return lane / width * width + from % width; });
}

inline unsigned __ballot_sync(unsigned mask, int predicate)
{
    const unsigned taking = mask & emulated::warp().live;
    memcpy(emulated::warp().slots[emulated::current->lane], &predicate, sizeof predicate);
    emulated::meet_lanes(mask, "__ballot_sync");
    unsigned result = 0;
    for (int lane = 0; lane < 32; lane++)
    {
        int value;
        memcpy(&value, emulated::warp().slots[lane], sizeof value);
        result |= (taking >> lane & 1) && value ? 1u << lane : 0;
    }

    emulated::meet_lanes(mask, "__ballot_sync");
    return result;
}

inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }

template <class To, class From> To bits_as(From value)
{
    static_assert(sizeof(To) == sizeof(From), "another size");
    To result;
    memcpy(&result, &value, sizeof result);
    return result;
}

inline float __uint_as_float(unsigned bits) { return bits_as<float>(bits); }
inline float __int_as_float(int bits) { return bits_as<float>(bits); }
inline unsigned __float_as_uint(float value) { return bits_as<unsigned>(value); }
inline int __float_as_int(float value) { return bits_as<int>(value); }
inline size_t __cvta_generic_to_shared(const void* pointer) { return emulated::shared_offset(pointer); }

inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector)
{
    const uint64_t both = (uint64_t)b << 32 | a;
    unsigned result = 0;
    for (int i = 0; i < 4; i++)
    {
        const unsigned pick = selector >> 4 * i & 15, byte = both >> 8 * (pick & 7) & 0xFF;
        result |= (pick & 8 ? (byte & 0x80 ? 0xFFu : 0u) : byte) << 8 * i;
    }

    return result;
}

inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __frcp_rn(float a) { return 1 / a; }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __logf(float a) { return logf(a); }
inline float __expf(float a) { return expf(a); }
inline float rsqrtf(float a) { return 1 / sqrtf(a); }
inline int __float2int_rn(float a) { return (int)rintf(a); }
inline unsigned __float2uint_rn(float a) { return (unsigned)rintf(a); }
inline float __int2float_rn(int a) { return (float)a; }
inline int __popc(unsigned a) { return __builtin_popcount(a); }
inline int __clz(unsigned a) { return a == 0 ? 32 : __builtin_clz(a); }
inline int __ffs(unsigned a) { return __builtin_ffs(a); }

inline int __dp4a(int a, int b, int c)
{
    for (int i = 0; i < 4; i++)
    {
        c += (int8_t)(a >> 8 * i) * (int8_t)(b >> 8 * i);
    }

    return c;
}

template <class A, class B> std::common_type_t<A, B> min(A a, B b) { return b < a ? b : a; }
template <class A, class B> std::common_type_t<A, B> max(A a, B b) { return a < b ? b : a; }
template <class T> T __ldg(const T* address) { return *address; }
template <class T> T __ldcs(const T* address) { return *address; }
template <class T> T __ldcg(const T* address) { return *address; }
template <class T> void __stcs(T* address, T value) { *address = value; }

template <class T, class Change> T change_at(T* address, Change change)
{
    const T old = *address;
    *address = (T)change(old);
    return old;
}

template <class T, class V> T atomicAdd(T* address, V value) { return change_at(address, [=](T old) { return old + (T)value; }); }
template <class T, class V> T atomicMax(T* address, V value) { return change_at(address, [=](T old) { return old < (T)value ? (T)value : old; }); }
template <class T, class V> T atomicMin(T* address, V value) { return change_at(address, [=](T old) { return (T)value < old ? (T)value : old; }); }
template <class T, class V> T atomicOr(T* address, V value) { return change_at(address, [=](T old) { return old | (T)value; }); }
template <class T, class V> T atomicExch(T* address, V value) { return change_at(address, [=](T) { return (T)value; }); }
template <class T> T atomicCAS(T* address, T expected, T value) { return change_at(address, [=](T old) { return old == expected ? value : old; }); }

// As CUDA's: the last of count threads to come sets it back to 0.
inline unsigned atomicInc(unsigned* address, unsigned most) { return change_at(address, [=](unsigned old) { return old >= most ? 0u : old + 1; }); }

#include "emulated_ptx.h"
