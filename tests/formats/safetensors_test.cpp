#include "formats/safetensors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>

#include "formats/file_helpers.h"

namespace vitrail {
namespace {

using testing::read_text;
using testing::TemporaryFolder;
using testing::write_text;

const std::filesystem::path kTensorsGolden = VITRAIL_SOURCE_DIR "/tests/golden/formats";

std::string file_bytes(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + data;
}

std::shared_ptr<SafetensorsFile> parse(const std::string& bytes) {
  auto copy = std::make_shared<std::string>(bytes);
  return SafetensorsFile::parse(std::as_bytes(std::span(*copy)), copy, "test");
}

std::string one_tensor(const std::string& fields) {
  return "{\"t\":{" + fields + "}}";
}

Tensor ramp(DType dtype, const Shape& shape) {
  Tensor values = Tensor::empty(shape);
  for (int64_t i = 0; i < values.numel(); ++i) values.f32()[i] = static_cast<float>(i % 100 - 3);
  return values.to(dtype);
}

NamedTensors every_dtype() {
  Tensor unsigned_ramp = Tensor::empty({5}, DType::u8);
  for (uint8_t i = 0; i < 5; ++i) unsigned_ramp.data<uint8_t>()[i] = i;
  Tensor flag = Tensor::zeros({3}, DType::boolean);
  flag.data<bool>()[0] = flag.data<bool>()[2] = true;
  return {{"weight", ramp(DType::f32, {2, 3})},
          {"half", ramp(DType::f16, {5})},
          {"brain", ramp(DType::bf16, {3})},
          {"double", ramp(DType::f64, {2})},
          {"long", ramp(DType::i64, {2, 1, 2})},
          {"int", ramp(DType::i32, {3})},
          {"short", ramp(DType::i16, {1})},
          {"byte", ramp(DType::i8, {7})},
          {"unsigned", unsigned_ramp},
          {"flag", flag},
          {"scalar", Tensor::full({}, 2.5f)},
          {"nothing", Tensor::zeros({0, 4})},
          {"quo\"te\\ \u00e9\n", ramp(DType::f32, {1})}};
}

TEST(Safetensors, ReadsWhatPythonWrote) {
  const auto file = SafetensorsFile::open(kTensorsGolden / "every_dtype.safetensors");
  EXPECT_EQ(file->metadata().at("format"), "pt");
  const NamedTensors expected = every_dtype();
  EXPECT_EQ(file->names().size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(file->contains(name)) << name;
    const Tensor read = file->tensor(name);
    EXPECT_EQ(read.dtype(), tensor.dtype()) << name;
    EXPECT_EQ(read.shape(), tensor.shape()) << name;
    EXPECT_EQ(std::memcmp(read.raw(), tensor.raw(), tensor.bytes()), 0) << name;
  }
}

TEST(Safetensors, WritesTheBytesThatPythonWrites) {
  const TemporaryFolder folder;
  write_safetensors(folder / "every.safetensors", every_dtype(), {{"format", "pt"}});
  EXPECT_EQ(read_text(folder / "every.safetensors"),
            read_text(kTensorsGolden / "every_dtype.safetensors"));
  write_safetensors(folder / "plain.safetensors", {{"a", ramp(DType::f32, {4})}});
  EXPECT_EQ(read_text(folder / "plain.safetensors"),
            read_text(kTensorsGolden / "plain.safetensors"));
}

TEST(Safetensors, TensorsOfAFileAreCopiesAndOutliveIt) {
  auto file = SafetensorsFile::open(kTensorsGolden / "every_dtype.safetensors");
  const Tensor weight = file->tensor("weight");
  EXPECT_NE(weight.raw(), file->tensor("weight").raw());
  EXPECT_FALSE(weight.storage()->read_only());
  file.reset();
  EXPECT_EQ(weight.f32()[5], 2.0f);
}

// A mapping of the file would end the process by SIGBUS.
TEST(Safetensors, AFileThatShrinksIsAnError) {
  const TemporaryFolder folder;
  const auto path = folder / "a.safetensors";
  const Tensor big = ramp(DType::f32, {64, 1024});
  write_safetensors(path, {{"a", big}, {"b", big}});
  const auto file = SafetensorsFile::open(path);
  const Tensor a = file->tensor("a");
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  EXPECT_ERROR(file->tensor("b"), "a.safetensors: was changed while it was in use");
  EXPECT_ERROR(SafetensorsFile::open(path), "truncated");
  EXPECT_EQ(std::memcmp(a.raw(), big.raw(), big.bytes()), 0);  // what was read stays
}

TEST(Safetensors, CopiesWhatTheFileDoesNotAlign) {
  const auto file = parse(file_bytes(
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}})",
      std::string("\x07\0\0\x80\x3f", 5)));
  const Tensor value = file->tensor("b");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(value.raw()) % alignof(float), 0u);
  EXPECT_EQ(value.f32()[0], 1.0f);
  EXPECT_EQ(file->tensor("a").data<uint8_t>()[0], 7);
}

