// y[m, n] = sums[m, n] * token_scale[m] * scale[n] + bias[n]: what is left to do after an integer product of a library.
//
// Shapes: sums [m, n] int32, token_scale [m] float32, scale [n] or one, y and bias bf16, f16 or f32. n is a multiple of 8.
// Reads: sums once. Bound: memory. Launch: n / 2048 x m blocks of 256 threads. Reference: the same in tensor arithmetic.
//
// Defines: OUT the number of the type of y and bias.
// Variant: -DOUT=1
// Variant: -DOUT=3
#include "torchao.cuh"

struct SumArguments
{
    const int* sums;
    const float* token_scale;
    const void* scale;
    const void* bias; // or null
    void* y;
    int n;
    int scale_stride; // 0 where all rows share one
    int scale_type;
};

extern "C" __global__ void __launch_bounds__(256) scale_sums(const __grid_constant__ SumArguments args)
{
    typedef Number<OUT> Out;
    int n0 = (blockIdx.x * 256 + threadIdx.x) * 8;
    if (n0 >= args.n)
    {
        return;
    }

    long long index = (long long)blockIdx.y * args.n + n0;
    float token_scale = args.token_scale[blockIdx.y];
    int4 low = *(const int4*)(args.sums + index), high = *(const int4*)(args.sums + index + 4);
    int sums[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
    struct alignas(16) Outputs { typename Out::Stored value[8]; } outputs;
#pragma unroll
    for (int i = 0; i < 8; i++)
    {
        float scale = load_number(args.scale, (long long)(n0 + i) * args.scale_stride, args.scale_type);
        float bias = args.bias ? Out::widen(((const typename Out::Stored*)args.bias)[n0 + i]) : 0.0f;
        outputs.value[i] = Out::narrow(__fmaf_rn((float)sums[i] * token_scale, scale, bias));
    }

    *(Outputs*)((typename Out::Stored*)args.y + index) = outputs;
}
