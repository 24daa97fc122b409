#include "formats/pickle_globals.h"

#include <algorithm>
#include <array>
#include <utility>

namespace vitrail {
namespace {

using Function = PickleFunction;

constexpr std::pair<std::string_view, Function> kFunctions[] = {
    {"torch._utils _rebuild_tensor", Function::tensor},
    {"torch._utils _rebuild_tensor_v2", Function::tensor},
    {"torch._utils _rebuild_tensor_v3", Function::tensor_with_dtype},
    {"torch._utils _rebuild_parameter", Function::parameter},
    {"torch._utils _rebuild_parameter_with_state", Function::parameter},
    {"torch._tensor _rebuild_from_type_v2", Function::opaque},
    {"torch._utils _rebuild_qtensor", Function::opaque},
    {"torch._utils _rebuild_sparse_tensor", Function::opaque},
    {"torch._utils _rebuild_meta_tensor_no_storage", Function::opaque},
    {"torch.serialization _get_layout", Function::opaque},
    {"torch Size", Function::size},
    {"torch device", Function::opaque},
    {"torch Generator", Function::opaque},
    {"collections OrderedDict", Function::dictionary},
    {"collections defaultdict", Function::opaque},
    {"collections Counter", Function::opaque},
    {"collections deque", Function::opaque},
    {"builtins set", Function::opaque},
    {"builtins frozenset", Function::opaque},
    {"builtins complex", Function::opaque},
    {"builtins slice", Function::opaque},
    {"builtins bytearray", Function::opaque},
    {"__builtin__ set", Function::opaque},
    {"__builtin__ frozenset", Function::opaque},
    {"__builtin__ bytearray", Function::opaque},
    {"copy_reg _reconstructor", Function::opaque},
    {"copyreg _reconstructor", Function::opaque},
    {"_codecs encode", Function::opaque},
    {"argparse Namespace", Function::opaque},
    {"numpy dtype", Function::opaque},
    {"numpy ndarray", Function::opaque},
    {"numpy.core.multiarray scalar", Function::opaque},
    {"numpy.core.multiarray _reconstruct", Function::opaque},
    {"numpy._core.multiarray scalar", Function::opaque},
    {"numpy._core.multiarray _reconstruct", Function::opaque},
    {"pathlib PosixPath", Function::opaque},
    {"pathlib PurePosixPath", Function::opaque},
    {"pathlib WindowsPath", Function::opaque},
    {"pathlib Path", Function::opaque},
    {"pathlib._local PosixPath", Function::opaque},
    {"datetime datetime", Function::opaque},
    {"datetime timedelta", Function::opaque},
    {"uuid UUID", Function::opaque},
};

constexpr std::pair<std::string_view, DType> kDtypes[] = {
    {"torch float32", DType::f32},   {"torch float", DType::f32},   {"torch float64", DType::f64},
    {"torch double", DType::f64},    {"torch float16", DType::f16}, {"torch half", DType::f16},
    {"torch bfloat16", DType::bf16}, {"torch int64", DType::i64},   {"torch long", DType::i64},
    {"torch int32", DType::i32},     {"torch int", DType::i32},     {"torch int16", DType::i16},
    {"torch short", DType::i16},     {"torch int8", DType::i8},     {"torch uint8", DType::u8},
    {"torch bool", DType::boolean},
};

constexpr std::pair<std::string_view, DType> kStorages[] = {
    {"FloatStorage", DType::f32},     {"DoubleStorage", DType::f64}, {"HalfStorage", DType::f16},
    {"BFloat16Storage", DType::bf16}, {"LongStorage", DType::i64},   {"IntStorage", DType::i32},
    {"ShortStorage", DType::i16},     {"CharStorage", DType::i8},    {"ByteStorage", DType::u8},
    {"BoolStorage", DType::boolean},
};

constexpr std::string_view kDangerous[] = {
    "os",
    "posix",
    "nt",
    "subprocess",
    "sys",
    "shutil",
    "socket",
    "importlib",
    "runpy",
    "ctypes",
    "builtins",
    "__builtin__",
    "pty",
    "code",
    "codecs",
    "pickle",
    "webbrowser",
    "platform",
    "operator",
    "functools",
    "types",
    "threading",
    "multiprocessing",
    "signal",
    "urllib",
    "http",
    "requests",
    "tempfile",
    "marshal",
    "inspect",
};

template <typename Table, typename T>
T lookup(const Table& table, std::string_view name, T otherwise) {
  for (const auto& [key, value] : table)
    if (key == name) return value;
  return otherwise;
}

}  // namespace

PickleFunction function_named(std::string_view name) {
  return lookup(kFunctions, name, Function::unknown);
}

std::optional<DType> dtype_named(std::string_view name) {
  for (const auto& [key, dtype] : kDtypes)
    if (key == name) return dtype;
  return std::nullopt;
}

StorageType storage_type_named(std::string_view name) {
  constexpr std::string_view kEnding = "Storage";
  for (const std::string_view module : {"torch ", "torch.cuda ", "torch.storage "}) {
    if (!name.starts_with(module)) continue;
    const std::string_view type = name.substr(module.size());
    if (type == "UntypedStorage" || type == "_UntypedStorage")
      return {.known = true, .readable = true, .untyped = true};
    for (const auto& [key, dtype] : kStorages)
      if (key == type) return {.known = true, .readable = true, .dtype = dtype};
    return {.known = type.ends_with(kEnding)};
  }
  return {};
}

bool is_dangerous(std::string_view name) {
  const std::string_view module = name.substr(0, name.find_first_of(". "));
  return std::ranges::find(kDangerous, module) != std::end(kDangerous);
}

}  // namespace vitrail
