#include "formats/npz.h"

#include <gtest/gtest.h>

#include <numeric>

#include "formats/file_helpers.h"
#include "formats/safetensors.h"

namespace vitrail {
namespace {

using testing::read_text;
using testing::TemporaryFolder;
using testing::write_text;

const std::filesystem::path kNpzGolden = VITRAIL_SOURCE_DIR "/tests/golden/formats";

std::vector<float> counted() {
  std::vector<float> values(24);
  std::iota(values.begin(), values.end(), 0.0f);
  return values;
}

void expect_arrays(const TensorSource& file) {
  EXPECT_EQ(file.names(),
            (std::vector<std::string>{"Transformer/rows", "columns", "empty", "one"}));
  for (const char* name : {"Transformer/rows", "columns"}) {  // C order, and Fortran's
    const Tensor tensor = file.tensor(name);
    EXPECT_EQ(tensor.shape(), Shape({2, 3, 4}));
    const auto values = tensor.values();
    EXPECT_EQ(std::vector<float>(values.begin(), values.end()), counted()) << name;
  }
  EXPECT_EQ(file.tensor("one").data<double>()[0], 2.5);
  EXPECT_EQ(file.info("empty").shape, Shape({0, 3}));
  EXPECT_ERROR(file.tensor("two"), "has no array 'two'");
}

TEST(Npz, ReadsWhatNumpyWrote) {
  expect_arrays(*NpzFile::open(kNpzGolden / "arrays.npz"));
  expect_arrays(*open_tensors(kNpzGolden / "arrays.npz"));
  const std::string bytes = read_text(kNpzGolden / "arrays.npz");
  expect_arrays(*NpzFile::parse(std::as_bytes(std::span(bytes)), nullptr, "x"));
}

TEST(Npz, IsFoundInAFolderThatHoldsOneAlone) {
  const TemporaryFolder folder;
  write_text(folder / "weights.npz", read_text(kNpzGolden / "arrays.npz"));
  expect_arrays(*open_tensors(folder.path()));
  write_text(folder / "others.npz", read_text(kNpzGolden / "arrays.npz"));
  EXPECT_ERROR(open_tensors(folder.path()), "nor one .npz");
}

TEST(Npz, RefusesWhatItCannotRead) {
  EXPECT_ERROR(NpzFile::open(kNpzGolden / "jax_compressed.npz"), "numpy.savez");
  EXPECT_ERROR(NpzFile::open(kNpzGolden / "not_arrays.npz"), "'a': is not a .npy file");
  EXPECT_ERROR(open_tensors(kNpzGolden / "arrays.npz", "model"),
               "state_dict=model chooses nothing");
  EXPECT_ERROR(NpzFile::open(kNpzGolden / "missing.npz"), "no such file");
  const std::string whole = read_text(kNpzGolden / "arrays.npz");
  for (size_t bytes = 0; bytes < whole.size(); ++bytes)
    EXPECT_THROW(NpzFile::parse(std::as_bytes(std::span(whole).first(bytes)), nullptr, "x"), Error)
        << bytes;
}

}  // namespace
}  // namespace vitrail
