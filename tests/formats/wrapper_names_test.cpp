#include "formats/wrapper_names.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "formats/file_helpers.h"
#include "formats/pth.h"
#include "formats/safetensors.h"

namespace vitrail {
namespace {

using Names = std::vector<std::string>;
using testing::TemporaryFolder;

const std::filesystem::path kNamesGolden = VITRAIL_SOURCE_DIR "/tests/golden/formats";

Names shortened(const Names& names) {
  Names result;
  for (const auto& [name, original] : unwrapped_names(names).original) result.push_back(name);
  return result;
}

TEST(WrapperNames, APrefixOfEveryNameComesOff) {
  for (const char* wrapper : {"module.", "_orig_mod.", "model.", "net.", "module._orig_mod.",
                              "_orig_mod.module.", "model.module.", "_fsdp_wrapped_module.",
                              "module.model._orig_mod.", "_orig_mod._orig_mod."}) {
    const std::string before = wrapper;
    EXPECT_EQ(shortened({before + "classifier.bias", before + "vit.layernorm.bias"}),
              (Names{"classifier.bias", "vit.layernorm.bias"}))
        << wrapper;
  }
  // One that only some have is a part of the model.
  EXPECT_EQ(shortened({"classifier.bias", "model.a"}), (Names{"classifier.bias", "model.a"}));
  EXPECT_EQ(shortened({"modules.a", "modules.b"}), (Names{"modules.a", "modules.b"}));
  EXPECT_EQ(shortened({}), Names{});
  EXPECT_TRUE(unwrapped_names({"cls_token", "head.bias"}).notes.empty());
}

TEST(WrapperNames, CompiledAndShardedPartsComeOffAnywhere) {
  EXPECT_EQ(shortened({"head.bias", "vit._orig_mod.blocks.0._checkpoint_wrapped_module.norm",
                       "vit._orig_mod.cls"}),
            (Names{"head.bias", "vit.blocks.0.norm", "vit.cls"}));
  EXPECT_EQ(shortened({"a_orig_mod.b"}), Names{"a_orig_mod.b"});  // a name of one's own
  // Not where two would become one.
  EXPECT_EQ(shortened({"vit._orig_mod.cls", "vit.cls"}), (Names{"vit._orig_mod.cls", "vit.cls"}));
}

TEST(WrapperNames, InEveryKindOfFile) {
  const TemporaryFolder folder;
  const NamedTensors wrapped{{"_orig_mod.vit.a", Tensor::full({2}, 1)},
                             {"_orig_mod.classifier.bias", Tensor::full({3}, 2)}};
  const Names right{"classifier.bias", "vit.a"};
  write_safetensors(folder / "model.safetensors", wrapped, {{"format", "pt"}});
  const auto whole = open_tensors(folder.path());
  EXPECT_EQ(whole->names(), right);
  EXPECT_EQ(whole->tensor("vit.a").f32()[1], 1);
  EXPECT_EQ(whole->find("_orig_mod.vit.a"), nullptr);
  EXPECT_EQ(whole->metadata().at("format"), "pt");
  EXPECT_EQ(whole->notes(), Names{"the prefix '_orig_mod.' is taken off the names"});

  testing::write_text(folder / "two.index.json",
                      R"({"weight_map":{"_orig_mod.vit.a":"model.safetensors",)"
                      R"("_orig_mod.classifier.bias":"model.safetensors"}})");
  EXPECT_EQ(open_tensors(folder / "two.index.json")->names(), right);

  EXPECT_EQ(open_tensors(kNamesGolden / "compiled_parallel.pth")->names(),
            SafetensorsFile::open(kNamesGolden / "whole.safetensors")->names());
}

// A shard may hold nothing but an encoder; its names are those of the index.
TEST(WrapperNames, OfAShardStay) {
  const TemporaryFolder folder;
  std::filesystem::copy(kNamesGolden / "lightning.pth", folder / "one.bin");
  Names names;
  std::string map;
  for (const std::string& name :
       SafetensorsFile::open(kNamesGolden / "whole.safetensors")->names()) {
    names.push_back("model." + name);
    map += fmt::format(",\"model.{}\":\"one.bin\"", name);
  }
  write_safetensors(folder / "two.safetensors", {{"head.bias", Tensor::full({3}, 2)}});
  names.insert(names.begin(), "head.bias");
  testing::write_text(folder / "pytorch_model.bin.index.json",
                      R"({"weight_map":{"head.bias":"two.safetensors")" + map + "}}");
  EXPECT_EQ(open_tensors(folder.path())->names(), names);
}

// transformers' PVT v2, SegFormer and CvT without their heads have nothing but an encoder.
TEST(WrapperNames, AnEncoderOfListsAloneIsTheModelsOwn) {
  const UnwrappedNames own = unwrapped_names(
      {"encoder.layers.0.norm.weight", "encoder.layers.1.norm.weight", "encoder.block.0.0.bias"});
  EXPECT_EQ(own.prefix, "");
  EXPECT_EQ(unwrapped_names({"encoder.cls_token", "encoder.blocks.0.norm1.weight"}).prefix,
            "encoder.");
}

}  // namespace
}  // namespace vitrail
