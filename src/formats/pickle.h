// A restricted reader of Python pickles (protocols 2 to 5): data in, data out. It knows no Python:
// nothing is imported, called or assigned to. The few functions that torch.save writes are
// recognised by name and build tensors; every other object, of a class or by a function, becomes an
// opaque value with the state that the pickle gives it, so that modules saved whole can be looked
// into. What no checkpoint calls (os.system) is refused by name. Internal to the .pth reader.
//
// What a pickle may cost grows with its bytes, not with what they ask for: values are referred to
// and never copied, and the few steps that go over many values for one byte (an OrderedDict of a
// list that was recalled) draw on a budget of work.
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

inline constexpr size_t kMaxPickleBytes = size_t{64} << 20;
inline constexpr size_t kMaxPickleValues = 2'000'000;
inline constexpr uint32_t kMaxPickleDepth = 128;  // containers within containers, and open marks
inline constexpr size_t kMaxPickleMemo = 2'000'000;
inline constexpr size_t kMaxPickleGlobals = 20'000;  // different ones
inline constexpr size_t kMaxPickleTensors = 500'000;
inline constexpr size_t kMaxPickleName = 1024;  // bytes of a module's or class's name
// Values gone over again, for each byte of the pickle; torch.save's pickles need less than one.
inline constexpr size_t kPickleWorkPerByte = 8;
inline constexpr size_t kPickleWorkBase = 100'000;

struct PickleValue {
  enum class Kind : uint8_t {
    none,
    boolean,
    integer,
    large_integer,  // above 64 bits: text holds its bytes, little-endian
    real,           // integer: the bits of a double
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
    opaque,   // text: the class or function ("module name"); items: its state, when it has one
  };
  Kind kind = Kind::none;
  uint32_t depth = 0;
  uint32_t index = 0;
  int64_t integer = 0;
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
  std::deque<PickleValue> values;  // which stay where they are while more are added
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
// Error: not a pickle, cut off, beyond a limit, or one that would run what no checkpoint does.
Pickle parse_pickle(std::span<const std::byte> bytes, const std::string& place);

}  // namespace vitrail
