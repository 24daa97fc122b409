// The stack machine of a pickle: one value after another, within named limits. Internal to
// pickle.cpp, which knows the opcodes, and pickle_objects.cpp, which knows torch.save's objects.
#pragma once

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "core/printable.h"
#include "formats/pickle.h"
#include "formats/pickle_globals.h"

namespace vitrail {

class PickleReader {
 public:
  using Kind = PickleValue::Kind;

  PickleReader(std::span<const std::byte> bytes, const std::string& place)
      : bytes_(reinterpret_cast<const char*>(bytes.data()), bytes.size()), place_(place) {}

  Pickle read() {
    while (!stopped_) step(take<uint8_t>());
    if (stack_.size() != 1) refuse("leaves {} values on its stack, not one", stack_.size());
    out_.root = stack_.back();
    out_.bytes = at_;
    return std::move(out_);
  }

 private:
  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail("pth", "{}: the pickle {}", place_, fmt::format(format, std::forward<Args>(args)...));
  }
  // Names come from strangers, messages have one line.
  static std::string shown(std::string_view name) { return printable(name, 60); }
  [[noreturn]] void refuse_code(std::string_view what) const {
    refuse("would call {}; a checkpoint needs no code, and none is run", what);
  }
  [[noreturn]] void refuse_call(std::string_view global) const {  // "module name"
    std::string name = shown(global);
    std::replace(name.begin(), name.end(), ' ', '.');
    refuse_code(name);
  }

