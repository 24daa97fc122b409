#include "formats/file_kind.h"

#include <algorithm>
#include <string_view>

namespace vitrail {
namespace {

using namespace std::string_view_literals;

struct Magic {
  std::string_view bytes;
  const char* kind;
};
constexpr Magic kMagics[] = {
    {"\x89HDF\r\n\x1a\n"sv, "an HDF5 file, as Keras writes it; only PyTorch's files are read"},
    {"\x93NUMPY"sv, "a NumPy array (.npy), not a file of weights"},
    {"GGUF"sv, "a GGUF file; only PyTorch's files and safetensors are read"},
    {"ggml"sv, "a GGML file; only PyTorch's files and safetensors are read"},
    {"\x1f\x8b"sv, "compressed with gzip; unpack it first (gunzip)"},
    {"\xfd"
     "7zXZ\0"sv,
     "compressed with xz; unpack it first (unxz)"},
    {"BZh"sv, "compressed with bzip2; unpack it first (bunzip2)"},
    {"\x28\xb5\x2f\xfd"sv, "compressed with zstd; unpack it first (unzstd)"},
    {"7z\xbc\xaf\x27\x1c"sv, "a 7z archive; unpack it first"},
    {"version https://git-lfs"sv,
     "a pointer of Git LFS, not the file itself; fetch it with git lfs pull"},
    {"<!DOCTYPE html"sv, "a web page, not a file of weights: the download went wrong"},
    {"<html"sv, "a web page, not a file of weights: the download went wrong"},
};
constexpr std::string_view kTarMagic = "ustar";
constexpr size_t kTarMagicAt = 257;
// ONNX's protocol buffer begins with its version, a small number, and the producer's name.
constexpr std::string_view kOnnxStart = "\x08";
constexpr size_t kOnnxProducer = 2;

}  // namespace

bool begins_like_safetensors(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.size() > 8 && text[8] == '{' && text.substr(4, 4) == "\0\0\0\0"sv;
}

std::string foreign_kind(std::span<const std::byte> bytes) {
  if (begins_like_safetensors(bytes)) return "";
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const auto& [magic, kind] : kMagics)
    if (text.starts_with(magic)) return kind;
  if (text.size() > kTarMagicAt && text.substr(kTarMagicAt).starts_with(kTarMagic))
    return "a tar archive (that of PyTorch before 0.1.10, or files packed together); unpack it, or "
           "save the weights anew with torch.save";
  if (text.size() > 4 && text.starts_with(kOnnxStart) && text[1] > 0 && text[1] < 32 &&
      text[kOnnxProducer] == '\x12')
    return "an ONNX model; save the weights of the PyTorch model it came from";
  return "";
}

std::string foreign_zip_kind(const StoredZip& zip) {
  const auto has = [&](std::string_view ending) {
    return std::ranges::any_of(zip.entries, [&](const auto& entry) {
      return entry.first == ending || (entry.first.ends_with(ending) &&
                                       entry.first[entry.first.size() - ending.size() - 1] == '/');
    });
  };
  const bool torch = has("data.pkl");
  if (has("attributes.pkl") || (has("constants.pkl") && !torch))
    return "a TorchScript archive of torch before 1.4; save the state_dict() of its model instead";
  if (has("serialized_exported_program.json") || has("models/model.json"))
    return "a torch.export archive, a program; save the state_dict() of its model instead";
  if (torch) return "";
  if (has("model.weights.h5") || has("saved_model.pb"))
    return "a Keras archive; only PyTorch's files are read";
  if (std::ranges::any_of(zip.entries,
                          [](const auto& entry) { return entry.first.ends_with(".npy"); }))
    return "a NumPy archive (.npz), not a file of torch.save";
  return "a zip archive without data.pkl, so not one of torch.save";
}

}  // namespace vitrail
