// Brings a box of a matrix to shared memory by the copy engine, and writes it out as it lies there.
// Architectures: sm_90a sm_100a sm_120a
struct alignas(64) TensorMap { unsigned long long words[16]; };

struct BoxArguments
{
    TensorMap map;
    unsigned char* y; // [bytes]
    int row;
    int column;
    int bytes;
};

extern "C" __global__ void copy_box(const __grid_constant__ BoxArguments a)
{
    extern __shared__ __align__(1024) unsigned char box[];
    __shared__ unsigned long long barrier;
    unsigned to = (unsigned)__cvta_generic_to_shared(box), gate = (unsigned)__cvta_generic_to_shared(&barrier);
    if (threadIdx.x == 0)
    {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(gate) : "memory");
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        asm volatile("{ .reg .b64 state; mbarrier.arrive.expect_tx.shared::cta.b64 state, [%0], %1; }" ::"r"(gate), "r"(a.bytes) : "memory");
        asm volatile(
            "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(to), "l"(&a.map),
            "r"(a.column), "r"(a.row), "r"(gate) : "memory");
    }

    __syncthreads();
    asm volatile(
        "{\n"
        ".reg .pred done;\n"
        "again:\n"
        "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], 0;\n"
        "@!done bra again;\n"
        "}" ::"r"(gate) : "memory");
    for (int i = threadIdx.x; i < a.bytes; i += blockDim.x)
    {
        a.y[i] = box[i];
    }
}
