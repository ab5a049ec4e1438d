// Inline PTX of the kernels, interpreted. The host rewrites asm("…" : outputs : inputs) to EMULATED_PTX("…", outputs and inputs in order).
// An instruction that is not here is an error that names it.
#pragma once
#include "emulated_program.h"

namespace emulated
{
inline float bf16_value(unsigned bits) { return bits_as<float>(bits << 16); }

inline unsigned bf16_bits(float value)
{
    const unsigned bits = bits_as<unsigned>(value);
    return value != value ? 0x7FFF : (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}

// A small float by its exponent and mantissa widths. Infinities only where the format has them.
inline float small_value(unsigned bits, int exponent, int mantissa, bool has_infinity)
{
    const int most = (1 << exponent) - 1, bias = most >> 1, e = bits >> mantissa & most, m = bits & ((1 << mantissa) - 1);
    const float sign = bits >> (exponent + mantissa) & 1 ? -1.0f : 1.0f;
    if (e == most && (has_infinity || m == (1 << mantissa) - 1))
    {
        return has_infinity && m == 0 ? sign * INFINITY : NAN;
    }

    return sign * (e == 0 ? ldexpf((float)m, 1 - bias - mantissa) : ldexpf((float)(m + (1 << mantissa)), e - bias - mantissa));
}

inline unsigned small_bits(float value, int exponent, int mantissa, bool has_infinity, bool saturates)
{
    const int most = (1 << exponent) - 1, bias = most >> 1;
    const unsigned sign = signbit(value) ? 1u << (exponent + mantissa) : 0;
    const unsigned infinity = (unsigned)most << mantissa, nan = infinity | ((1u << mantissa) - 1);
    const unsigned largest = has_infinity ? infinity - 1 : nan - 1;
    if (value != value)
    {
        return nan;
    }

    const float magnitude = fabsf(value);
    int e = isinf(magnitude) ? 0 : magnitude == 0 ? 1 - bias : ilogbf(magnitude);
    e = e < 1 - bias ? 1 - bias : e;
    const float steps = isinf(magnitude) ? INFINITY : nearbyintf(ldexpf(magnitude, mantissa - e)); // to even
    const double coded = isinf(steps) ? 1e30 : (double)steps + (double)(e + bias - 1) * (1 << mantissa);
    return coded > largest ? sign | (saturates ? largest : has_infinity ? infinity : nan) : sign | (unsigned)coded;
}

inline float f16_value(unsigned bits) { return small_value(bits & 0xFFFF, 5, 10, true); }
inline unsigned f16_bits(float value) { return small_bits(value, 5, 10, true, false); }

// One passing of one thread through a program. Other threads may pass through the same one while it waits.
class Passing
{
public:
    explicit Passing(std::vector<PtxOperand> operands) : given(operands) {}

    void run(const Program& program)
    {
        for (size_t at = 0; at < program.instructions.size();)
        {
            const Instruction& one = program.instructions[at++];
            if (one.guard >= 0 && (locals[one.guard] != 0) == one.is_guard_negated)
            {
                continue;
            }

            if (one.name == "bra")
            {
                at = program.target(one.terms[0].name);
                continue;
            }

            execute(one);
        }
    }

private:
    std::vector<PtxOperand> given;
    uint64_t locals[16] = {};

    uint64_t get(const Instruction::Term& term) const
    {
        switch (term.kind)
        {
            case Instruction::Term::Operand: return given.at(term.value).bits;
            case Instruction::Term::Local: return locals[term.value];
            case Instruction::Term::Number: return term.value;
            default:
                return term.name == "laneid" ? current->lane
                    : term.name == "warpid"  ? current->warp
                    : term.name == "cluster_ctarank" ? 0
                                             : throw std::runtime_error("the emulator has no register %" + term.name);
        }
    }

    void set(const Instruction::Term& term, uint64_t bits)
    {
        if (term.kind == Instruction::Term::Local)
        {
            locals[term.value] = bits;
            return;
        }

        PtxOperand& operand = given.at(term.value);
        operand.bits = bits;
        memcpy(operand.target, &bits, operand.bytes);
    }

    void execute(const Instruction& one)
    {
        const std::string& kind = one.parts[0];
        if (kind == "fence" || kind == "membar" || kind == "griddepcontrol" || kind == "prefetch")
        {
            return;
        }

        const bool is_known = kind == "cvt" ? convert(one)
            : kind == "mov"                 ? move(one)
            : kind == "lop3" || kind == "prmt" ? permute(one)
            : kind == "add" || kind == "sub" || kind == "mul" || kind == "fma" || kind == "min" || kind == "max" ? calculate(one)
            : kind == "cp"       ? copy(one)
            : kind == "ld"       ? load(one)
            : kind == "st"       ? store(one)
            : kind == "ldmatrix" ? load_matrix(one)
            : kind == "mma"      ? multiply(one)
            : kind == "bar"      ? meet_at(one)
            : kind == "mbarrier" ? count_arrivals(one)
            : kind == "red"      ? reduce(one)
                                 : false;
        if (!is_known)
        {
            throw std::runtime_error("the emulator does not know " + one.name);
        }
    }

    bool convert(const Instruction& one)
    {
        const std::string& from = one.type();
        const std::string to = one.parts[one.parts.size() - 2];
        const uint64_t a = get(one.terms[1]);
        const float value = from == "f32" ? bits_as<float>((unsigned)a) : from == "f16" ? f16_value(a) : from == "bf16" ? bf16_value(a) : 0;
        const bool is_pair = to.size() > 2 && to.compare(to.size() - 2, 2, "x2") == 0;
        if (is_pair && from == "f32")
        {
            set(one.terms[0], small(to, value) << (to[0] == 'e' ? 8 : 16) | small(to, bits_as<float>((unsigned)get(one.terms[2]))));
        }
        else if (to == "f16x2" && (from == "e4m3x2" || from == "e5m2x2"))
        {
            const int exponent = from[1] - '0', mantissa = from[3] - '0';
            const unsigned low = f16_bits(small_value(a & 0xFF, exponent, mantissa, exponent == 5));
            set(one.terms[0], f16_bits(small_value(a >> 8 & 0xFF, exponent, mantissa, exponent == 5)) << 16 | low);
        }
        else if (to == "f32" && (from == "f16" || from == "bf16"))
        {
            set(one.terms[0], bits_as<unsigned>(value));
        }
        else if ((to == "bf16" || to == "f16") && from == "f32")
        {
            set(one.terms[0], small(to, value));
        }
        else if ((to == "u16" && from == "u32") || (to == "u32" && from == "u16"))
        {
            set(one.terms[0], a & 0xFFFF);
        }
        else
        {
            return false;
        }

        return true;
    }

    // One number of a pair, or a single one. Pairs of 8 bits saturate, as the instruction demands.
    static unsigned small(const std::string& type, float value)
    {
        return type[0] == 'b' ? bf16_bits(value)
            : type[0] == 'f'  ? f16_bits(value)
                              : small_bits(value, type[1] - '0', type[3] - '0', type[1] == '5', true);
    }

    bool move(const Instruction& one)
    {
        if (one.sizes[0] == 2) // mov.b32 {low, high}, pair
        {
            const uint64_t pair = get(one.terms[2]);
            const int half = one.type() == "b64" ? 32 : 16;
            set(one.terms[0], pair & ((1ull << half) - 1));
            set(one.terms[1], pair >> half);
        }
        else if (one.sizes[1] == 2)
        {
            const int half = one.type() == "b64" ? 32 : 16;
            set(one.terms[0], get(one.terms[2]) << half | (get(one.terms[1]) & ((1ull << half) - 1)));
        }
        else
        {
            set(one.terms[0], get(one.terms[1]));
        }

        return true;
    }

    bool permute(const Instruction& one)
    {
        const unsigned a = get(one.terms[1]), b = get(one.terms[2]), c = get(one.terms[3]);
        if (one.parts[0] == "prmt")
        {
            set(one.terms[0], __byte_perm(a, b, c));
            return true;
        }

        const unsigned table = get(one.terms[4]);
        unsigned result = 0;
        for (int i = 0; i < 32; i++)
        {
            result |= (table >> ((a >> i & 1) << 2 | (b >> i & 1) << 1 | (c >> i & 1)) & 1) << i;
        }

        set(one.terms[0], result);
        return true;
    }

    bool calculate(const Instruction& one)
    {
        const bool is_bf16 = one.type() == "bf16x2";
        if (!is_bf16 && one.type() != "f16x2")
        {
            return false;
        }

        unsigned result = 0;
        for (int half = 0; half < 2; half++)
        {
            double x[3] = {};
            for (size_t i = 1; i < one.terms.size(); i++)
            {
                const unsigned bits = get(one.terms[i]) >> 16 * half & 0xFFFF;
                x[i - 1] = is_bf16 ? bf16_value(bits) : f16_value(bits);
            }

            const std::string& kind = one.parts[0];
            const double exact = kind == "add" ? x[0] + x[1]
                : kind == "sub"                ? x[0] - x[1]
                : kind == "mul"                ? x[0] * x[1]
                : kind == "min"                ? fmin(x[0], x[1])
                : kind == "max"                ? fmax(x[0], x[1])
                                               : x[0] * x[1] + x[2];
            result |= (is_bf16 ? bf16_bits((float)exact) : f16_bits((float)exact)) << 16 * half;
        }

        set(one.terms[0], result);
        return true;
    }

    bool copy(const Instruction& one)
    {
        Thread& thread = *current;
        if (one.starts("cp.async.ca.shared") || one.starts("cp.async.cg.shared"))
        {
            const int bytes = get(one.terms[2]);
            const int present = one.terms.size() > 3 ? (int)get(one.terms[3]) : bytes;
            const uint64_t from = get(one.terms[1]);
            const unsigned to = get(one.terms[0]);
            if (to % bytes != 0 || (present > 0 && from % bytes != 0))
            {
                throw std::runtime_error(one.name + " of " + std::to_string(bytes) + " bytes to or from an address that is no multiple of them");
            }

            thread.copies.push_back({shared_pointer(to), (const void*)from, bytes, present, thread.groups});
        }
        else if (one.name == "cp.async.commit_group")
        {
            thread.groups++;
        }
        else if (one.name == "cp.async.wait_group" || one.name == "cp.async.wait_all")
        {
            const int before = one.terms.empty() ? thread.groups + 1 : thread.groups - (int)get(one.terms[0]);
            std::vector<Copy> later;
            for (const Copy& c : thread.copies)
            {
                if (c.group >= before)
                {
                    later.push_back(c);
                    continue;
                }

                perform(c);
            }

            thread.copies = later;
        }
        else if (one.name == "cp.async.mbarrier.arrive.noinc.shared::cta.b64")
        {
            // Nobody waits for these copies but at the barrier: they may be there at once.
            for (const Copy& c : thread.copies)
            {
                perform(c);
            }

            thread.copies.clear();
            CountingBarrier::at(get(one.terms[0])).arrive();
        }
        else
        {
            return false;
        }

        return true;
    }

    static void perform(const Copy& c)
    {
        memset(c.to, 0, c.bytes);
        memcpy(c.to, c.from, c.present);
    }

    static int element_bytes(const std::string& type) { return std::stoi(type.substr(1)) / 8; }

    static void* place(const Instruction& one, uint64_t address)
    {
        return one.has("shared") || one.has("shared::cta") ? shared_pointer(address) : (void*)address;
    }

    // Vectors lie at multiples of their size.
    static char* aligned(const Instruction& one, uint64_t address, int bytes)
    {
        if (address % bytes != 0)
        {
            throw std::runtime_error(one.name + " at an address that is no multiple of " + std::to_string(bytes));
        }

        return (char*)place(one, address);
    }

    bool load(const Instruction& one)
    {
        const int count = one.sizes[0], bytes = element_bytes(one.type());
        const char* from = aligned(one, get(one.terms[count]), count * bytes);
        if (one.has("acquire"))
        {
            yield(); // it may be looked at until another thread has changed it
        }

        for (int i = 0; i < count; i++)
        {
            uint64_t value = 0;
            memcpy(&value, from + i * bytes, bytes);
            set(one.terms[i], value);
        }

        return true;
    }

    bool store(const Instruction& one)
    {
        const int count = one.sizes[1], bytes = element_bytes(one.type());
        char* to = aligned(one, get(one.terms[0]), count * bytes);
        for (int i = 0; i < count; i++)
        {
            const uint64_t value = get(one.terms[1 + i]);
            memcpy(to + i * bytes, &value, bytes);
        }

        return true;
    }

    bool load_matrix(const Instruction& one)
    {
        const int count = one.sizes[0];
        const bool is_transposed = one.has("trans");
        const unsigned address = get(one.terms[count]);
        memcpy(warp().slots[current->lane], &address, sizeof address);
        meet_lanes(0xFFFFFFFFu, "ldmatrix");
        unsigned result[4] = {};
        for (int matrix = 0; matrix < count; matrix++)
        {
            for (int half = 0; half < 2; half++)
            {
                const int major = current->lane / 4, minor = 2 * (current->lane % 4) + half;
                unsigned row;
                memcpy(&row, warp().slots[8 * matrix + (is_transposed ? minor : major)], sizeof row);
                uint16_t element;
                memcpy(&element, aligned(one, row, 16) + 2 * (is_transposed ? major : minor), sizeof element);
                result[matrix] |= (unsigned)element << 16 * half;
            }
        }

        meet_lanes(0xFFFFFFFFu, "ldmatrix");
        for (int matrix = 0; matrix < count; matrix++)
        {
            set(one.terms[matrix], result[matrix]);
        }

        return true;
    }

    static double element(const std::string& type, unsigned word, int index)
    {
        return type == "bf16"  ? bf16_value(word >> 16 * index & 0xFFFF)
            : type == "f16"    ? f16_value(word >> 16 * index & 0xFFFF)
            : type == "s8"     ? (int8_t)(word >> 8 * index)
            : type == "u8"     ? (uint8_t)(word >> 8 * index)
            : type == "e4m3"   ? small_value(word >> 8 * index & 0xFF, 4, 3, false)
            : type == "e5m2"   ? small_value(word >> 8 * index & 0xFF, 5, 2, true)
                               : throw std::runtime_error("the emulator has no mma of " + type);
    }

    // mma.sync.aligned.m16n8kK.row.col.D.A.B.C: the lane of row r and words w is 4 * (r % 8) + w % 4.
    bool multiply(const Instruction& one)
    {
        const size_t n = one.parts.size();
        const std::string &type_a = one.parts[n - 3], &type_b = one.parts[n - 2];
        if (!one.has("row") || !one.has("col") || one.name.find(".m16n8k") == std::string::npos || one.sizes[0] != 4)
        {
            return false;
        }

        const int words_a = one.sizes[1], words_b = one.sizes[2], per_word = type_a.find("16") != std::string::npos ? 2 : 4;
        unsigned own[6] = {};
        for (int i = 0; i < words_a + words_b; i++)
        {
            own[i < words_a ? i : i - words_a + 4] = get(one.terms[4 + i]);
        }

        memcpy(warp().slots[current->lane], own, sizeof own);
        meet_lanes(0xFFFFFFFFu, "mma");
        uint64_t results[4];
        for (int i = 0; i < 4; i++)
        {
            const int row = current->lane / 4 + 8 * (i / 2), column = 2 * (current->lane % 4) + i % 2;
            double sum = 0;
            for (int k = 0; k < words_b * 4 * per_word; k++)
            {
                unsigned a[6], b[6];
                const int word = k / per_word;
                memcpy(a, warp().slots[4 * (row % 8) + word % 4], sizeof a);
                memcpy(b, warp().slots[4 * column + word % 4], sizeof b);
                sum += element(type_a, a[row / 8 + 2 * (word / 4)], k % per_word) * element(type_b, b[4 + word / 4], k % per_word);
            }

            const unsigned before = get(one.terms[4 + words_a + words_b + i]);
            results[i] = one.type() == "s32" ? (unsigned)((int)before + (int)sum) : bits_as<unsigned>((float)(bits_as<float>(before) + sum));
        }

        meet_lanes(0xFFFFFFFFu, "mma");
        for (int i = 0; i < 4; i++)
        {
            set(one.terms[i], results[i]);
        }

        return true;
    }

    bool meet_at(const Instruction& one)
    {
        if (!one.starts("bar.sync"))
        {
            return false;
        }

        meet_block((int)get(one.terms[0]), one.terms.size() > 1 ? (int)get(one.terms[1]) : 0, "bar.sync");
        return true;
    }

    bool count_arrivals(const Instruction& one)
    {
        if (one.starts("mbarrier.init.shared"))
        {
            CountingBarrier::init(get(one.terms[0]), (unsigned)get(one.terms[1]));
        }
        else if (one.name == "mbarrier.arrive.shared::cta.b64")
        {
            CountingBarrier::at(get(one.terms[1])).arrive();
            set(one.terms[0], 0); // the state, by which nothing of the kernels waits
        }
        else if (one.starts("mbarrier.try_wait.parity.shared"))
        {
            CountingBarrier::at(get(one.terms[1])).wait((unsigned)get(one.terms[2]));
            set(one.terms[0], 1);
        }
        else
        {
            return false;
        }

        return true;
    }

    bool reduce(const Instruction& one)
    {
        if (!one.has("add") || one.type() != "u32")
        {
            return false;
        }

        *(unsigned*)aligned(one, get(one.terms[0]), 4) += (unsigned)get(one.terms[1]);
        current_block->progress++;
        return true;
    }
};
}

#define EMULATED_PTX(text, ...) do { static emulated::Program program(text); emulated::Passing({__VA_ARGS__}).run(program); } while (0)
