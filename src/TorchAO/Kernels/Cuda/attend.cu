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
//   SHARERS query heads that share a key-value head
//   HEAD_NORM 1: queries and keys are normalized head by head and multiplied by gains
//   CACHE   0 numbers of type ACT; 1 int8, 2 float8 e4m3 with a scale a row; 3 int4 with a step and a least value a group
//   CACHE_SCALE  type of those scales
//   CACHE_GROUP  numbers that share a step (int4)
//   WARPS   of a block
// Variant: -DACT=1 -DHEAD=128 -DSHARERS=1 -DHEAD_NORM=0 -DCACHE=0 -DCACHE_SCALE=3 -DCACHE_GROUP=128 -DWARPS=16
// Variant: -DACT=2 -DHEAD=64 -DSHARERS=4 -DHEAD_NORM=1 -DCACHE=1 -DCACHE_SCALE=3 -DCACHE_GROUP=64 -DWARPS=8
// Variant: -DACT=1 -DHEAD=128 -DSHARERS=4 -DHEAD_NORM=0 -DCACHE=2 -DCACHE_SCALE=3 -DCACHE_GROUP=128 -DWARPS=4
// Variant: -DACT=1 -DHEAD=128 -DSHARERS=8 -DHEAD_NORM=0 -DCACHE=3 -DCACHE_SCALE=3 -DCACHE_GROUP=32 -DWARPS=2
#include "attend_heads.cuh"

extern "C" __global__ void __launch_bounds__(32 * WARPS) attend(const __grid_constant__ AttendArguments a)
{
    __shared__ attention::Rooms rooms;
    admit_successor();
    attention::attend(
        a, attention::PlainSource{a.qkv}, attention::PlainTarget{a.out}, rooms, *a.position, blockIdx.x, gridDim.x, blockIdx.y, blockIdx.z,
        [] { await_predecessor(); });
}
