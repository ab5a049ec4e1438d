// Barriers in shared memory that count arrivals, as mbarrier.cuh uses them.
#pragma once

namespace emulated
{
// Variables of shared memory, by which barriers are named. The host has each of them registered where it is declared.
struct SharedName { const void* address; size_t bytes; std::string name; };
inline std::vector<SharedName> shared_names;

template <class T> void name_shared(const T& variable, const char* name)
{
    for (const SharedName& one : shared_names)
    {
        if (one.address == &variable)
        {
            return;
        }
    }

    shared_names.push_back({&variable, sizeof variable, name});
}

// A barrier in shared memory that counts arrivals, in the 8 bytes that it has there: what is still expected of this round, what of each, the
// round's parity, and a mark that tells it from memory that is none.
struct CountingBarrier
{
    uint64_t pending : 20, expected : 20, parity : 1, mark : 23;

    static constexpr uint64_t Mark = 0x5AC3E1;

    static CountingBarrier& at(uint64_t address)
    {
        CountingBarrier& barrier = place(address);
        if (barrier.mark != Mark)
        {
            throw std::runtime_error("no barrier was begun at " + barrier.name());
        }

        return barrier;
    }

    static void init(uint64_t address, unsigned expected)
    {
        CountingBarrier& barrier = place(address);
        barrier.pending = barrier.expected = expected;
        barrier.parity = 0;
        barrier.mark = Mark;
        current_block->progress++;
    }

    // Whether the round of a parity is over: that of now, or the one before.
    bool has_passed(unsigned of) const { return parity != (of & 1); }

    void arrive()
    {
        current_block->progress++;
        if (--pending == 0)
        {
            pending = expected;
            parity ^= 1;
        }
    }

    void wait(unsigned of) const
    {
        current->waits_at = this;
        current->parity = of;
        while (!has_passed(of))
        {
            yield();
        }

        current->waits_at = nullptr;
        current_block->progress++;
    }

    // As the kernel calls it.
    std::string name() const
    {
        for (const SharedName& one : shared_names)
        {
            const size_t offset = (const char*)this - (const char*)one.address;
            if (offset < one.bytes)
            {
                return one.bytes == sizeof *this ? one.name : one.name + "[" + std::to_string(offset / sizeof *this) + "]";
            }
        }

        return "byte " + std::to_string(shared_offset(this)) + " of shared memory";
    }

private:
    static CountingBarrier& place(uint64_t address)
    {
        if (address % sizeof(CountingBarrier) != 0)
        {
            throw std::runtime_error("a barrier at an address that is no multiple of 8");
        }

        return *(CountingBarrier*)shared_pointer(address);
    }
};
static_assert(sizeof(CountingBarrier) == 8, "another size than that of a device");
}
