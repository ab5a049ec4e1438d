// Attention of one new token a sequence over a cache: rotary positions, the cache's new row, softmax in one pass (Dao et al. 2022),
// split over the keys (Dao et al. 2023, "Flash-Decoding").
//
// Grid (splits, key-value heads, sequences). A block takes a range of keys for all query heads that share them; the block that
// finishes last for a head puts the ranges together. How many ranges there are follows from the position, which lies in device
// memory, so that one recorded launch serves every length; blocks without a range leave at once.
//
// Compiled for:
//   ACT     TYPE_BF16, TYPE_F16, TYPE_F32: type of activations and of a cache of plain numbers
//   HEAD    numbers of a head, a multiple of 8
//   GROUP   query heads that share a key-value head
//   NORM    1: queries and keys are normalized head by head and multiplied by gains
//   CACHE   0 numbers of type ACT; 1 int8, 2 float8 e4m3 with a scale a row; 3 int4 with a step and a least value a group
//   CACHE_SCALE  type of those scales
//   CACHE_GROUP  numbers that share a step (int4)
//   WARPS   of a block
// Variant: -DACT=1 -DHEAD=128 -DGROUP=1 -DNORM=0 -DCACHE=0 -DCACHE_SCALE=3 -DCACHE_GROUP=128 -DWARPS=16
// Variant: -DACT=2 -DHEAD=64 -DGROUP=4 -DNORM=1 -DCACHE=1 -DCACHE_SCALE=3 -DCACHE_GROUP=64 -DWARPS=8
// Variant: -DACT=1 -DHEAD=128 -DGROUP=4 -DNORM=0 -DCACHE=2 -DCACHE_SCALE=3 -DCACHE_GROUP=128 -DWARPS=4
// Variant: -DACT=1 -DHEAD=128 -DGROUP=8 -DNORM=0 -DCACHE=3 -DCACHE_SCALE=3 -DCACHE_GROUP=32 -DWARPS=2
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
    float* partial;      // [B, KV, splits, GROUP, HEAD + 2]
    u32* arrived;        // [B, KV], zeros, and zeros again afterwards
    long long capacity;  // rows of a head in the cache
    int kv_heads;
    int window; // keys that a query sees at most
    float scale; // of scores, times log2(e)
    float epsilon;
};

constexpr int Vectors = HEAD / 8;
constexpr int LanesOfKey = Vectors <= 1 ? 1 : Vectors <= 2 ? 2 : Vectors <= 4 ? 4 : Vectors <= 8 ? 8 : Vectors <= 16 ? 16 : 32;
constexpr int KeysOfWarp = 32 / LanesOfKey;
constexpr int Together = 4; // keys of a lane whose loads are in flight at once
constexpr int Warps = WARPS, Threads = 32 * WARPS;
constexpr int Slots = Warps * KeysOfWarp; // keys of a block that are looked at together
constexpr int LeastKeys = 2 * Slots * Together; // of a range: two rounds cost less than putting ranges together
constexpr float Lowest = -1e30f;

// A head of the new token: normalized, turned to its position, rounded as activations are.
__device__ __forceinline__ float turned(const void* head, const void* gain, const AttendArguments& a, int position, int d, float inverse)
{
    auto number = [&](int i) {
        float value = load_number<ACT>(head, i);
#if NORM
        value = rounded<ACT>(rounded<ACT>(value * inverse) * load_number<ACT>(gain, i));
#endif
        return value;
    };
    const int half = HEAD / 2;
    const float other = d < half ? -number(d + half) : number(d - half);
    const long long at = (long long)position * HEAD + d;
    return rounded<ACT>(number(d) * a.cosine[at] + other * a.sine[at]);
}

// 1 / root mean square of a head; by one warp.
__device__ __forceinline__ float inverse_of(const void* head, float epsilon)
{
#if NORM
    float square = 0;
    for (int d = threadIdx.x & 31; d < HEAD; d += 32)
    {
        const float value = load_number<ACT>(head, d);
        square += value * value;
    }

    return rsqrtf(sum_of_warp(square) / HEAD + epsilon);
#else
    return 1;
#endif
}