TEST(Safetensors, RefusesBadLengths) {
  EXPECT_ERROR(parse(""), "is empty");
  EXPECT_ERROR(parse("abc"), "too few");
  EXPECT_ERROR(parse(std::string(8, '\xff')), "above the limit");
  EXPECT_ERROR(parse(std::string("\x10\0\0\0\0\0\0\0{}", 10)), "truncated");
  EXPECT_ERROR(parse(file_bytes("", "")), "does not begin");
  EXPECT_ERROR(parse(file_bytes("[]", "")), "does not begin");
  EXPECT_ERROR(parse(file_bytes("{", "")), "not JSON");
  EXPECT_ERROR(parse(file_bytes("{}x", "")), "not JSON");
  EXPECT_ERROR(parse(file_bytes("{\"\xff\":1}", "")), "not JSON");
  EXPECT_ERROR(parse(file_bytes("{}", "extra")), "5 bytes follow the last tensor");
  EXPECT_TRUE(parse(file_bytes("{}      ", ""))->names().empty());
}

TEST(Safetensors, RefusesWrongFields) {
  const std::string four(4, '\0');
  const auto with = [&](const std::string& fields) {
    return parse(file_bytes(one_tensor(fields), four));
  };
  EXPECT_NO_THROW(with(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"));
  EXPECT_ERROR(with(R"("shape":[1],"data_offsets":[0,4])"), "has no dtype");
  EXPECT_ERROR(with(R"("dtype":"F32","data_offsets":[0,4])"), "has no shape");
  EXPECT_ERROR(with(R"("dtype":"F32","shape":[1])"), "has no data_offsets");
  EXPECT_ERROR(with(R"("dtype":"F8","shape":[1],"data_offsets":[0,4])"), "dtype 'F8'");
  EXPECT_ERROR(with(R"("dtype":32,"shape":[1],"data_offsets":[0,4])"), "the number 32");
  EXPECT_ERROR(with(R"("dtype":["F32"],"shape":[1],"data_offsets":[0,4])"), "a list");
  EXPECT_ERROR(with(R"("dtype":"F32","shape":1,"data_offsets":[0,4])"), "the number 1");
  EXPECT_ERROR(with(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), "the number -1");
  EXPECT_ERROR(with(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])"), "the number 1.0");
  EXPECT_ERROR(with(R"("dtype":"F32","shape":["1"],"data_offsets":[0,4])"), "text");
  EXPECT_ERROR(with(R"("dtype":"F32","shape":[[1]],"data_offsets":[0,4])"), "a list");
  EXPECT_ERROR(with(R"("dtype":"F32","shape":null,"data_offsets":[0,4])"), "null");
  EXPECT_ERROR(with(R"("dtype":"F32","shape":{},"data_offsets":[0,4])"), "an object");
  EXPECT_ERROR(with(R"("dtype":"F32","shape":[1],"data_offsets":[0])"), "takes two numbers");
  EXPECT_ERROR(with(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,4])"), "takes two numbers");
  EXPECT_ERROR(with(R"("dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1)"), "a field 'x'");
  EXPECT_ERROR(with(R"("dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4])"), "twice");
  EXPECT_ERROR(with(R"("dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4])"), "8 axes");
  EXPECT_ERROR(with(R"("dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,4])"),
               "99999999999999999999");
  EXPECT_ERROR(parse(file_bytes(R"({"t":3})", "")), "not an object");
  EXPECT_ERROR(parse(file_bytes(R"({"__metadata__":{"a":1}})", "")), "the number 1");
  EXPECT_ERROR(parse(file_bytes(R"({"__metadata__":{"a":"1","a":"2"}})", "")), "twice");
  EXPECT_ERROR(parse(file_bytes(R"({"__metadata__":{},"__metadata__":{}})", "")), "twice");
}

// The rest as the safetensors library has it: spaces may follow the header, nothing else may.
TEST(Safetensors, NothingHidesInTheHeader) {
  using namespace std::string_literals;
  EXPECT_ERROR(parse(file_bytes("{}\0\0"s, "")), "the header has a NUL byte at 2");
  EXPECT_ERROR(parse(file_bytes("{}\0{\"a\":1}"s, "")), "NUL byte");
  EXPECT_ERROR(parse(file_bytes("{}{}", "")), "not JSON");
  EXPECT_ERROR(parse(file_bytes("\xef\xbb\xbf{}", "")), "does not begin with '{'");
  const std::string entry = R"(:{"dtype":"F32","shape":[1],"data_offsets":)";
  EXPECT_ERROR(parse(file_bytes(
                   "{\"a\"" + entry + "[0,4]},\"b\"" + entry + "[4,8]},\"a\"" + entry + "[8,12]}}",
                   std::string(12, 'x'))),
               "the name 'a' stands twice");
  // Names may be anything; what a message shows of them is printable.
  const std::string odd = R"("\u001b[2J\u202e\n")";
  EXPECT_NO_THROW(parse(file_bytes("{" + odd + entry + "[0,4]}}", "abcd")));
  EXPECT_ERROR(parse(file_bytes("{" + odd + entry + "[0,8]}}", "abcdefgh")),
               "tensor '\\x1b[2J\\u202e\\n' takes 8 bytes");
}

TEST(Safetensors, HeadersAreBoundedByWhatTheyHold) {
  std::string many = "{", metadata = R"({"__metadata__":{"0":"")";
  for (size_t i = 0; i <= kMaxSafetensorsTensors; ++i)
    many += fmt::format("{}\"{}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
                        i > 0 ? "," : "", i);
  for (size_t i = 1; i <= kMaxSafetensorsMetadata; ++i) metadata += fmt::format(",\"{}\":\"\"", i);
  EXPECT_ERROR(parse(file_bytes(many + "}", "")), "has more than 100000 tensors");
  EXPECT_ERROR(parse(file_bytes(metadata + "}}", "")), "more than 10000 entries");
  EXPECT_ERROR(parse(file_bytes("{\"" + std::string(1025, 'x') + "\":{}}", "")), "1025 bytes");
  EXPECT_ERROR(parse(file_bytes(R"({"t":)" + std::string(100'000, '['), "")), "a list, not an");
}

TEST(Safetensors, RefusesSizesThatOverflowOrDisagree) {
  const std::string four(4, '\0');
  const auto with = [&](const std::string& shape, const std::string& offsets) {
    return parse(file_bytes(
        one_tensor(R"("dtype":"F32","shape":)" + shape + R"(,"data_offsets":)" + offsets), four));
  };
  EXPECT_ERROR(with("[4294967296,4294967296]", "[0,4]"), "overflows");
  EXPECT_ERROR(with("[9223372036854775807]", "[0,4]"), "overflows");
  EXPECT_ERROR(with("[4611686018427387905]", "[0,4]"), "overflows");
  EXPECT_ERROR(with("[2]", "[0,4]"), "needs 8");
  EXPECT_ERROR(with("[1]", "[0,8]"), "truncated");
  EXPECT_ERROR(with("[1]", "[4,8]"), "without gaps");
  EXPECT_ERROR(with("[1]", "[4,0]"), "without gaps");
  EXPECT_ERROR(with("[1]", "[0,18446744073709551615]"), "truncated");
}

TEST(Safetensors, RefusesGapsOverlapsAndDuplicates) {
  const auto pair = [](const std::string& second, const std::string& offsets, size_t bytes) {
    return parse(file_bytes(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},")" + second +
                                R"(":{"dtype":"F32","shape":[1],"data_offsets":)" + offsets + "}}",
                            std::string(bytes, '\0')));
  };
  EXPECT_EQ(pair("b", "[4,8]", 8)->names().size(), 2u);
  EXPECT_ERROR(pair("b", "[2,6]", 8), "overlaps");
  EXPECT_ERROR(pair("b", "[0,4]", 8), "overlaps");
  EXPECT_ERROR(pair("b", "[8,12]", 12), "without gaps");
  EXPECT_ERROR(pair("a", "[4,8]", 8), "twice");
}

TEST(Safetensors, RefusesDeepHeaders) {
  EXPECT_ERROR(parse(file_bytes(std::string(100'000, '{'), "")), "not JSON");
  std::string deep = "{";
  for (int i = 0; i < 100'000; ++i) deep += "\"a\":{";
  EXPECT_ERROR(parse(file_bytes(deep, "")), "a field 'a'");
  EXPECT_ERROR(parse(file_bytes("{\"a\":" + std::string(100'000, '['), "")), "a list");
}

TEST(Safetensors, RefusesWhatIsNoFile) {
  const TemporaryFolder folder;
  EXPECT_ERROR(SafetensorsFile::open(folder / "missing.safetensors"), "no such file");
  EXPECT_ERROR(SafetensorsFile::open(folder.path()), "is a directory");
  write_text(folder / "empty.safetensors", "");
  EXPECT_ERROR(SafetensorsFile::open(folder / "empty.safetensors"), "is empty");
  EXPECT_ERROR(SafetensorsFile::open("/dev/null"), "is a device, not a file");
  const std::string whole = read_text(kTensorsGolden / "every_dtype.safetensors");
  for (size_t bytes = 0; bytes < whole.size(); ++bytes)
    EXPECT_THROW(parse(whole.substr(0, bytes)), Error) << bytes;
}

TEST(Safetensors, RefusesToWriteWhatCannotBe) {
  const TemporaryFolder folder;
  const Tensor one = Tensor::zeros({1});
  EXPECT_ERROR(write_safetensors(folder / "no" / "where.safetensors", {{"a", one}}), "where");
  EXPECT_ERROR(write_safetensors(folder / "x.safetensors", {{"a", one}, {"a", one}}),
               "two tensors");
  EXPECT_ERROR(write_safetensors(folder / "x.safetensors", {{"a", Tensor()}}), "holds nothing");
  EXPECT_ERROR(write_safetensors(folder / "x.safetensors", {{"\xff", one}}), "not UTF-8");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(MemoryTensors, NamesAndRefusals) {
  const MemoryTensors tensors({{"b", Tensor::zeros({2})}, {"a", Tensor::zeros({3})}});
  EXPECT_EQ(tensors.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(tensors.info("a").shape, Shape({3}));
  EXPECT_ERROR(tensors.info("c"), "no tensor 'c'");
  EXPECT_ERROR(tensors.tensor("c"), "no tensor 'c'");
  EXPECT_ERROR(MemoryTensors({{"a", Tensor::zeros({1})}, {"a", Tensor::zeros({1})}}),
               "two tensors");
}

class Sharded : public ::testing::Test {
 protected:
  Sharded() {
    write_safetensors(folder_ / "one.safetensors", {{"a", ramp(DType::f32, {3})}},
                      {{"format", "pt"}});
    write_safetensors(folder_ / "two.safetensors", {{"b", ramp(DType::f16, {2})}});
  }
  std::shared_ptr<TensorSource> open(const std::string& map) {
    write_text(folder_ / "model.safetensors.index.json", "{\"weight_map\":" + map + "}");
    return open_tensors(folder_.path());
  }
  const TemporaryFolder folder_;
};

TEST_F(Sharded, ReadsAsOneFile) {
  const auto source = open(R"({"a":"one.safetensors","b":"two.safetensors"})");
  EXPECT_EQ(source->names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(source->tensor("a").f32()[2], -1.0f);
  EXPECT_EQ(source->info("b").dtype, DType::f16);
  EXPECT_EQ(source->metadata().at("format"), "pt");
}

TEST_F(Sharded, RefusesABadIndex) {
  EXPECT_ERROR(open(R"({"a":"../one.safetensors"})"), "outside the folder");
  EXPECT_ERROR(open(R"({"a":"sub/../../one.safetensors"})"), "outside the folder");
  EXPECT_ERROR(open(R"({"a":"/etc/passwd"})"), "outside the folder");
  EXPECT_ERROR(open(R"({"a":""})"), "outside the folder");
  EXPECT_ERROR(open(R"({"a":7})"), "no file name");
  EXPECT_ERROR(open(R"({"a":"three.safetensors"})"), "no such file");
  EXPECT_ERROR(open(R"({"c":"one.safetensors"})"), "lacks 'c'");
  EXPECT_ERROR(open(R"({"b":"two.safetensors","b":"one.safetensors"})"), "lacks 'b'");
  EXPECT_ERROR(open("[]"), "weight_map");
  write_safetensors(folder_ / "two.safetensors",
                    {{"b", ramp(DType::f16, {2})}, {"a", ramp(DType::f16, {2})}});
  EXPECT_ERROR(open(R"({"a":"one.safetensors","b":"two.safetensors"})"), "does not place there");
}

TEST_F(Sharded, AFolderWithoutAModelIsRefused) {
  const TemporaryFolder empty;
  EXPECT_ERROR(open_tensors(empty.path()), "model.safetensors");
}

}  // namespace
}  // namespace vitrail
