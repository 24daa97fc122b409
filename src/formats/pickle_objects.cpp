// The calls and objects that torch.save writes, as data; any other call is refused.
#include "formats/pickle_reader.h"

namespace vitrail {
namespace {

constexpr size_t kFewArguments = 16;  // of a call, that are looked at

}  // namespace

// ('storage', class, key, location, numel[, view]): how torch.save names bytes kept elsewhere.
void PickleReader::push_storage() {
  const PickleValue& id = value(pop());
  // ('module', class, file, source): how the older form names a class of torch.nn.
  if (id.kind == Kind::tuple && id.items.size() == 4 && value(id.items[0]).text == "module" &&
      value(id.items[1]).kind == Kind::global) {
    stack_.push_back(id.items[1]);
    return;
  }
  if (id.kind != Kind::tuple || id.items.size() < 5 || id.items.size() > 6 ||
      value(id.items[0]).text != "storage" || value(id.items[1]).kind != Kind::global ||
      value(id.items[2]).kind != Kind::text)
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
    const Items& view = value(id.items[5]).items;
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
  if (index >= kMaxPickleTensors) refuse("has more than {} storages", kMaxPickleTensors);
  out_.storages.push_back(storage);
  push({.kind = Kind::storage, .index = index});
}

// (storage, offset, size, stride, requires_grad, hooks), and in version 3 the dtype.
void PickleReader::push_tensor(const Items& arguments, bool says_dtype) {
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
  if (index >= kMaxPickleTensors) refuse("has more than {} tensors", kMaxPickleTensors);
  out_.tensors.push_back(std::move(tensor));
  push({.kind = Kind::tensor, .index = index});
}

// (function, type, arguments, state): a tensor with attributes, or a subclass of Tensor. Of those
// that mean what their numbers say, the numbers.
void PickleReader::push_subclass(const Items& arguments) {
  if (arguments.size() < 3 || value(arguments[0]).kind != Kind::global ||
      value(arguments[1]).kind != Kind::global || value(arguments[2]).kind != Kind::tuple)
    refuse("makes a tensor of something else than a function, a type and arguments");
  const PickleFunction function = function_named(value(arguments[0]).text);
  const bool tensor =
      function == PickleFunction::tensor || function == PickleFunction::tensor_with_dtype;
  if (!tensor || !is_plain_tensor(value(arguments[1]).text))
    return push_opaque(own("torch._tensor _rebuild_from_type_v2"));
  push_tensor(value(arguments[2]).items, function == PickleFunction::tensor_with_dtype);
}

// OrderedDict(), or of a list of pairs.
void PickleReader::push_dictionary(const Items& arguments) {
  const uint32_t made = add({.kind = Kind::dict});
  for (const uint32_t list : arguments) {
    spend(value(list).items.size());
    for (size_t i = 0; i < value(list).items.size(); ++i) {
      const PickleValue& pair = value(value(list).items[i]);
      if (pair.items.size() != 2) refuse("makes a dictionary of something else than pairs");
      put_in(made, pair.items);
    }
  }
  stack_.push_back(made);
}

// set(), or of a list.
void PickleReader::push_set(const Items& arguments) {
  const uint32_t made = add({.kind = Kind::set});
  for (const uint32_t list : arguments) {
    spend(value(list).items.size());
    put_in(made, value(list).items);
  }
  stack_.push_back(made);
}

void PickleReader::reduce() {
  const uint32_t argument_tuple = pop(), callee = pop();
  // TorchScript makes a member of an enumeration of its value alone.
  if (value(callee).kind == Kind::global && value(callee).text.starts_with("__torch__."))
    return push_opaque(value(callee).text);
  if (value(argument_tuple).kind != Kind::tuple) refuse("calls something without a tuple");
  if (value(callee).kind != Kind::global) {
    if (value(callee).kind == Kind::opaque) refuse_call(value(callee).text);
    refuse_code("a value");
  }
  const std::string_view name = value(callee).text;
  const Items& arguments = value(argument_tuple).items;
  switch (function_named(name)) {
    case PickleFunction::tensor:
      return push_tensor(arguments, false);
    case PickleFunction::tensor_with_dtype:
      return push_tensor(arguments, true);
    case PickleFunction::tensor_of_type:
      return push_subclass(arguments);
    case PickleFunction::parameter:  // the tensor itself
    case PickleFunction::wrapper:
      if (arguments.empty()) refuse("makes a parameter or a module of nothing");
      stack_.push_back(arguments[0]);
      return;
    case PickleFunction::graph_module:
      if (arguments.empty()) refuse("makes a module of nothing");
      push_opaque("torch.fx.graph_module GraphModule");
      put_in(stack_.back(), {arguments[0]});
      return;
    case PickleFunction::dictionary:
      return push_dictionary(arguments);
    case PickleFunction::set:
      return push_set(arguments);
    case PickleFunction::size:
      if (arguments.size() != 1 || value(arguments[0]).kind != Kind::tuple)
        refuse("makes a torch.Size of something else than a tuple");
      stack_.push_back(arguments[0]);
      return;
    case PickleFunction::object: {  // (class, base, state): an object of the class
      if (arguments.empty()) refuse("makes an object of nothing");
      return new_object(arguments[0]);
    }
    case PickleFunction::opaque:
      return push_opaque(name);
    case PickleFunction::unknown:
      if (is_dangerous(name)) refuse_call(name);
      for (const uint32_t argument : arguments.size() <= kFewArguments ? arguments : Items())
        if (value(argument).kind == Kind::global && is_dangerous(value(argument).text))
          refuse_call(value(argument).text);
      return push_opaque(name);
  }
}

// An instance of a class: its constructor is never looked for, its state may hold tensors.
void PickleReader::new_object(uint32_t type) {
  if (value(type).kind != Kind::global && value(type).kind != Kind::opaque)
    refuse("makes an object of something that is no class");
  const std::string_view name = value(type).text;
  if (function_named(name) == PickleFunction::dictionary) return push({.kind = Kind::dict});
  if (function_named(name) == PickleFunction::unknown && is_dangerous(name)) refuse_call(name);
  push_opaque(name);
}

// __setstate__ or __dict__.update in Python; here at most kept as an opaque object's state. What
// stands in __slots__ comes as (state, slots), and only the state is kept.
void PickleReader::build() {
  const uint32_t state = pop(), object = top();
  const PickleValue& s = value(state);
  const bool slots =
      s.kind == Kind::tuple && s.items.size() == 2 && value(s.items[1]).kind == Kind::dict;
  switch (value(object).kind) {
    case Kind::opaque:
      if (value(object).items.empty()) put_in(object, {slots ? s.items[0] : state});
      return;
    case Kind::dict:  // OrderedDict's attributes, such as _metadata
    case Kind::set:
    case Kind::tensor:
      return;
    default:
      refuse_code("__setstate__ of a value that has none");
  }
}

}  // namespace vitrail