extern "C" __global__ void __launch_bounds__(Threads) attend(const __grid_constant__ AttendArguments a)
{
    __shared__ float queries[GROUP][HEAD];
    __shared__ float fresh[2][HEAD];
    __shared__ float sums[Warps][GROUP][HEAD];
    __shared__ float tops[Warps][GROUP], totals[Warps][GROUP];
    __shared__ bool is_last;
    const int warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
    const int kv = blockIdx.y, b = blockIdx.z;
    admit_successor();

    // Position and older rows were written by earlier steps: only the new token's projections wait for the kernel before.
    const int position = *a.position, length = position + 1;
    const int begin_of_all = length > a.window ? length - a.window : 0;
    int keys_of_range = (length - begin_of_all + gridDim.x - 1) / gridDim.x;
    keys_of_range = keys_of_range < LeastKeys ? LeastKeys : keys_of_range;
    const int ranges = (length - begin_of_all + keys_of_range - 1) / keys_of_range;
    if ((int)blockIdx.x >= ranges)
    {
        await_predecessor();
        return;
    }

    const int begin = begin_of_all + blockIdx.x * keys_of_range;
    const int end = begin + keys_of_range < length ? begin + keys_of_range : length;
    const bool has_fresh = end == length;
    const int end_of_old = has_fresh ? position : end;
    const int heads = a.kv_heads * GROUP;
    const long long row = (long long)b * (heads + 2 * a.kv_heads) * HEAD;
    constexpr int ElementBytes = ACT == TYPE_F32 ? 4 : 2;
    const u8* const of_row = (const u8*)a.qkv + row * ElementBytes;
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
    await_predecessor();

    // Queries; and in the block whose range ends with the new token, its key and value.
    for (int i = warp; i < GROUP + (has_fresh ? 2 : 0); i += Warps)
    {
        const int head_index = i < GROUP ? kv * GROUP + i : heads + (i - GROUP) * a.kv_heads + kv;
        const u8* const head = of_row + (long long)head_index * HEAD * ElementBytes;
        const float inverse = i <= GROUP ? inverse_of(head, a.epsilon) : 1;
        for (int d = lane; d < HEAD; d += 32)
        {
            if (i < GROUP)
            {
                queries[i][d] = turned(head, a.query_gain, a, position, d, inverse) * a.scale;
            }
            else
            {
                fresh[i - GROUP][d] = i == GROUP ? turned(head, a.key_gain, a, position, d, inverse) : load_number<ACT>(head, d);
            }
        }

        if (i >= GROUP)
        {
            __syncwarp();
            write_row(i == GROUP ? a.keys : a.values, cache_head + position, fresh[i - GROUP]);
        }
    }

    __syncthreads();
    float query[GROUP][8], top[GROUP], total[GROUP], sum[GROUP][8];
#pragma unroll
    for (int i = 0; i < GROUP; i++)
    {
        top[i] = Lowest, total[i] = 0;
#pragma unroll
        for (int e = 0; e < 8; e++)
        {
            query[i][e] = holds ? queries[i][part * 8 + e] : 0;
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
        float score[GROUP][Together];
#pragma unroll
        for (int u = 0; u < Together; u++)
        {
            float numbers[8];
            key[u].decode(numbers);
            const bool exists = first + u * Slots + slot < end_of_old;
#pragma unroll
            for (int i = 0; i < GROUP; i++)
            {
                const float dot = score_of(numbers, i);
                score[i][u] = exists ? dot : Lowest;
            }
        }

#pragma unroll
        for (int i = 0; i < GROUP; i++)
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
            for (int i = 0; i < GROUP; i++)
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
            numbers[e] = holds ? fresh[0][part * 8 + e] : 0;
        }

#pragma unroll
        for (int i = 0; i < GROUP; i++)
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
                    sum[i][e] = sum[i][e] * shrink + weight * (holds ? fresh[1][part * 8 + e] : 0);
                }
            }
        }
    }

    // The lanes of a warp that hold the same part of different keys, then the warps.
#pragma unroll
    for (int i = 0; i < GROUP; i++)
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
                sums[warp][i][part * 8 + e] = sum[i][e];
            }
        }

        if (lane == 0)
        {
            tops[warp][i] = top[i], totals[warp][i] = total[i];
        }
    }

    __syncthreads();
    float* const partial = a.partial + ((long long)b * a.kv_heads + kv) * gridDim.x * GROUP * (HEAD + 2);
    for (int index = threadIdx.x; index < GROUP * HEAD; index += Threads)
    {
        const int i = index / HEAD, d = index % HEAD;
        float highest = Lowest, all = 0, result = 0;
#pragma unroll
        for (int w = 0; w < Warps; w++)
        {
            highest = fmaxf(highest, tops[w][i]);
        }

#pragma unroll
        for (int w = 0; w < Warps; w++)
        {
            const float weight = exp2f(tops[w][i] - highest);
            all += weight * totals[w][i];
            result += weight * sums[w][i][d];
        }

        if (ranges == 1)
        {
            store_number<ACT>(a.out, ((long long)b * heads + kv * GROUP + i) * HEAD + d, result / all);
        }
        else
        {
            float* const to = partial + ((long long)blockIdx.x * GROUP + i) * (HEAD + 2);
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
    __syncthreads();
    if (threadIdx.x == 0)
    {
        u32* const arrived = a.arrived + b * a.kv_heads + kv;
        is_last = atomicAdd(arrived, 1u) == (u32)ranges - 1;
        if (is_last)
        {
            *arrived = 0;
        }
    }

    __syncthreads();
    if (!is_last)
    {
        return;
    }

    __threadfence();
    for (int index = threadIdx.x; index < GROUP * HEAD; index += Threads)
    {
        const int i = index / HEAD, d = index % HEAD;
        const float* const of_head = partial + (long long)i * (HEAD + 2);
        constexpr long long Stride = (long long)GROUP * (HEAD + 2);
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

        store_number<ACT>(a.out, ((long long)b * heads + kv * GROUP + i) * HEAD + d, result / all);
    }
}
