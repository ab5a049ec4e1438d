// Fragments, copies and conversions by inline PTX: the same results are asked of a device and of the emulator on the CPU.
struct FragmentArguments
{
    const float* x;
    float* y;
    long long count;
    float factor;
};

// One thread: x [8] to shared memory in two groups of copies, the second half of the first not there; all but PENDING groups are awaited.
template <int PENDING> __device__ __forceinline__ void copy_groups(const FragmentArguments& a)
{
    __shared__ float4 stage[2];
    stage[0] = stage[1] = make_float4(-1, -1, -1, -1);
    for (int i = 0; i < 2; i++)
    {
        unsigned to = (unsigned)__cvta_generic_to_shared(&stage[i]);
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(a.x + 4 * i), "r"(i == 0 ? 8 : 16) : "memory");
        asm volatile("cp.async.commit_group;" ::: "memory");
    }

    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
    ((float4*)a.y)[0] = stage[0];
    ((float4*)a.y)[1] = stage[1];
}

extern "C" __global__ void all_copies(const FragmentArguments a) { copy_groups<0>(a); }

// Only the emulator promises that the second group has not arrived.
extern "C" __global__ void older_copies(const FragmentArguments a) { copy_groups<1>(a); }

template <bool IS_BF16> __device__ __forceinline__ unsigned pack(float low, float high)
{
    unsigned pair;
    if (IS_BF16)
    {
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    }
    else
    {
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    }

    return pair;
}

// One warp: x holds A [16, 16] by rows, then B [16, 8] by rows; y becomes the product [16, 8].
template <bool IS_BF16> __device__ __forceinline__ void product(const FragmentArguments& a)
{
    const int g = threadIdx.x / 4, t = threadIdx.x % 4;
    const float* b = a.x + 256;
    unsigned p[4], q[2];
    for (int r = 0; r < 4; r++)
    {
        const float* from = a.x + 16 * (g + 8 * (r % 2)) + 2 * t + 8 * (r / 2);
        p[r] = pack<IS_BF16>(from[0], from[1]);
    }

    for (int r = 0; r < 2; r++)
    {
        const float* from = b + 8 * (2 * t + 8 * r) + g;
        q[r] = pack<IS_BF16>(from[0], from[8]);
    }

    float c[4] = {0, 0, 0, 1};
    if (IS_BF16)
    {
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(p[0]), "r"(p[1]), "r"(p[2]), "r"(p[3]), "r"(q[0]), "r"(q[1]));
    }
    else
    {
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(p[0]), "r"(p[1]), "r"(p[2]), "r"(p[3]), "r"(q[0]), "r"(q[1]));
    }

    for (int i = 0; i < 4; i++)
    {
        a.y[8 * (g + 8 * (i / 2)) + 2 * t + i % 2] = c[i] - (i == 3);
    }
}

extern "C" __global__ void product_bf16(const FragmentArguments a) { product<true>(a); }

extern "C" __global__ void product_f16(const FragmentArguments a) { product<false>(a); }

// One warp: x [8, 8] to y through the fragments of ldmatrix.
template <bool IS_TRANSPOSED> __device__ __forceinline__ void through_fragments(const FragmentArguments& a)
{
    __shared__ __align__(16) unsigned short tile[64];
    for (int i = threadIdx.x; i < 64; i += 32)
    {
        tile[i] = (unsigned short)a.x[i];
    }

    __syncthreads();
    unsigned pair, address = (unsigned)__cvta_generic_to_shared(tile + 8 * (threadIdx.x % 8));
    if (IS_TRANSPOSED)
    {
        asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(pair) : "r"(address) : "memory");
    }
    else
    {
        asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];" : "=r"(pair) : "r"(address) : "memory");
    }

    a.y[2 * threadIdx.x] = pair & 0xFFFF;
    a.y[2 * threadIdx.x + 1] = pair >> 16;
}

extern "C" __global__ void load_matrix(const FragmentArguments a) { through_fragments<false>(a); }

extern "C" __global__ void load_matrix_transposed(const FragmentArguments a) { through_fragments<true>(a); }

// y[4 i + 0, 1, 2] is x[i] rounded to float16, bfloat16 and float8 e4m3, widened again.
extern "C" __global__ void small_floats(const FragmentArguments a)
{
    const float value = a.x[threadIdx.x];
    float* y = a.y + 4 * threadIdx.x;
    unsigned short half, codes;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
    asm("cvt.f32.f16 %0, %1;" : "=f"(y[0]) : "h"(half));
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(half) : "f"(value));
    y[1] = __uint_as_float((unsigned)half << 16);
#if __CUDA_ARCH__ >= 890 || !defined(__CUDACC__)
    unsigned halves;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(codes) : "f"(0.0f), "f"(value));
    asm("{ .reg .b16 c; cvt.u16.u32 c, %1; cvt.rn.f16x2.e4m3x2 %0, c; }" : "=r"(halves) : "r"((unsigned)codes));
    asm("{ .reg .b16 lo, hi; mov.b32 {lo, hi}, %1; cvt.f32.f16 %0, lo; }" : "=f"(y[2]) : "r"(halves));
#endif
    y[3] = 0;
}
