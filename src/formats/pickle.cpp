#include "formats/pickle.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "core/error.h"
#include "formats/pickle_globals.h"

namespace vitrail {
namespace {

using Kind = PickleValue::Kind;

// Python's pickletools names them so.
enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kDict = 'd',
  kEmptyDict = '}',
  kAppends = 'e',
  kBinGet = 'h',
  kInst = 'i',
  kLongBinGet = 'j',
  kList = 'l',
  kEmptyList = ']',
  kObj = 'o',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kProto = 0x80,
  kNewObj = 0x81,
  kExt1 = 0x82,
  kExt2 = 0x83,
  kExt4 = 0x84,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObjEx = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kByteArray8 = 0x96,
};

class Reader {
 public:
  Reader(std::span<const std::byte> bytes, const std::string& place)
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
  static std::string shown(std::string_view name) {
    std::string text(name.substr(0, 60));
    for (char& c : text)
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e) c = '?';
    return text;
  }
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
    // Consecutive in the pickle where it is written as GLOBAL; else joined by hand.
    push({.kind = Kind::global, .text = own(std::string(module) + " " + std::string(name))});
    PickleValue& global = value(stack_.back());
    if (const auto dtype = dtype_named(global.text)) {
      global.kind = Kind::dtype;
      global.integer = static_cast<int64_t>(*dtype);
    }
  }
  std::string_view own(std::string text) {
    const auto [at, fresh] = names_.emplace(text, nullptr);
    if (fresh) at->second = &out_.names.emplace_back(std::move(text));
    return *at->second;
  }

  int64_t integer_of(uint32_t index, const char* what) {
    const PickleValue& v = value(index);
    if (v.kind != Kind::integer) refuse("gives a tensor a {} that is not a number", what);
    return v.integer;
  }
  std::vector<int64_t> integers_of(uint32_t index, const char* what) {
    const PickleValue& v = value(index);
    if (v.kind != Kind::tuple) refuse("gives a tensor a {} that is not a tuple", what);
    std::vector<int64_t> numbers;
    for (const uint32_t item : v.items) numbers.push_back(integer_of(item, what));
    return numbers;
  }

  void push_storage();
  void reduce();
  void new_object(uint32_t type);
  void build();
  void push_tensor(const std::vector<uint32_t>& arguments, bool says_dtype);
  void push_opaque(std::string_view name) { push_text(Kind::opaque, name); }
  void step(uint8_t opcode);

  std::string_view bytes_;
  const std::string& place_;
  size_t at_ = 0;
  bool stopped_ = false;
  Pickle out_;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint32_t, uint32_t> memo_;
  std::unordered_map<std::string, const std::string*> names_;
};

// ('storage', class, key, location, numel[, view]): how torch.save names bytes kept elsewhere.
void Reader::push_storage() {
  const PickleValue id = value(pop());
  if (id.kind != Kind::tuple || id.items.size() < 5 || value(id.items[0]).text != "storage" ||
      value(id.items[1]).kind != Kind::global || value(id.items[2]).kind != Kind::text)
    refuse("refers to something outside that is no storage of torch.save");
  const StorageType type = storage_type_named(value(id.items[1]).text);
  if (!type.known) refuse("names '{}' as a storage's type", shown(value(id.items[1]).text));
  PickleStorage storage{.key = value(id.items[2]).text,
                        .dtype = type.dtype,
                        .untyped = type.untyped,
                        .numel = integer_of(id.items[4], "storage size"),
                        .unreadable = type.readable ? "" : value(id.items[1]).text};
  if (storage.numel < 0) refuse("has a storage of {} elements", storage.numel);
  if (id.items.size() > 5 && value(id.items[5]).kind == Kind::tuple) {
    // Legacy: (key, offset, size) of a part of the storage.
    const std::vector<uint32_t> view = value(id.items[5]).items;
    if (view.size() != 3) refuse("has a storage view of {} fields, not 3", view.size());
    const int64_t whole = storage.numel;
    storage.begin = integer_of(view[1], "view offset");
    storage.numel = integer_of(view[2], "view size");
    if (storage.begin < 0 || storage.numel < 0 || storage.begin > whole ||
        storage.numel > whole - storage.begin || (storage.untyped && storage.begin != 0))
      refuse("has a view of {} elements from {} on in a storage of {}", storage.numel,
             storage.begin, whole);
  }
  const auto index = static_cast<uint32_t>(out_.storages.size());
  out_.storages.push_back(storage);
  push({.kind = Kind::storage, .index = index});
}

