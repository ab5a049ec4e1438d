// Inline PTX as a list of instructions with their operands: reads the text, executes nothing.
#pragma once

namespace emulated
{
struct PtxOperand
{
    void* target;  // where an output goes
    uint64_t bits; // what an input is
    int bytes;

    template <class T> static PtxOperand out(T& target, bool is_read)
    {
        PtxOperand operand{&target, 0, sizeof(T)};
        if (is_read)
        {
            memcpy(&operand.bits, &target, sizeof(T));
        }

        return operand;
    }

    template <class As, class T> static PtxOperand in(T value)
    {
        PtxOperand operand{nullptr, 0, sizeof(As)};
        const As converted = (As)value;
        memcpy(&operand.bits, &converted, sizeof converted);
        return operand;
    }
};

struct Instruction
{
    struct Term
    {
        enum Kind { Operand, Local, Number, Special, Label } kind;
        uint64_t value;
        std::string name;
    };

    std::string name;              // whole: cvt.rn.bf16x2.f32
    std::vector<std::string> parts; // between its points
    std::vector<Term> terms;       // operands, those of vectors one by one
    std::vector<int> sizes;        // terms of each operand
    int guard = -1;                // the local predicate without which it is passed over
    bool is_guard_negated = false;

    bool has(const char* part) const
    {
        for (const std::string& own : parts)
        {
            if (own == part)
            {
                return true;
            }
        }

        return false;
    }

    bool starts(const char* prefix) const { return name.compare(0, strlen(prefix), prefix) == 0; }
    const std::string& type() const { return parts.back(); }
};

class Program
{
public:
    explicit Program(const char* text)
    {
        std::string word;
        for (const char* at = text;; at++)
        {
            if (*at == ';' || *at == 0)
            {
                add(word);
                word.clear();
            }
            else if (*at == '{' && blank(word))
            {
                word.clear(); // a scope, not a vector
            }
            else
            {
                word += *at == '\n' || *at == '\t' ? ' ' : *at;
            }

            if (*at == 0)
            {
                break;
            }
        }
    }

    std::vector<Instruction> instructions;

    // Where a branch goes on.
    size_t target(const std::string& label) const
    {
        for (const auto& [name, at] : labels)
        {
            if (name == label)
            {
                return at;
            }
        }

        throw std::runtime_error("no label " + label);
    }

private:
    std::vector<std::string> names;
    std::vector<std::pair<std::string, size_t>> labels;

    static bool blank(const std::string& text) { return text.find_first_not_of(" }") == std::string::npos; }

    void add(std::string text)
    {
        size_t from = text.find_first_not_of(' ');
        if (blank(text))
        {
            return;
        }

        text = text.substr(from);
        const size_t colon = text.find(':'), space = text.find(' ');
        if (colon != std::string::npos && (colon + 1 == text.size() || colon + 1 == space))
        {
            labels.push_back({text.substr(0, colon), instructions.size()});
            add(text.substr(colon + 1));
            return;
        }

        Instruction one;
        if (text[0] == '@')
        {
            one.is_guard_negated = text[1] == '!';
            const size_t name = one.is_guard_negated ? 2 : 1;
            one.guard = (int)read_term(text.substr(name, space - name)).value;
            text = text.substr(text.find_first_not_of(' ', space));
        }

        const size_t end = text.find(' ');
        one.name = text.substr(0, end);
        std::string rest = end == std::string::npos ? "" : text.substr(end);
        if (one.name == ".reg")
        {
            declare(rest);
            return;
        }

        std::string part;
        for (char c : one.name + ".")
        {
            if (c == '.')
            {
                one.parts.push_back(part);
                part.clear();
            }
            else
            {
                part += c;
            }
        }

        if (one.name == "bra")
        {
            one.terms.push_back({Instruction::Term::Label, 0, rest.substr(rest.find_first_not_of(' '))});
        }
        else
        {
            read_terms(rest, one);
        }

        instructions.push_back(one);
    }

    void declare(const std::string& text)
    {
        std::string name;
        for (char c : text.substr(text.find('.')) + ",")
        {
            if (c == ',')
            {
                names.push_back(name);
                name.clear();
            }
            else
            {
                name = c == ' ' ? "" : name + c;
            }
        }
    }

    void read_terms(const std::string& text, Instruction& one)
    {
        std::string word;
        int depth = 0, count = 0;
        for (char c : text + ",")
        {
            depth += c == '{' ? 1 : c == '}' ? -1 : 0;
            if (c == ',' || c == '}')
            {
                if (!word.empty())
                {
                    one.terms.push_back(read_term(word));
                    count++;
                    word.clear();
                }

                if (depth == 0 && count > 0)
                {
                    one.sizes.push_back(count);
                    count = 0;
                }
            }
            else if (c != ' ' && c != '{' && c != '[' && c != ']')
            {
                word += c;
            }
        }
    }

    Instruction::Term read_term(const std::string& word)
    {
        if (word.compare(0, 2, "%%") == 0)
        {
            return {Instruction::Term::Special, 0, word.substr(2)};
        }

        if (word[0] == '%')
        {
            return {Instruction::Term::Operand, std::stoull(word.substr(1)), word};
        }

        for (size_t i = 0; i < names.size(); i++)
        {
            if (names[i] == word)
            {
                return {Instruction::Term::Local, i, word};
            }
        }

        return {Instruction::Term::Number, (uint64_t)std::stoll(word, nullptr, 0), word};
    }
};
}
