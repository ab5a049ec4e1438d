// Attention of one new token a sequence, by the block of a key-value head and a range of its keys. Options are those of attend.cu.
#pragma once
#include "attend_cache.cuh"

struct AttendArguments
{
    const void* qkv; // [B, (H + 2 KV) * HEAD]
    void* out;       // [B, H * HEAD]
    CacheSide keys;
    CacheSide values;
    const float* cosine; // [positions, HEAD]
    const float* sine;
    const void* query_gain;
    const void* key_gain;
    const int* position; // of the new token
    float* partial;      // [B, KV, splits, SHARERS, HEAD + 2]
    u32* arrived;        // [B, KV], zeros, and zeros again afterwards
    long long capacity;  // rows of a head in the cache
    int kv_heads;
    int window; // keys that a query sees at most
    float scale; // of scores, times log2(e)
    float epsilon;
};

namespace attention
{

constexpr int Vectors = HEAD / 8;
constexpr int LanesOfKey = Vectors <= 1 ? 1 : Vectors <= 2 ? 2 : Vectors <= 4 ? 4 : Vectors <= 8 ? 8 : Vectors <= 16 ? 16 : 32;
constexpr int KeysOfWarp = 32 / LanesOfKey;
constexpr int Together = 4; // keys of a lane whose loads are in flight at once
constexpr int Warps = WARPS, Threads = 32 * WARPS;
constexpr int Slots = Warps * KeysOfWarp; // keys of a block that are looked at together
constexpr int LeastKeys = 2 * Slots * Together; // of a range: two rounds cost less than putting ranges together
constexpr float Lowest = -1e30f;
constexpr int NumbersOfLane = (HEAD + 31) / 32;

// What a block's warps share.
struct Rooms
{
    float queries[SHARERS][HEAD];
    float fresh[2][HEAD];
    float sums[Warps][SHARERS][HEAD];
    float tops[Warps][SHARERS], totals[Warps][SHARERS];
    bool is_last;
};

// Cosines and sines of the new token's position, those of a lane's numbers of a head.
struct Turn
{
    float cosine[NumbersOfLane], sine[NumbersOfLane];

    __device__ __forceinline__ void load(const AttendArguments& a, int position)
    {
#pragma unroll
        for (int i = 0; i < NumbersOfLane; i++)
        {
            const int d = i * 32 + (threadIdx.x & 31);
            const long long at = (long long)position * HEAD + (d < HEAD ? d : 0);
            cosine[i] = a.cosine[at], sine[i] = a.sine[at];
        }
    }
};

// The new token's numbers and results as they lie in memory, without marks.
struct PlainSource
{
    const void* numbers;

    // A lane's numbers of a head, 32 apart.
    __device__ __forceinline__ void load(long long first, float (&out)[NumbersOfLane]) const
    {
#pragma unroll
        for (int i = 0; i < NumbersOfLane; i++)
        {
            const int d = i * 32 + (threadIdx.x & 31);
            out[i] = d < HEAD ? load_fresh<ACT>(numbers, first + d) : 0;
        }
    }
};

struct PlainTarget
{
    void* numbers;

