#include "formats/npy.h"

#include <gtest/gtest.h>

#include "formats/file_helpers.h"

namespace vitrail {
namespace {

using testing::read_text;
using testing::TemporaryFolder;

const std::filesystem::path kGolden = VITRAIL_SOURCE_DIR "/tests/golden/formats";

std::string npy(const std::string& header, const std::string& data) {
  std::string bytes("\x93NUMPY\x01\0", 8);
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header + data;
}

TEST(Npy, ReadsWhatNumpyWroteAndWritesTheSameBytes) {
  const TemporaryFolder folder;
  for (const char* name : {"matrix_f32.npy", "vector_i64.npy", "scalar_f64.npy"}) {
    const Tensor tensor = read_npy(kGolden / name);
    EXPECT_EQ(npy_bytes(tensor), read_text(kGolden / name)) << name;
    write_npy(folder / name, tensor);
    EXPECT_EQ(read_text(folder / name), read_text(kGolden / name)) << name;
  }
  const Tensor matrix = read_npy(kGolden / "matrix_f32.npy");
  EXPECT_EQ(matrix.shape(), Shape({2, 3}));
  EXPECT_EQ(matrix.f32()[4], 1.0f);
  EXPECT_EQ(read_npy(kGolden / "scalar_f64.npy").data<double>()[0], 2.5);
  EXPECT_EQ(read_npy(kGolden / "version2_u8.npy").data<uint8_t>()[2], 2);
}

TEST(Npy, RefusesWhatItCannotRead) {
  EXPECT_ERROR(read_npy(kGolden / "fortran.npy"), "Fortran");
  EXPECT_ERROR(read_npy(kGolden / "missing.npy"), "no such file");
  EXPECT_ERROR(parse_npy("", "x"), "not a .npy file");
  EXPECT_ERROR(parse_npy("\x93NUMPY", "x"), "not a .npy file");
  EXPECT_ERROR(parse_npy("\x93NUMPY\x03\x01\x01\x01", "x"), "version 3");
  EXPECT_ERROR(parse_npy(std::string("\x93NUMPY\x01\0\xff\xff", 10), "x"),
               "ends within its header");
  EXPECT_ERROR(parse_npy(std::string("\x93NUMPY\x02\0\xff\xff\xff\xff", 12), "x"), "ends within");
  const auto with = [](const std::string& descriptor, const std::string& shape) {
    return parse_npy(
        npy("{'descr': '" + descriptor + "', 'fortran_order': False, 'shape': " + shape + ", }\n",
            std::string(8, '\0')),
        "x");
  };
  EXPECT_EQ(with("<f4", "(2,)").numel(), 2);
  EXPECT_ERROR(with(">f4", "(2,)"), "'>f4' are not supported");
  EXPECT_ERROR(with("|O", "(1,)"), "not supported");
  EXPECT_ERROR(with("<f4", "(3,)"), "does not take the 8 bytes");
  EXPECT_ERROR(with("<f4", "(99999999999999999999,)"), "overflows");
  EXPECT_ERROR(with("<f4", "(4294967296, 4294967296)"), "more elements");
  EXPECT_ERROR(with("<f4", "(4611686018427387904,)"), "does not take");
  EXPECT_ERROR(with("<f4", "(-1,)"), "not a dictionary");
  EXPECT_ERROR(with("<f4", "(1,1,1,1,1,1,1,1,2)"), "8 axes");
  EXPECT_ERROR(with("<f4", "2"), "not a dictionary");
  EXPECT_ERROR(parse_npy(npy("", ""), "x"), "not a dictionary");
  EXPECT_ERROR(parse_npy(npy("{'descr': '<f4'", ""), "x"), "not a dictionary");
  EXPECT_ERROR(parse_npy(npy("{'descr': '<f4', 'shape': (0,)}", ""), "x"), "not a dictionary");
  EXPECT_ERROR(npy_bytes(Tensor::zeros({1}, DType::bf16)), "no bf16");
}

TEST(Npy, EveryTruncationIsRefused) {
  const std::string whole = read_text(kGolden / "matrix_f32.npy");
  for (size_t bytes = 0; bytes < whole.size(); ++bytes)
    EXPECT_THROW(parse_npy(std::string_view(whole).substr(0, bytes), "x"), Error) << bytes;
}

}  // namespace
}  // namespace vitrail