// (storage, offset, size, stride, requires_grad, hooks), and in version 3 the dtype.
void Reader::push_tensor(const std::vector<uint32_t>& arguments, bool says_dtype) {
  if (arguments.size() < (says_dtype ? 7U : 4U) || value(arguments[0]).kind != Kind::storage)
    refuse("makes a tensor of something else than a storage, an offset, sizes and strides");
  PickleTensor tensor{.storage = value(arguments[0]).index};
  const PickleStorage& storage = out_.storages[tensor.storage];
  if (!storage.unreadable.empty()) return push_opaque(storage.unreadable);
  tensor.dtype = storage.dtype;
  int64_t available = storage.numel;
  if (says_dtype) {
    const PickleValue& dtype = value(arguments[6]);
    if (dtype.kind != Kind::dtype) return push_opaque(dtype.text);
    tensor.dtype = static_cast<DType>(dtype.integer);
  }
  if (storage.untyped) {
    if (!says_dtype) refuse("has a tensor of unknown element type");
    available /= static_cast<int64_t>(size_of(tensor.dtype));
  } else if (tensor.dtype != storage.dtype) {
    refuse("has a tensor of {} over a storage of {}", name_of(tensor.dtype),
           name_of(storage.dtype));
  }
  tensor.offset = integer_of(arguments[1], "offset");
  const std::vector<int64_t> sizes = integers_of(arguments[2], "size");
  tensor.strides = integers_of(arguments[3], "stride");
  if (sizes.size() > static_cast<size_t>(Shape::kMaxRank))
    refuse("has a tensor of {} axes; at most {} are read", sizes.size(), Shape::kMaxRank);
  if (tensor.strides.size() != sizes.size())
    refuse("has a tensor of {} axes with {} strides", sizes.size(), tensor.strides.size());
  int64_t numel = 1, last = tensor.offset;
  bool overflow = tensor.offset < 0;
  for (size_t i = 0; i < sizes.size() && !overflow; ++i) {
    int64_t reach = 0;
    overflow =
        sizes[i] < 0 || tensor.strides[i] < 0 || __builtin_mul_overflow(numel, sizes[i], &numel) ||
        __builtin_mul_overflow(std::max<int64_t>(sizes[i] - 1, 0), tensor.strides[i], &reach) ||
        __builtin_add_overflow(last, reach, &last);
  }
  if (overflow) refuse("has a tensor whose sizes, strides or offset are negative or overflow");
  // A stride of 0 could ask for any amount of memory over one element.
  if (numel > 0 && (last >= available || numel > available))
    refuse("has a tensor of {} elements that reaches to element {} of a storage of {}", numel, last,
           available);
  tensor.shape = Shape(std::span<const int64_t>(sizes));
  const auto index = static_cast<uint32_t>(out_.tensors.size());
  out_.tensors.push_back(std::move(tensor));
  push({.kind = Kind::tensor, .index = index});
}