  std::string_view take_bytes(uint64_t count) {
    if (count > bytes_.size() - at_)
      refuse("ends within a value: truncated? ({} bytes wanted, {} left)", count,
             bytes_.size() - at_);
    const std::string_view taken = bytes_.substr(at_, count);
    at_ += count;
    return taken;
  }
  template <typename T>
  T take() {
    T value;
    std::memcpy(&value, take_bytes(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string_view take_line() {
    const size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) refuse("ends within a name: truncated?");
    const std::string_view line = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return line;
  }

  // Every step that goes over values which did not each take bytes of their own.
  void spend(size_t work) {
    spent_ += work;
    if (spent_ > kPickleWorkBase + kPickleWorkPerByte * bytes_.size())
      refuse("of {} bytes asks for more than {} steps for each of them", bytes_.size(),
             kPickleWorkPerByte);
  }

  uint32_t add(PickleValue value) {
    if (out_.values.size() >= kMaxPickleValues)
      refuse("holds more than {} values", kMaxPickleValues);
    out_.values.push_back(std::move(value));
    return static_cast<uint32_t>(out_.values.size() - 1);
  }
  void push(PickleValue value) { stack_.push_back(add(std::move(value))); }
  void push_text(Kind kind, std::string_view text) { push({.kind = kind, .text = text}); }
  void push_integer(Kind kind, int64_t value) { push({.kind = kind, .integer = value}); }
  PickleValue& value(uint32_t index) { return out_.values[index]; }

  uint32_t pop() {
    if (stack_.size() <= floor()) refuse("takes from an empty stack");
    const uint32_t top = stack_.back();
    stack_.pop_back();
    return top;
  }
  uint32_t top() const {
    if (stack_.size() <= floor()) refuse("looks at an empty stack");
    return stack_.back();
  }
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  std::vector<uint32_t> pop_to_mark() {
    if (marks_.empty()) refuse("closes a group that it never opened");
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<uint32_t> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }
  std::vector<uint32_t> pop_several(int count) {
    std::vector<uint32_t> items(static_cast<size_t>(count));
    for (auto item = items.rbegin(); item != items.rend(); ++item) *item = pop();
    return items;
  }

  void put_in(uint32_t container, const std::vector<uint32_t>& items) {
    for (const uint32_t item : items) {
      const uint32_t depth = value(item).depth + 1;
      if (depth > kMaxPickleDepth) refuse("is nested deeper than {}", kMaxPickleDepth);
      value(container).depth = std::max(value(container).depth, depth);
    }
    auto& into = value(container).items;
    into.insert(into.end(), items.begin(), items.end());
  }
  void push_container(Kind kind, const std::vector<uint32_t>& items) {
    if (kind == Kind::dict && items.size() % 2 != 0) refuse("has a dictionary key without value");
    const uint32_t container = add({.kind = kind});
    put_in(container, items);
    stack_.push_back(container);
  }
  void extend(Kind kind, const std::vector<uint32_t>& items) {
    const uint32_t container = top();
    const Kind found = value(container).kind;
    // An object that is also a list or a dictionary (a defaultdict) keeps its items to itself.
    if (found == Kind::opaque) return;
    if (found != kind) refuse("adds items to what cannot hold them");
    if (kind == Kind::dict && items.size() % 2 != 0) refuse("has a dictionary key without value");
    put_in(container, items);
  }

  void memoize(uint64_t index) {
    if (index >= kMaxPickleMemo)
      refuse("remembers a value as number {}, above the limit of {}", index, kMaxPickleMemo);
    const uint32_t remembered = top();
    memo_[static_cast<uint32_t>(index)] = remembered;
  }
  void recall(uint32_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) refuse("recalls value {}, which it never made", index);
    stack_.push_back(found->second);
    // The stack may repeat one value without end; it is bounded like the values themselves.
    if (stack_.size() > kMaxPickleValues) refuse("holds more than {} values", kMaxPickleValues);
  }

  void push_long(std::string_view digits) {
    if (digits.size() > sizeof(int64_t)) return push_text(Kind::large_integer, digits);
    uint64_t bits = !digits.empty() && (digits.back() & 0x80) != 0 ? ~uint64_t{0} : 0;
    std::memcpy(&bits, digits.data(), digits.size());
    push_integer(Kind::integer, static_cast<int64_t>(bits));
  }
  void push_global(std::string_view module, std::string_view name) {
    if (module.size() + name.size() > kMaxPickleName)
      refuse("names a global in more than {} bytes", kMaxPickleName);
    push({.kind = Kind::global, .text = own(std::string(module) + " " + std::string(name))});
    PickleValue& global = value(stack_.back());
    if (const auto dtype = dtype_named(global.text)) {
      global.kind = Kind::dtype;
      global.integer = static_cast<int64_t>(*dtype);
    }
  }
  std::string_view own(std::string text) {
    const auto [at, fresh] = names_.emplace(text, nullptr);
    if (names_.size() > kMaxPickleGlobals)
      refuse("names more than {} classes and functions", kMaxPickleGlobals);
    if (fresh) at->second = &out_.names.emplace_back(std::move(text));
    return *at->second;
  }

  int64_t integer_of(uint32_t index, const char* what) const {
    const PickleValue& v = out_.values[index];
    if (v.kind != Kind::integer) refuse("gives a tensor a {} that is not a number", what);
    return v.integer;
  }
  // At most one for each axis that a tensor may have.
  std::vector<int64_t> integers_of(uint32_t index, const char* what) const {
    const PickleValue& v = out_.values[index];
    if (v.kind != Kind::tuple) refuse("gives a tensor a {} that is not a tuple", what);
    if (v.items.size() > static_cast<size_t>(Shape::kMaxRank))
      refuse("has a tensor of {} axes; at most {} are read", v.items.size(), Shape::kMaxRank);
    std::vector<int64_t> numbers;
    for (const uint32_t item : v.items) numbers.push_back(integer_of(item, what));
    return numbers;
  }

  void step(uint8_t opcode);

  // What torch.save's calls and objects become (pickle_objects.cpp).
  void push_storage();
  using Items = std::vector<uint32_t>;
  void push_tensor(const Items& arguments, bool says_dtype);
  void push_subclass(const Items& arguments);
  void push_dictionary(const Items& arguments);
  void push_set(const Items& arguments);
  void push_opaque(std::string_view name) { push_text(Kind::opaque, name); }
  void reduce();
  void new_object(uint32_t type);
  void build();

  std::string_view bytes_;
  const std::string& place_;
  size_t at_ = 0;
  size_t spent_ = 0;
  bool stopped_ = false;
  Pickle out_;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, uint32_t> memo_;
  std::unordered_map<std::string, const std::string*> names_;
};

}  // namespace vitrail
