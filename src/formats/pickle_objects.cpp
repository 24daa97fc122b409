// The calls and objects that torch.save writes, as data; any other call is refused.
#include "formats/pickle_reader.h"

namespace vitrail {

// ('storage', class, key, location, numel[, view]): how torch.save names bytes kept elsewhere.
void PickleReader::push_storage() {
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
void PickleReader::push_tensor(const std::vector<uint32_t>& arguments, bool says_dtype) {
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

void PickleReader::reduce() {
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
void PickleReader::new_object(uint32_t type) {
  if (value(type).kind != Kind::global && value(type).kind != Kind::opaque)
    refuse("makes an object of something that is no class");
  const std::string_view name = value(type).text;
  if (function_named(name) == PickleFunction::dictionary) return push({.kind = Kind::dict});
  if (is_dangerous(name)) refuse_call(name);
  push_opaque(name);
}

// __setstate__ or __dict__.update in Python; here at most kept as an opaque object's state.
void PickleReader::build() {
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

}  // namespace vitrail
