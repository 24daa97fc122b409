#include "formats/pth.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "core/file.h"
#include "formats/file_helpers.h"
#include "formats/safetensors.h"

namespace vitrail {
namespace {

using testing::read_text;
using testing::TemporaryFolder;
using testing::write_text;

const std::filesystem::path kPthGolden = VITRAIL_SOURCE_DIR "/tests/golden/formats";

std::shared_ptr<PthFile> pth_parse(const std::string& bytes, const std::string& state_dict = "") {
  auto copy = std::make_shared<std::string>(bytes);
  return PthFile::parse(std::as_bytes(std::span(*copy)), copy, "test", {state_dict});
}

Tensor pth_ramp(DType dtype, const Shape& shape, float first = -3) {
  Tensor values = Tensor::empty(shape);
  for (int64_t i = 0; i < values.numel(); ++i)
    values.f32()[i] = static_cast<float>(i % 100) + first;
  return values.to(dtype);
}

void expect_equal(const Tensor& read, const Tensor& expected, const std::string& name) {
  ASSERT_EQ(read.dtype(), expected.dtype()) << name;
  ASSERT_EQ(read.shape(), expected.shape()) << name;
  if (expected.bytes() > 0) {
    EXPECT_EQ(std::memcmp(read.raw(), expected.raw(), expected.bytes()), 0) << name;
  }
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += text + "\n";
  return all;
}

class WrittenByTorch : public ::testing::TestWithParam<const char*> {};

TEST_P(WrittenByTorch, EveryDtypeViewAndStride) {
  const auto file = PthFile::open(kPthGolden / GetParam());
  Tensor flag = Tensor::zeros({3}, DType::boolean);
  flag.data<bool>()[0] = flag.data<bool>()[2] = true;
  const Tensor base = pth_ramp(DType::f32, {4, 6});
  Tensor columns = Tensor::empty({4, 2}), turned = Tensor::empty({6, 4});
  for (int64_t row = 0; row < 4; ++row) {
    for (int64_t column = 0; column < 6; ++column)
      turned.f32()[column * 4 + row] = base.f32()[row * 6 + column];
    for (int64_t column = 0; column < 2; ++column)
      columns.f32()[row * 2 + column] = base.f32()[row * 6 + column + 2];
  }
  const NamedTensors expected = {{"weight", pth_ramp(DType::f32, {2, 3})},
                                 {"half", pth_ramp(DType::f16, {5})},
                                 {"brain", pth_ramp(DType::bf16, {3})},
                                 {"double", pth_ramp(DType::f64, {2})},
                                 {"long", pth_ramp(DType::i64, {2, 1, 2})},
                                 {"flag", flag},
                                 {"scalar", Tensor::full({}, 2.5f)},
                                 {"nothing", Tensor::zeros({0, 4})},
                                 {"rows", base.rows(1, 3)},
                                 {"columns", columns},
                                 {"turned", turned},
                                 {"parameter", pth_ramp(DType::f32, {3})}};
  EXPECT_EQ(file->names().size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(file->contains(name)) << name;
    expect_equal(file->tensor(name), tensor, name);
  }
  EXPECT_EQ(file->notes(), std::vector<std::string>());
}

INSTANTIATE_TEST_SUITE_P(Pth, WrittenByTorch,
                         ::testing::Values("plain.pth", "legacy.pth", "protocol4.pt"),
                         [](const auto& file) {
                           const std::string name = file.param;
                           return name.substr(0, name.find('.'));
                         });

TEST(Pth, SharesMemoryWhereItCanAndCopiesFromFiles) {
  const std::vector<std::byte> bytes = read_file(kPthGolden / "plain.pth", 1 << 20);
  const auto shared = PthFile::parse(bytes, nullptr, "memory");
  EXPECT_EQ(shared->tensor("rows").raw(), shared->tensor("rows").raw());
  EXPECT_TRUE(shared->tensor("rows").storage()->read_only());
  EXPECT_NE(shared->tensor("columns").raw(), shared->tensor("columns").raw());
  auto file = PthFile::open(kPthGolden / "plain.pth");
  for (const std::string& name : file->names())
    expect_equal(file->tensor(name), shared->tensor(name), name);
  const Tensor rows = file->tensor("rows");
  EXPECT_NE(rows.raw(), file->tensor("rows").raw());
  EXPECT_FALSE(rows.storage()->read_only());
  file.reset();
  EXPECT_EQ(rows.f32()[0], 3.0f);
}

// A mapping of the file would end the process by SIGBUS.
TEST(Pth, AFileThatShrinksIsAnError) {
  const TemporaryFolder folder;
  const auto path = folder / "a.pth";
  std::filesystem::copy_file(kPthGolden / "plain.pth", path);
  const auto file = PthFile::open(path);
  std::filesystem::resize_file(path, 1);
  for (const std::string& name : file->names())
    if (file->info(name).bytes() > 0)
      EXPECT_ERROR(file->tensor(name), "a.pth: was changed while it was in use");
}

TEST(Pth, ReadsTheAveragedWeightsAndNamesTheOthers) {
  for (const char* name : {"training.pth.tar", "training_legacy.pth.tar"}) {
    const auto file = PthFile::open(kPthGolden / name);
    EXPECT_EQ(file->names(), (std::vector<std::string>{"a", "b"})) << name;
    expect_equal(file->tensor("a"), pth_ramp(DType::f32, {4}, 7), name);
    EXPECT_EQ(joined(file->notes()),
              "the state dict 'model_ema' is read; there is also 'model' (ModelOptions::settings "
              "{{\"state_dict\", \"NAME\"}})\n"
              "the prefix 'module.' is taken off the names\n");
    const auto raw = PthFile::open(kPthGolden / name, {.state_dict = "model"});
    expect_equal(raw->tensor("b"), pth_ramp(DType::f32, {4}, -2), name);
    EXPECT_ERROR(PthFile::open(kPthGolden / name, {.state_dict = "optimizer"}),
                 "has no state dict 'optimizer'; it has 'model', 'model_ema'");
  }
}

TEST(Pth, OfSelfDistillationTakesTheTeachersBackbone) {
  const auto teacher = PthFile::open(kPthGolden / "dino.pth");
  EXPECT_EQ(teacher->names(), std::vector<std::string>{"patch_embed.proj.weight"});
  expect_equal(teacher->tensor("patch_embed.proj.weight"), pth_ramp(DType::f32, {4}, -2),
               "teacher");
  EXPECT_NE(joined(teacher->notes()).find("1 tensors outside 'backbone.' are left out"),
            std::string::npos);
  const auto student = PthFile::open(kPthGolden / "dino.pth", {.state_dict = "student"});
  expect_equal(student->tensor("patch_embed.proj.weight"), pth_ramp(DType::f32, {4}), "student");
}

TEST(Pth, FindsTheWeightsOfAModuleSavedWhole) {
  const auto file = PthFile::open(kPthGolden / "module.pt");
  EXPECT_EQ(file->names(), (std::vector<std::string>{"0.bias", "0.weight", "1.bias", "1.weight"}));
  EXPECT_EQ(file->info("0.weight").shape, (Shape{3, 2}));
  expect_equal(file->tensor("1.weight"), Tensor::full({3}, 1), "1.weight");
}

TEST(Pth, IsToldByItsBytesWhateverItsName) {
  const TemporaryFolder folder;
  write_text(folder / "pytorch_model.bin", read_text(kPthGolden / "plain.pth"));
  EXPECT_TRUE(open_tensors(folder.path())->contains("weight"));
  write_text(folder / "weights.safetensors", read_text(kPthGolden / "legacy.pth"));
  EXPECT_TRUE(open_tensors(folder / "weights.safetensors")->contains("weight"));
  write_text(folder / "mine.pth", read_text(kPthGolden / "plain.safetensors"));
  EXPECT_TRUE(open_tensors(folder / "mine.pth")->contains("a"));
  EXPECT_ERROR(open_tensors(folder / "mine.pth", "model"), "state_dict=model chooses nothing");
}

// The length of a header may be the bytes that a pickle begins with.
TEST(Pth, LeavesSafetensorsAlone) {
  const TemporaryFolder folder;
  std::string header = R"({"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  header.resize(0x280, ' ');
  std::string bytes("\x80\x02\0\0\0\0\0\0", 8);
  write_text(folder / "model.safetensors", bytes + header + "abcd");
  EXPECT_FALSE(is_pth_file(folder / "model.safetensors"));
  EXPECT_TRUE(open_tensors(folder.path())->contains("t"));
}

TEST(Pth, ReadsShards) {
  const TemporaryFolder folder;
  write_text(folder / "one.bin", read_text(kPthGolden / "module.pt"));
  write_text(folder / "pytorch_model.bin.index.json",
             R"({"weight_map":{"0.bias":"one.bin","0.weight":"one.bin","1.bias":"one.bin",)"
             R"("1.weight":"one.bin"}})");
  EXPECT_EQ(open_tensors(folder.path())->names().size(), 4u);
}

struct Hostile {
  const char* name;
  const char* message;
};

TEST(Pth, HostilePicklesAreRefusedAndNothingRuns) {
  constexpr Hostile kCases[] = {
      {"reduce_os_system", "would call os.system; a checkpoint needs no code"},
      {"reduce_eval", "would call __builtin__.eval"},
      {"stack_global", "would call posix.system"},
      {"reduce_of_reduce", "would call numpy.dtype"},
      {"inst", "would call os.system"},
      {"obj", "would call os.system"},
      {"newobj", "would call subprocess.Popen"},
      {"newobj_ex", "would call subprocess.Popen"},
      {"setattr", "would call __setstate__"},
      {"build_on_function", "would call __setstate__"},
      {"ext1", "would call an entry of copyreg's extension registry"},
      {"ext2", "would call an entry of copyreg's extension registry"},
      {"ext4", "would call an entry of copyreg's extension registry"},
      {"persid_text", "has the opcode 0x50"},
      {"persid_other", "refers to something outside"},
      {"deep_lists", "nested deeper than 128"},
      {"deep_tuples", "nested deeper than 128"},
      {"deep_marks", "nested deeper than 128"},
      {"deep_self", "nested deeper than 128"},
      {"memo_index", "remembers a value as number 4294967295"},
      {"memo_missing", "recalls value 7"},
      {"memo_bomb", "values on its stack"},
      {"dict_bomb", "values on its stack"},
      {"dict_bomb_closed", "share parts so often"},
      {"long_length", "ends within a value"},
      {"text_length", "ends within a value"},
      {"text_length8", "ends within a value"},
      {"underflow", "empty stack"},
      {"empty_stack", "leaves 0 values"},
      {"mark_underflow", "never opened"},
      {"below_mark", "empty stack"},
      {"protocol0", "has protocol 0"},
      {"protocol9", "has protocol 9"},
      {"odd_dict", "key without value"},
      {"unknown_storage", "names 'os system' as a storage's type"},
      {"negative_storage", "storage of -1 elements"},
      {"beyond_storage", "a tensor of 5 elements that reaches to element 4 of a storage of 4"},
      {"offset_beyond", "reaches to element 4"},
      {"negative_offset", "negative or overflow"},
      {"negative_size", "negative or overflow"},
      {"negative_stride", "negative or overflow"},
      {"size_overflow", "negative or overflow"},
      {"stride_overflow", "negative or overflow"},
      {"repeated", "a tensor of 1099511627776 elements"},
      {"rank", "9 axes; at most 8"},
      {"axes", "2 axes with 1 strides"},
      {"claimed_storage", "a storage that holds 4: truncated?"},
      {"storage_length", "beyond the file's end"},
      {"partial_of_system", "would call os.system"},
      {"submodule", "would call torch.hub.load"},
      {"ordereddict_quadratic", "more than 8 steps for each"},
      {"set_quadratic", "more than 8 steps for each"},
      {"sizes_quadratic", "3000 axes; at most 8"},
      {"persid_quadratic", "refers to something outside"},
      {"long_global", "names a global in more than 1024 bytes"},
      {"long_names", "a tensor's name of 2000 bytes"},
      {"many_values", "holds no dictionary of tensors"},
      {"plain_pickle", "torch.save did not write"},
  };
  std::set<std::string> tried;
  for (const auto& [name, message] : kCases) {
    SCOPED_TRACE(name);
    tried.insert(name);
    EXPECT_ERROR(PthFile::open(kPthGolden / "hostile_pth" / (std::string(name) + ".pth")), message);
  }
  for (const auto& entry : std::filesystem::directory_iterator(kPthGolden / "hostile_pth"))
    EXPECT_TRUE(tried.contains(entry.path().stem())) << entry.path() << " is not tried";
  EXPECT_FALSE(std::filesystem::exists("vitrail_was_here"));
}

TEST(Pth, ArchivesThatAreCutOrDamagedAreRefused) {
  const std::string whole = read_text(kPthGolden / "plain.pth");
  for (size_t length = 0; length < whole.size(); length += 13)
    EXPECT_THROW(pth_parse(whole.substr(0, length)), Error) << length;
  const size_t central = whole.find("PK\x01\x02");
  ASSERT_NE(central, std::string::npos);
  const auto damaged = [&](size_t at, const std::string& bytes) {
    std::string copy = whole;
    return copy.replace(at, bytes.size(), bytes);
  };
  EXPECT_ERROR(pth_parse(damaged(central + 10, "\x08")), "compressed");
  EXPECT_ERROR(pth_parse(damaged(central + 8, "\x01")), "encrypted");
  EXPECT_ERROR(pth_parse(damaged(central + 42, std::string("\xfe\xff\xff\x7f"))),
               "where it is not");
  EXPECT_ERROR(pth_parse(damaged(central + 20, "\xfe\xff\xff\x7f\xfe\xff\xff\x7f")), "truncated?");
  EXPECT_ERROR(pth_parse(damaged(central, "XX")), "damaged directory");
  EXPECT_ERROR(pth_parse("hello"), "neither a zip archive nor a pickle");
  EXPECT_ERROR(pth_parse(""), "is empty");
  // Every pickle cut at every byte: never more than an Error.
  const std::string legacy = read_text(kPthGolden / "legacy.pth");
  for (size_t length = 0; length < legacy.size(); ++length)
    EXPECT_THROW(pth_parse(legacy.substr(0, length)), Error) << length;
}

}  // namespace
}  // namespace vitrail