void Reader::reduce() {
  const uint32_t argument_tuple = pop(), callee = pop();
  if (value(argument_tuple).kind != Kind::tuple) refuse("calls something without a tuple");
  if (value(callee).kind != Kind::global) {
    if (value(callee).kind == Kind::opaque) refuse_call(value(callee).text);
    refuse_code("a value");
  }
  const std::string_view name = value(callee).text;
  const std::vector<uint32_t> arguments = value(argument_tuple).items;
  switch (function_named(name)) {
    case PickleFunction::tensor:
      return push_tensor(arguments, false);
    case PickleFunction::tensor_with_dtype:
      return push_tensor(arguments, true);
    case PickleFunction::parameter:  // the tensor itself
      if (arguments.empty()) refuse("makes a parameter of nothing");
      stack_.push_back(arguments[0]);
      return;
    case PickleFunction::dictionary:  // OrderedDict(), or of a list of pairs
      push({.kind = Kind::dict});
      for (const uint32_t list : arguments)
        for (const uint32_t pair : std::vector<uint32_t>(value(list).items)) {
          const std::vector<uint32_t> entry = value(pair).items;
          if (entry.size() != 2) refuse("makes a dictionary of something else than pairs");
          put_in(stack_.back(), entry);
        }
      return;
    case PickleFunction::size:
      if (arguments.size() != 1 || value(arguments[0]).kind != Kind::tuple)
        refuse("makes a torch.Size of something else than a tuple");
      stack_.push_back(arguments[0]);
      return;
    case PickleFunction::opaque:
      return push_opaque(name);
    case PickleFunction::unknown:
      refuse_call(name);
  }
}

// An instance of a class: its constructor is never looked for, its state may hold tensors.
void Reader::new_object(uint32_t type) {
  if (value(type).kind != Kind::global && value(type).kind != Kind::opaque)
    refuse("makes an object of something that is no class");
  const std::string_view name = value(type).text;
  if (function_named(name) == PickleFunction::dictionary) return push({.kind = Kind::dict});
  if (is_dangerous(name)) refuse_call(name);
  push_opaque(name);
}

// __setstate__ or __dict__.update in Python; here at most kept as an opaque object's state.
void Reader::build() {
  const uint32_t state = pop(), object = top();
  const PickleValue& s = value(state);
  // (state, slots) is what Python would setattr one by one.
  if (s.kind == Kind::tuple && s.items.size() == 2 && value(s.items[1]).kind == Kind::dict)
    refuse_code("setattr");
  switch (value(object).kind) {
    case Kind::opaque:
      if (value(object).items.empty()) put_in(object, {state});
      return;
    case Kind::dict:  // OrderedDict's attributes, such as _metadata
    case Kind::tensor:
      return;
    default:
      refuse_code("__setstate__ of a value that has none");
  }
}

