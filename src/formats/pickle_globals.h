// The names of Python's that a checkpoint's pickle may mention, and what each stands for.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/dtype.h"

namespace vitrail {

// What a call of "module name" means here.
enum class PickleFunction : uint8_t {
  tensor,             // torch._utils._rebuild_tensor, _rebuild_tensor_v2
  tensor_with_dtype,  // torch._utils._rebuild_tensor_v3
  tensor_of_type,     // torch._tensor._rebuild_from_type_v2
  parameter,
  wrapper,       // torch.compile's: what stands for the module given first
  graph_module,  // torch.fx's: an object whose state is the first argument
  dictionary,
  set,
  size,
  object,  // copyreg._reconstructor
  opaque,  // known from real checkpoints and harmless by name; the value is not read
  unknown,
};
PickleFunction function_named(std::string_view name);

// "torch float32", and so on: dtypes that Vitrail has.
std::optional<DType> dtype_named(std::string_view name);

// Types that add nothing to the numbers of a tensor.
bool is_plain_tensor(std::string_view name);

struct StorageType {
  bool known = false;     // a storage class of torch
  bool readable = false;  // of a dtype that Vitrail has
  bool untyped = false;
  DType dtype = DType::u8;
};
StorageType storage_type_named(std::string_view name);

// Modules of which no checkpoint calls anything or holds an object. Nothing is run in any case:
// this is to say clearly what such a file is.
bool is_dangerous(std::string_view name);

}  // namespace vitrail