    __device__ __forceinline__ void store(long long at, float value) const { store_number<ACT>(numbers, at, value); }
};

// A head of the new token, by one warp: normalized, turned to its position, rounded as activations are; through shared memory, where the
// other half of each pair is.
__device__ __forceinline__ void turn_head(const float (&numbers)[NumbersOfLane], const void* gain, float epsilon, const Turn& turn, float* to)
{
    const int lane = threadIdx.x & 31;
    float own[NumbersOfLane];
#if HEAD_NORM
    float square = 0;
#pragma unroll
    for (int i = 0; i < NumbersOfLane; i++)
    {
        square += numbers[i] * numbers[i];
    }

    const float inverse = rsqrtf(sum_of_warp(square) / HEAD + epsilon);
#endif
#pragma unroll
    for (int i = 0; i < NumbersOfLane; i++)
    {
        const int d = i * 32 + lane;
        own[i] = numbers[i];
#if HEAD_NORM
        own[i] = d < HEAD ? rounded<ACT>(rounded<ACT>(own[i] * inverse) * load_number<ACT>(gain, d)) : 0;
#endif
        if (d < HEAD)
        {
            to[d] = own[i];
        }
    }

    __syncwarp();
    float turned[NumbersOfLane];
#pragma unroll
    for (int i = 0; i < NumbersOfLane; i++)
    {
        const int d = i * 32 + lane, half = HEAD / 2;
        const float other = d >= HEAD ? 0 : d < half ? -to[d + half] : to[d - half];
        turned[i] = rounded<ACT>(own[i] * turn.cosine[i] + other * turn.sine[i]);
    }

    __syncwarp();
#pragma unroll
    for (int i = 0; i < NumbersOfLane; i++)
    {
        if (i * 32 + lane < HEAD)
        {
            to[i * 32 + lane] = turned[i];
        }
    }
}

// One block's share: range `split` of `splits` at most. What it awaits before it reads the new token's projections is given; position
// and older rows were written by earlier steps. All threads of the block.
template <class Source, class Target, class Await>
__device__ __forceinline__ void attend(
    const AttendArguments& a, const Source& source, const Target& target, Rooms& rooms, int position, int split, int splits, int kv, int b,
    Await&& await)
{
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    const int length = position + 1;
    const int begin_of_all = length > a.window ? length - a.window : 0;
    int keys_of_range = (length - begin_of_all + splits - 1) / splits;
    keys_of_range = keys_of_range < LeastKeys ? LeastKeys : keys_of_range;
    const int ranges = (length - begin_of_all + keys_of_range - 1) / keys_of_range;
    if (split >= ranges)
    {
        await();
        return;
    }

    const int begin = begin_of_all + split * keys_of_range;
    const int end = begin + keys_of_range < length ? begin + keys_of_range : length;
    const bool has_fresh = end == length;
    const int end_of_old = has_fresh ? position : end;
    const int heads = a.kv_heads * SHARERS;
    const long long row = (long long)b * (heads + 2 * a.kv_heads) * HEAD;
    const long long cache_head = ((long long)b * a.kv_heads + kv) * a.capacity;
    const int part = lane % LanesOfKey, slot = warp * KeysOfWarp + lane / LanesOfKey;
    const bool holds = part < Vectors; // heads whose vectors are no power of two leave lanes idle
    CacheVector key[Together], value[Together];
    auto load = [&](int first) {
#pragma unroll
        for (int u = 0; u < Together; u++)
        {
            const int j = first + u * Slots + slot;
            const long long at = cache_head + (j < end_of_old ? j : begin);
            key[u].load(a.keys, at, holds ? part : 0);
            value[u].load(a.values, at, holds ? part : 0);
        }
    };
    load(begin);
    Turn turn;
    turn.load(a, position);
    await();

    // Queries; and in the block whose range ends with the new token, its key and value.
    for (int i = warp; i < SHARERS + (has_fresh ? 2 : 0); i += Warps)
    {
        const int head_index = i < SHARERS ? kv * SHARERS + i : heads + (i - SHARERS) * a.kv_heads + kv;
        float numbers[NumbersOfLane];
        source.load(row + (long long)head_index * HEAD, numbers);
        float* const to = i < SHARERS ? rooms.queries[i] : rooms.fresh[i - SHARERS];
        if (i <= SHARERS)
        {
            turn_head(numbers, i < SHARERS ? a.query_gain : a.key_gain, a.epsilon, turn, to);
        }
        else
        {
#pragma unroll
            for (int e = 0; e < NumbersOfLane; e++)
            {
                if (e * 32 + lane < HEAD)
                {
                    to[e * 32 + lane] = numbers[e];
                }
            }
        }

        if (i >= SHARERS)
        {
            __syncwarp();
            write_row(i == SHARERS ? a.keys : a.values, cache_head + position, rooms.fresh[i - SHARERS]);
        }
    }

    sync_threads<Threads>();
    float query[SHARERS][8], top[SHARERS], total[SHARERS], sum[SHARERS][8];
#pragma unroll
    for (int i = 0; i < SHARERS; i++)
    {
        top[i] = Lowest, total[i] = 0;
#pragma unroll
        for (int e = 0; e < 8; e++)
        {
            query[i][e] = holds ? rooms.queries[i][part * 8 + e] * a.scale : 0;
            sum[i][e] = 0;
        }
    }

    // A key's numbers times the queries, summed over the lanes that share the key.
    auto score_of = [&](const float (&numbers)[8], int i) {
        float dot = 0;
#pragma unroll
        for (int e = 0; e < 8; e++)
        {
            dot = fmaf(query[i][e], numbers[e], dot);
        }

#pragma unroll
        for (int distance = LanesOfKey / 2; distance > 0; distance >>= 1)
        {
            dot += __shfl_xor_sync(0xFFFFFFFFu, dot, distance);
        }

        return dot;
    };

    for (int first = begin; first < end_of_old; first += Slots * Together)
    {
        float score[SHARERS][Together];
#pragma unroll
        for (int u = 0; u < Together; u++)
        {
            float numbers[8];
            key[u].decode(numbers);
            const bool exists = first + u * Slots + slot < end_of_old;
#pragma unroll
            for (int i = 0; i < SHARERS; i++)
            {
                const float dot = score_of(numbers, i);
                score[i][u] = exists ? dot : Lowest;
            }
        }

#pragma unroll
        for (int i = 0; i < SHARERS; i++)
        {
            float highest = top[i];
#pragma unroll
            for (int u = 0; u < Together; u++)
            {
                highest = fmaxf(highest, score[i][u]);
            }

            const float shrink = exp2f(top[i] - highest);
            top[i] = highest;
            total[i] *= shrink;
#pragma unroll
            for (int e = 0; e < 8; e++)
            {
                sum[i][e] *= shrink;
            }

#pragma unroll
            for (int u = 0; u < Together; u++)
            {
                score[i][u] = score[i][u] <= Lowest ? 0 : exp2f(score[i][u] - highest);
                total[i] += score[i][u];
            }
        }

#pragma unroll
        for (int u = 0; u < Together; u++)
        {
            float numbers[8];
            value[u].decode(numbers);
#pragma unroll
            for (int i = 0; i < SHARERS; i++)
            {
#pragma unroll
                for (int e = 0; e < 8; e++)
                {
                    sum[i][e] = fmaf(score[i][u], numbers[e], sum[i][e]);
                }
            }
        }

        if (first + Slots * Together < end_of_old)
        {
            load(first + Slots * Together);
        }
    }

    if (has_fresh)
    {
        // All lanes compute the score; those of the first slot keep it.
        float numbers[8];
#pragma unroll
        for (int e = 0; e < 8; e++)
        {
            numbers[e] = holds ? rooms.fresh[0][part * 8 + e] : 0;
        }

#pragma unroll
        for (int i = 0; i < SHARERS; i++)
        {
            const float dot = score_of(numbers, i);
            if (slot == 0)
            {
                const float highest = fmaxf(top[i], dot), shrink = exp2f(top[i] - highest), weight = exp2f(dot - highest);
                top[i] = highest;
                total[i] = total[i] * shrink + weight;
#pragma unroll
                for (int e = 0; e < 8; e++)
                {
                    sum[i][e] = sum[i][e] * shrink + weight * (holds ? rooms.fresh[1][part * 8 + e] : 0);
                }
            }
        }
    }

    // The lanes of a warp that hold the same part of different keys, then the warps.
#pragma unroll
    for (int i = 0; i < SHARERS; i++)
    {
#pragma unroll
        for (int distance = LanesOfKey; distance < 32; distance <<= 1)
        {
            const float other = __shfl_xor_sync(0xFFFFFFFFu, top[i], distance);
            const float highest = fmaxf(top[i], other);
            const float mine = exp2f(top[i] - highest);
            top[i] = highest;
            total[i] *= mine;
            total[i] += __shfl_xor_sync(0xFFFFFFFFu, total[i], distance);
#pragma unroll
            for (int e = 0; e < 8; e++)
            {
                sum[i][e] *= mine;
                sum[i][e] += __shfl_xor_sync(0xFFFFFFFFu, sum[i][e], distance);
            }
        }

        if (lane < LanesOfKey && holds)
        {
#pragma unroll
            for (int e = 0; e < 8; e++)
            {
                rooms.sums[warp][i][part * 8 + e] = sum[i][e];
            }
        }

        if (lane == 0)
        {
            rooms.tops[warp][i] = top[i], rooms.totals[warp][i] = total[i];
        }
    }

    sync_threads<Threads>();
    float* const partial = a.partial + ((long long)b * a.kv_heads + kv) * splits * SHARERS * (HEAD + 2);
    for (int index = threadIdx.x; index < SHARERS * HEAD; index += Threads)
    {
        const int i = index / HEAD, d = index % HEAD;
        float highest = Lowest, all = 0, result = 0;
#pragma unroll
        for (int w = 0; w < Warps; w++)
        {
            highest = fmaxf(highest, rooms.tops[w][i]);
        }

#pragma unroll
        for (int w = 0; w < Warps; w++)
        {
            const float weight = exp2f(rooms.tops[w][i] - highest);
            all += weight * rooms.totals[w][i];
            result += weight * rooms.sums[w][i][d];
        }

        if (ranges == 1)
        {
            target.store(((long long)b * heads + kv * SHARERS + i) * HEAD + d, result / all);
        }
        else
        {
            float* const to = partial + ((long long)split * SHARERS + i) * (HEAD + 2);
            to[d] = result;
            if (d == 0)
            {
                to[HEAD] = highest, to[HEAD + 1] = all;
            }
        }
    }

    if (ranges == 1)
    {
        return;
    }

    __threadfence();
    sync_threads<Threads>();
    if (threadIdx.x == 0)
    {
        u32* const arrived = a.arrived + b * a.kv_heads + kv;
        rooms.is_last = atomicAdd(arrived, 1u) == (u32)ranges - 1;
        if (rooms.is_last)
        {
            *arrived = 0;
        }
    }

    sync_threads<Threads>();
    if (!rooms.is_last)
    {
        return;
    }

    __threadfence();
    for (int index = threadIdx.x; index < SHARERS * HEAD; index += Threads)
    {
        const int i = index / HEAD, d = index % HEAD;
        const float* const of_head = partial + (long long)i * (HEAD + 2);
        constexpr long long Stride = (long long)SHARERS * (HEAD + 2);
        float highest = Lowest, all = 0, result = 0;
#pragma unroll 4
        for (int r = 0; r < ranges; r++)
        {
            highest = fmaxf(highest, __ldcg(of_head + r * Stride + HEAD));
        }

#pragma unroll 4
        for (int r = 0; r < ranges; r++)
        {
            const float weight = exp2f(__ldcg(of_head + r * Stride + HEAD) - highest);
            all += weight * __ldcg(of_head + r * Stride + HEAD + 1);
            result += weight * __ldcg(of_head + r * Stride + d);
        }

        target.store(((long long)b * heads + kv * SHARERS + i) * HEAD + d, result / all);
    }
}

} // namespace attention
