// NumPy's .npy files (NEP 1, format versions 1 and 2): one C-ordered little-endian array.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/tensor.h"

namespace vitrail {

inline constexpr size_t kMaxNpyHeaderBytes = size_t{1} << 20;

// Every dtype but bf16, which NumPy does not know (Error). Written atomically.
void write_npy(const std::filesystem::path& path, const Tensor& tensor);
// The bytes of such a file.
std::string npy_bytes(const Tensor& tensor);

// Where the elements of such a file lie, and how.
struct NpyLayout {
  DType dtype = DType::f32;
  Shape shape;
  bool fortran_order = false;  // the first axis is the fastest
  size_t begin = 0;            // of the elements, in the file
};
// Of the bytes of a whole file. Error: as read_npy, but for Fortran order.
NpyLayout npy_layout(std::string_view bytes, const std::string& place);

// Error: not a .npy file, Fortran order, big-endian, a dtype Vitrail lacks, or a size that is not
// the file's.
Tensor read_npy(const std::filesystem::path& path);
// Parses the bytes of a .npy file; `place` names them in messages.
Tensor parse_npy(std::string_view bytes, const std::string& place);

}  // namespace vitrail
