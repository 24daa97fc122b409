// A restricted reader of Python pickles (protocols 2 to 5): data in, data out. It knows no Python:
// nothing is imported, called or assigned to. The few functions that torch.save writes are
// recognised by name and build tensors; other objects become opaque values that nobody reads; a
// pickle that would call anything else is refused. Internal to the .pth reader.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"
#include "core/shape.h"

namespace vitrail {

inline constexpr size_t kMaxPickleBytes = 100'000'000;
inline constexpr size_t kMaxPickleValues = 4'000'000;
inline constexpr uint32_t kMaxPickleDepth = 128;  // containers within containers, and open marks
inline constexpr size_t kMaxPickleMemo = 4'000'000;

struct PickleValue {
  enum class Kind : uint8_t {
    none,
    boolean,
    integer,
    large_integer,  // above 64 bits: text holds its bytes, little-endian
    real,
    text,
    bytes,
    tuple,
    list,
    dict,  // items: key, value, key, value, ...
    set,
    global,   // text: "module name"
    storage,  // index: of Pickle::storages
    tensor,   // index: of Pickle::tensors
    dtype,    // integer: a DType
    opaque,   // text: the class or function; items: its state, when it has one
  };
  Kind kind = Kind::none;
  uint32_t depth = 0;
  uint32_t index = 0;
  int64_t integer = 0;
  double real = 0;
  std::string_view text = {};  // within the pickle's bytes, or Pickle::names
  std::vector<uint32_t> items = {};
};

struct PickleStorage {
  std::string_view key = {};  // names its bytes
  DType dtype = DType::f32;
  bool untyped = false;  // counted in bytes; a tensor over it says its own dtype
  int64_t begin = 0;     // of a legacy view: the first element within the storage of this key
  int64_t numel = 0;
  std::string_view unreadable = {};  // the type's name when Vitrail has no such dtype
};

struct PickleTensor {
  uint32_t storage = 0;
  DType dtype = DType::f32;
  int64_t offset = 0;  // elements from the storage's beginning
  Shape shape = {};
  std::vector<int64_t> strides = {};
};

struct Pickle {
  std::vector<PickleValue> values;
  std::vector<PickleStorage> storages;
  std::vector<PickleTensor> tensors;
  std::deque<std::string> names;  // of globals
  uint32_t root = 0;
  size_t bytes = 0;  // that the pickle takes, up to and with its STOP

  const PickleValue& at(uint32_t index) const { return values[index]; }
  const PickleValue& top() const { return values[root]; }
};

// Reads the pickle at the start of `bytes`, which must outlive the result. Tensors lie within
// their storages, as far as the pickle says how long these are. `place` names the file.
// Error: not a pickle, cut off, beyond a limit, or one that would run code.
Pickle parse_pickle(std::span<const std::byte> bytes, const std::string& place);

}  // namespace vitrail
