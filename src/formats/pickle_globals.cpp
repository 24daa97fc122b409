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
    {"torch._tensor _rebuild_from_type_v2", Function::tensor_of_type},
    {"torch._utils _rebuild_qtensor", Function::opaque},
    {"torch._utils _rebuild_sparse_tensor", Function::opaque},
    {"torch._utils _rebuild_meta_tensor_no_storage", Function::opaque},
    {"torch.serialization _get_layout", Function::opaque},
    {"torch._dynamo.eval_frame OptimizedModule", Function::wrapper},
    {"torch.fx.graph_module reduce_graph_module", Function::graph_module},
    {"torch Size", Function::size},
    {"torch device", Function::opaque},
    {"torch Generator", Function::opaque},
    {"collections OrderedDict", Function::dictionary},
    {"collections defaultdict", Function::opaque},
    {"collections Counter", Function::opaque},
    {"collections deque", Function::opaque},
    {"builtins set", Function::set},
    {"builtins frozenset", Function::set},
    {"builtins complex", Function::opaque},
    {"builtins slice", Function::opaque},
    {"builtins bytearray", Function::opaque},
    {"__builtin__ set", Function::set},
    {"__builtin__ frozenset", Function::set},
    {"__builtin__ bytearray", Function::opaque},
    {"copy_reg _reconstructor", Function::object},
    {"copyreg _reconstructor", Function::object},
    {"_codecs encode", Function::opaque},
    // Parts of modules saved whole: an enumeration's member, a bound method, an activation.
    {"builtins getattr", Function::opaque},
    {"builtins list", Function::opaque},
    {"builtins tuple", Function::opaque},
    {"builtins dict", Function::opaque},
    {"builtins int", Function::opaque},
    {"builtins float", Function::opaque},
    {"builtins str", Function::opaque},
    {"builtins bytes", Function::opaque},
    {"builtins bool", Function::opaque},
    {"builtins object", Function::opaque},
    {"builtins range", Function::opaque},
    {"builtins type", Function::opaque},
    {"__builtin__ getattr", Function::opaque},
    {"__builtin__ list", Function::opaque},
    {"__builtin__ tuple", Function::opaque},
    {"__builtin__ dict", Function::opaque},
    {"__builtin__ int", Function::opaque},
    {"__builtin__ float", Function::opaque},
    {"__builtin__ str", Function::opaque},
    {"__builtin__ bytes", Function::opaque},
    {"__builtin__ bool", Function::opaque},
    {"__builtin__ object", Function::opaque},
    {"__builtin__ range", Function::opaque},
    {"__builtin__ type", Function::opaque},
    {"__builtin__ complex", Function::opaque},
    {"__builtin__ slice", Function::opaque},
    {"__builtin__ long", Function::opaque},
    {"__builtin__ unicode", Function::opaque},
    {"functools partial", Function::opaque},
    {"functools partialmethod", Function::opaque},
    {"operator attrgetter", Function::opaque},
    {"operator itemgetter", Function::opaque},
    {"operator methodcaller", Function::opaque},
    {"types SimpleNamespace", Function::opaque},
    {"types MethodType", Function::opaque},
    {"types MappingProxyType", Function::opaque},
    {"types GenericAlias", Function::opaque},
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

constexpr std::string_view kPlainTensors[] = {
    "torch Tensor",
    "torch._tensor Tensor",
    "torch.nn.parameter Parameter",
    "torch.nn.parameter Buffer",
};

// Without their submodules where a dot is in them, else with.
constexpr std::string_view kDangerous[] = {
    "torch.hub",
    "torch.utils.collect_env",
    "torch.utils.bottleneck.__main__",
    "torch.utils.cpp_extension",
    "torch.serialization",
    "numpy.testing._private.utils",
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
    "urllib",
    "requests",
    "tempfile",
    "marshal",
    "_io",
    "_osx_support",
    "_pickle",
    "_posixsubprocess",
    "_thread",
    "_winapi",
    "asyncio",
    "bdb",
    "cProfile",
    "cloudpickle",
    "commands",
    "concurrent",
    "dill",
    "dis",
    "distutils",
    "doctest",
    "ensurepip",
    "fcntl",
    "fileinput",
    "ftplib",
    "idlelib",
    "imp",
    "joblib",
    "lib2to3",
    "linecache",
    "mmap",
    "nturl2path",
    "pdb",
    "pip",
    "pkgutil",
    "profile",
    "pydoc",
    "resource",
    "setuptools",
    "site",
    "smtplib",
    "sqlite3",
    "ssl",
    "telnetlib",
    "timeit",
    "trace",
    "venv",
    "winreg",
    "xmlrpc",
    "zipimport",
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

bool is_plain_tensor(std::string_view name) {
  return std::ranges::find(kPlainTensors, name) != std::end(kPlainTensors);
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
  for (const char* end : {". ", " "})
    if (std::ranges::find(kDangerous, name.substr(0, name.find_first_of(end))) !=
        std::end(kDangerous))
      return true;
  return false;
}

}  // namespace vitrail
