// Modules saved whole, by torch.save(model): what is read is what their state_dict() holds, as
// safetensors wrote it beside them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "formats/file_helpers.h"
#include "formats/pth.h"
#include "formats/safetensors.h"

namespace vitrail {
namespace {

const std::filesystem::path kModuleGolden = VITRAIL_SOURCE_DIR "/tests/golden/formats";

bool has_note(const TensorSource& source, const std::string& part) {
  return std::ranges::any_of(source.notes(), [&](const std::string& note) {
    return note.find(part) != std::string::npos;
  });
}

struct Case {
  const char* file;
  const char* module_class;
  const char* note;
};

class WholeModule : public ::testing::TestWithParam<Case> {};

TEST_P(WholeModule, HasTheTensorsOfItsStateDict) {
  const auto& [name, module_class, note] = GetParam();
  const auto file = PthFile::open(kModuleGolden / name);
  const auto upstream = SafetensorsFile::open(kModuleGolden / "whole.safetensors");
  EXPECT_EQ(file->names(), upstream->names());  // no passing buffer, no absent one
  for (const std::string& tensor : upstream->names()) {
    ASSERT_TRUE(file->contains(tensor)) << tensor;
    const Tensor read = file->tensor(tensor), right = upstream->tensor(tensor);
    ASSERT_EQ(read.shape(), right.shape()) << tensor;
    ASSERT_EQ(read.dtype(), right.dtype()) << tensor;
    EXPECT_EQ(std::memcmp(read.raw(), right.raw(), right.bytes()), 0) << tensor;
  }
  EXPECT_EQ(file->module_class(), module_class);
  EXPECT_TRUE(has_note(*file, note)) << note;
}

INSTANTIATE_TEST_SUITE_P(
    Pth, WholeModule,
    ::testing::Values(Case{"whole.pth", "timm.models.eva.Eva", "a module saved whole"},
                      Case{"whole_protocol4.pth", "timm.models.eva.Eva", "saved whole"},
                      Case{"whole_legacy.pth", "timm.models.eva.Eva", "saved whole"},
                      Case{"whole_parallel.pth", "timm.models.eva.Eva", "the prefix 'module.'"},
                      Case{"whole_in_dict.pth", "timm.models.eva.Eva", "'model' is read"},
                      Case{"compiled.pth", "timm.models.eva.Eva", "saved whole"},
                      Case{"traced.pth", "torch.fx.graph_module.GraphModule", "saved whole"},
                      Case{"lightning.pth", "", "the prefix 'model.' is taken off"},
                      Case{"compiled_parallel.pth", "", "the prefix 'module._orig_mod.'"}),
    [](const auto& parameter) {
      const std::string name = parameter.param.file;
      return name.substr(0, name.find('.'));
    });

TEST(WholeModules, WithoutTensorsAreNamed) {
  EXPECT_ERROR(PthFile::open(kModuleGolden / "empty_module.pth"),
               "is an object of torch.nn.modules.module.Module, which has no parameters");
  EXPECT_ERROR(PthFile::open(kModuleGolden / "no_module.pth"), "is an object of signal.Handlers");
}

// Archives of torch.jit.save: what is read is what the module's state_dict() holds.
TEST(TorchScript, HasTheTensorsOfItsModule) {
  const auto upstream = SafetensorsFile::open(kModuleGolden / "script_module.safetensors");
  for (const char* name : {"script_module.pt", "script_traced.pt"}) {
    const auto file = PthFile::open(kModuleGolden / name);
    EXPECT_EQ(file->names(), upstream->names()) << name;
    for (const std::string& tensor : upstream->names()) {
      const Tensor read = file->tensor(tensor), right = upstream->tensor(tensor);
      ASSERT_EQ(read.shape(), right.shape()) << tensor;
      ASSERT_EQ(read.dtype(), right.dtype()) << tensor;
      EXPECT_EQ(std::memcmp(read.raw(), right.raw(), right.bytes()), 0) << tensor;
    }
    // Of a wrapper the class within counts.
    EXPECT_TRUE(file->module_class().ends_with("Inner")) << file->module_class();
    EXPECT_EQ(file->module_class().find("torch_mangle"), std::string::npos);
    EXPECT_EQ(file->module_fields(), "");
    EXPECT_TRUE(has_note(*file, "whose program is not read"));
  }
  EXPECT_TRUE(has_note(*PthFile::open(kModuleGolden / "script_traced.pt"), "prefix 'model.'"));
}

TEST(TorchScript, WithoutNamedWeightsIsRefused) {
  EXPECT_ERROR(PthFile::open(kModuleGolden / "scripted.pt"), "is a TorchScript archive without");
  EXPECT_ERROR(PthFile::open(kModuleGolden / "script_frozen.pt"), "torch.jit.freeze");
  EXPECT_ERROR(PthFile::open(kModuleGolden / "script_module.pt", {.state_dict = "ema"}),
               "state_dict=ema chooses nothing");
}

TEST(OtherFiles, AreRefusedByWhatTheyAre) {
  EXPECT_ERROR(PthFile::open(kModuleGolden / "jax.npz"), "is a NumPy archive (.npz)");
  const testing::TemporaryFolder folder;
  const auto refusal_of = [&](const std::string& bytes) {
    testing::write_text(folder / "model.bin", bytes);
    try {
      open_tensors(folder / "model.bin");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  const std::string rest(300, 'x');
  std::string tar(512, '\0');
  tar.replace(0, 8, "storages").replace(257, 5, "ustar");
  const std::pair<std::string, const char*> kinds[] = {
      {"\x89HDF\r\n\x1a\n" + rest, "an HDF5 file"},
      {"\x93NUMPY\x01" + rest, "a NumPy array"},
      {"GGUF" + rest, "a GGUF file"},
      {"\x1f\x8b\x08" + rest, "compressed with gzip"},
      {"BZh9" + rest, "bzip2"},
      {"\x28\xb5\x2f\xfd" + rest, "zstd"},
      {"version https://git-lfs.github.com/spec/v1\n" + rest, "a pointer of Git LFS"},
      {"<!DOCTYPE html><html>" + rest, "a web page"},
      {tar, "a tar archive"},
      {"\x08\x0a\x12\x07pytorch" + rest, "an ONNX model"},
  };
  for (const auto& [bytes, what] : kinds)
    EXPECT_NE(refusal_of(bytes).find(what), std::string::npos) << refusal_of(bytes);
}

}  // namespace
}  // namespace vitrail