void Reader::step(uint8_t opcode) {
  switch (opcode) {
    case kProto:
      if (const int protocol = take<uint8_t>(); protocol < 2 || protocol > 5)
        refuse("has protocol {}; 2 to 5 are read", protocol);
      return;
    case kFrame:
      take<uint64_t>();
      return;
    case kStop:
      if (!marks_.empty()) refuse("ends within a group");
      stopped_ = true;
      return;

    case kMark:
      if (marks_.size() >= kMaxPickleDepth) refuse("is nested deeper than {}", kMaxPickleDepth);
      marks_.push_back(stack_.size());
      return;
    case kPop:
      pop();
      return;
    case kPopMark:
      pop_to_mark();
      return;
    case kDup:
      stack_.push_back(top());
      if (stack_.size() > kMaxPickleValues) refuse("holds more than {} values", kMaxPickleValues);
      return;

    case kNone:
      return push({});
    case kNewTrue:
      return push_integer(Kind::boolean, 1);
    case kNewFalse:
      return push_integer(Kind::boolean, 0);
    case kBinInt:
      return push_integer(Kind::integer, take<int32_t>());
    case kBinInt1:
      return push_integer(Kind::integer, take<uint8_t>());
    case kBinInt2:
      return push_integer(Kind::integer, take<uint16_t>());
    case kLong1:
      return push_long(take_bytes(take<uint8_t>()));
    case kLong4:
      return push_long(take_bytes(take<uint32_t>()));
    case kBinFloat:  // big-endian
      return push(
          {.kind = Kind::real, .real = std::bit_cast<double>(__builtin_bswap64(take<uint64_t>()))});

    case kBinString:
    case kBinUnicode:
      return push_text(Kind::text, take_bytes(take<uint32_t>()));
    case kShortBinString:
    case kShortBinUnicode:
      return push_text(Kind::text, take_bytes(take<uint8_t>()));
    case kBinUnicode8:
      return push_text(Kind::text, take_bytes(take<uint64_t>()));
    case kBinBytes:
      return push_text(Kind::bytes, take_bytes(take<uint32_t>()));
    case kShortBinBytes:
      return push_text(Kind::bytes, take_bytes(take<uint8_t>()));
    case kBinBytes8:
    case kByteArray8:
      return push_text(Kind::bytes, take_bytes(take<uint64_t>()));

    case kEmptyTuple:
      return push_container(Kind::tuple, {});
    case kTuple1:
      return push_container(Kind::tuple, pop_several(1));
    case kTuple2:
      return push_container(Kind::tuple, pop_several(2));
    case kTuple3:
      return push_container(Kind::tuple, pop_several(3));
    case kTuple:
      return push_container(Kind::tuple, pop_to_mark());
    case kEmptyList:
      return push_container(Kind::list, {});
    case kList:
      return push_container(Kind::list, pop_to_mark());
    case kEmptyDict:
      return push_container(Kind::dict, {});
    case kDict:
      return push_container(Kind::dict, pop_to_mark());
    case kEmptySet:
      return push_container(Kind::set, {});
    case kFrozenSet:
      return push_container(Kind::set, pop_to_mark());
    case kAppend:
      return extend(Kind::list, pop_several(1));
    case kAppends:
      return extend(Kind::list, pop_to_mark());
    case kSetItem:
      return extend(Kind::dict, pop_several(2));
    case kSetItems:
      return extend(Kind::dict, pop_to_mark());
    case kAddItems:
      return extend(Kind::set, pop_to_mark());

    case kBinPut:
      return memoize(take<uint8_t>());
    case kLongBinPut:
      return memoize(take<uint32_t>());
    case kMemoize:
      return memoize(memo_.size());
    case kBinGet:
      return recall(take<uint8_t>());
    case kLongBinGet:
      return recall(take<uint32_t>());

    case kGlobal: {
      const std::string_view module = take_line();
      return push_global(module, take_line());
    }
    case kStackGlobal: {
      const uint32_t name = pop(), module = pop();
      if (value(name).kind != Kind::text || value(module).kind != Kind::text)
        refuse("names a global by something else than text");
      return push_global(value(module).text, value(name).text);
    }
    case kBinPersId:
      return push_storage();
    case kReduce:
      return reduce();
    case kNewObj: {
      pop();  // the constructor's arguments
      return new_object(pop());
    }
    case kNewObjEx: {
      pop();
      pop();
      return new_object(pop());
    }
    case kBuild:
      return build();

    case kInst: {
      const std::string_view module = take_line();
      refuse_call(std::string(module) + " " + std::string(take_line()));
    }
    case kObj: {
      const std::vector<uint32_t> items = pop_to_mark();
      if (items.empty() || value(items[0]).kind != Kind::global) refuse_code("a value");
      refuse_call(value(items[0]).text);
    }
    case kExt1:
    case kExt2:
    case kExt4:
      refuse_code("an entry of copyreg's extension registry");
    default:
      refuse("has the opcode 0x{:02x} at byte {}, which no torch.save writes", opcode, at_ - 1);
  }
}

}  // namespace

Pickle parse_pickle(std::span<const std::byte> bytes, const std::string& place) {
  if (bytes.size() > kMaxPickleBytes) bytes = bytes.first(kMaxPickleBytes);
  return Reader(bytes, place).read();
}

}  // namespace vitrail
