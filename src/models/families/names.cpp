#include "models/families/names.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "models/families/family.h"
#include "models/families/registry.h"

namespace vitrail {
namespace {

// "blocks.3.attn.qkv.weight" as "blocks.#.attn.qkv.weight" and "3".
struct NamePattern {
  std::string text;
  std::vector<std::string> numbers;
};

bool is_number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

NamePattern pattern_of(std::string_view name) {
  NamePattern pattern;
  while (true) {
    const size_t dot = name.find('.');
    const std::string_view part = name.substr(0, dot);
    // The last part is a tensor or a module, whatever it is called.
    if (dot != std::string_view::npos && is_number(part)) {
      pattern.text += '#';
      pattern.numbers.emplace_back(part);
    } else {
      pattern.text += part;
    }
    if (dot == std::string_view::npos) return pattern;
    pattern.text += '.';
    name.remove_prefix(dot + 1);
  }
}

// Fills in '@' and '#'; a chunked file writes its blocks as CHUNK.INDEX.
std::string filled(std::string_view text, const Spelling& s,
                   const std::vector<std::string>& numbers) {
  std::string name;
  size_t next = 0;
  for (const char c : text) {
    if (c == '@') {
      name += s.prefix;
    } else if (c == '#' && next < numbers.size()) {
      const std::string& number = numbers[next++];
      size_t index = 0;
      std::from_chars(number.data(), number.data() + number.size(), index);
      const bool chunked = next == 1 && index < s.block_chunks.size();
      if (chunked) name += std::to_string(s.block_chunks[index]) + ".";
      name += number;
    } else {
      name += c;
    }
  }
  return name;
}

// Takes "[1:3/3]" from the end of a spelling.
std::optional<TensorPart> take_tensor_part(std::string_view& spelled) {
  if (!spelled.ends_with(']')) return std::nullopt;
  const size_t open = spelled.rfind('[');
  TensorPart part;
  const char* at = spelled.data() + open + 1;
  const char* last = spelled.data() + spelled.size() - 1;
  for (int64_t* number : {&part.begin, &part.end, &part.of})
    at = std::from_chars(at, last, *number).ptr + 1;
  spelled = spelled.substr(0, open);
  return part;
}

void add_parts(WeightRule& rule, std::string_view spelled, std::string_view suffix,
               const Spelling& s, const NamePattern& pattern) {
  while (!spelled.empty()) {
    const size_t plus = spelled.find('+');
    std::string_view part = spelled.substr(0, plus);
    rule.shares.push_back(part.ends_with("*2") ? 2 : 1);
    if (rule.shares.back() == 2) part.remove_suffix(2);
    rule.parts.push_back(filled(part, s, pattern.numbers) + std::string(suffix));
    spelled = plus == std::string_view::npos ? "" : spelled.substr(plus + 1);
  }
}

// Whether `name` is `module` or one of its tensors; gives what follows the module.
std::optional<std::string_view> suffix_after(std::string_view name, std::string_view module) {
  if (!name.starts_with(module)) return std::nullopt;
  const std::string_view rest = name.substr(module.size());
  for (const char* tensor : {"", ".weight", ".bias", ".running_mean", ".running_var"})
    if (rest == tensor) return rest;
  return std::nullopt;
}

}  // namespace

Spelling spelling_for(const Family* family, const NetworkConfig& config) {
  Spelling spelling = family->spelling_for(config);
  spelling.family = family;
  return spelling;
}

Spelling respelled(Spelling today, const Spelling& other) {
  today.generation = (today.generation & ~kAgeBit) | (other.generation & kAgeBit);
  today.prefix = other.prefix;
  today.block_chunks = other.block_chunks;
  return today;
}

std::string to_words(const Spelling& s) {
  return fmt::format("{} {} {}", name_of(s.family), s.generation, s.prefix);
}

std::optional<Spelling> spelling_from_words(const std::string& words) {
  constexpr size_t kMaxWords = 200;
  const size_t first = words.find(' ');
  if (words.size() > kMaxWords || first == std::string::npos) return std::nullopt;
  int generation = -1;
  const char* number = words.data() + first + 1;
  const char* end = words.data() + words.size();
  const auto [after, error] = std::from_chars(number, end, generation);
  if (error != std::errc() || after == end || *after != ' ' || generation < 0 ||
      generation > kMaxGeneration)
    return std::nullopt;
  for (const Family* family : families())
    if (words.substr(0, first) == family->name())
      return Spelling{family, std::string(after + 1, end), generation, {}, {}};
  return std::nullopt;
}

std::vector<std::string> names_in(const Spelling& spelling, std::string_view name) {
  return rule_for(spelling, name).parts;
}

WeightRule rule_for(const Spelling& spelling, std::string_view name) {
  WeightRule rule{.canonical = std::string(name), .parts = {}};
  const NamePattern pattern = pattern_of(spelling.family->numbered(spelling, name));
  const NameTables tables = spelling.family->tables(spelling);
  for (const std::span<const NameRow> rows : tables.rows)
    for (const NameRow& row : rows)
      if (const auto suffix = suffix_after(pattern.text, row.canonical)) {
        std::string_view theirs = row.theirs.at(static_cast<size_t>(tables.column));
        if (theirs.empty()) theirs = row.theirs[0];
        rule.part = take_tensor_part(theirs);
        add_parts(rule, theirs, *suffix, spelling, pattern);
        return rule;
      }
  if (tables.identity) rule.parts = {filled("@" + pattern.text, spelling, pattern.numbers)};
  return rule;
}

bool is_left_out(const Spelling& spelling, std::string_view name) {
  // torch's count of the batches that a normalisation has seen, in a backbone or in a head.
  if (name.ends_with(".num_batches_tracked")) return true;
  return spelling.family->is_training_part(spelling, name) ||
         (name.starts_with(spelling.prefix) &&
          spelling.family->is_left_out(name.substr(spelling.prefix.size())));
}

int64_t count_blocks(const TensorSource& tensors, const Spelling& spelling) {
  int64_t blocks = 0;
  while (true) {
    const std::string block = "blocks." + std::to_string(blocks);
    const auto there = [&](const char* attention) {
      const auto names = names_in(spelling, block + attention);
      return !names.empty() && tensors.contains(names.front());
    };
    if (!there(".attn.qkv.weight") && !there(".attns.0.attn.qkv.weight")) return blocks;
    ++blocks;
  }
}

}  // namespace vitrail
