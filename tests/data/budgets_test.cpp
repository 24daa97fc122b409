// What hostile and large lists may take: memory that grows with the file, or with what is really
// there, and never with what a header says.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <fstream>

#include "data/dataset.h"
#include "data/helpers.h"
#include "support/peak_memory.h"

namespace vitrail {
namespace {

using namespace test;
using testing::Cost;
using testing::cost_of;
namespace fs = std::filesystem;

constexpr uint64_t kMegabyte = 1 << 20;

// Opens a set in a child process; succeeds when it is refused with a message that has these words.
Cost cost_of_refusal(const std::string& spec, const std::string& words) {
  return cost_of([&] {
    try {
      open_dataset(spec, Split::all);
    } catch (const Error& error) {
      if (std::string(error.what()).find(words) != std::string::npos) return true;
      fmt::print(stderr, "'{}' lacks '{}'\n", error.what(), words);
    }
    return false;
  });
}

void expect_within(const Cost& cost, uint64_t bytes) {
  EXPECT_TRUE(cost.succeeded);
  if (testing::kMemoryIsOurs) {
    EXPECT_LE(cost.bytes, bytes);
  }
}

class DataBudgets : public ::testing::Test {
 protected:
  void SetUp() override {
    write_flat_picture(folder_.path() / "a.png", 1, 2, 2);
    write_flat_picture(folder_.path() / "b.png", 1, 2, 2);
    set_intake_listener([](const std::string&) {});
  }
  void TearDown() override { set_intake_listener({}); }
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  DataFolder folder_;
};

TEST_F(DataBudgets, AnIdxHeaderAloneTakesNothing) {
  Bytes labels{0, 0, 8, 1}, pictures{0, 0, 8, 3};
  append_u32(labels, 1'000'000);
  append_u32(pictures, 1'000'000);
  append_u32(pictures, 28);
  append_u32(pictures, 28);
  // As long as it takes for the announced size to be within the limit of 100 times the file's.
  Bytes noise(10 << 20);
  uint32_t state = 1;
  for (uint8_t& byte : noise)
    byte = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
  pictures.insert(pictures.end(), noise.begin(), noise.end());
  write_gz(folder_.path() / "t10k-images-idx3-ubyte.gz", pictures);
  write_gz(folder_.path() / "t10k-labels-idx1-ubyte.gz", labels);
  expect_within(cost_of_refusal("mnist:" + folder_.path().string(), "truncated or damaged"),
                64 * kMegabyte);
}

TEST_F(DataBudgets, AnIdxFileThatInflatesBeyondItsKindIsRefused) {
  Bytes labels{0, 0, 8, 1}, pictures{0, 0, 8, 3};
  append_u32(labels, 200'000);
  append_u32(pictures, 200'000);
  append_u32(pictures, 28);
  append_u32(pictures, 28);
  pictures.resize(pictures.size() + size_t{200'000} * 28 * 28);  // zeros: 0.15 MB when packed
  labels.resize(labels.size() + 200'000);
  write_gz(folder_.path() / "t10k-images-idx3-ubyte.gz", pictures);
  write_gz(folder_.path() / "t10k-labels-idx1-ubyte.gz", labels);
  expect_within(cost_of_refusal("mnist:" + folder_.path().string(), "cannot hold"), 16 * kMegabyte);
}

TEST_F(DataBudgets, ATableOfManyRowsCostsWhatItsPicturesCost) {
  {
    std::ofstream table(path("list.csv"));
    table << "path,label\na.png,x\nb.png,y\n";
    for (int i = 0; i < 2'000'000; ++i) table << "a.png,x\n";
  }
  const uint64_t bytes = fs::file_size(path("list.csv"));
  const Cost cost = cost_of([&] {
    const auto set = open_dataset("csv:" + path("list.csv"), Split::all);
    return set->size() == 2 && set->intake().left_out()[0].count == 2'000'000;
  });
  expect_within(cost, bytes + 16 * kMegabyte);  // the file itself is mapped
}

TEST_F(DataBudgets, ATableOfPicturesThatAreNotThereEndsEarly) {
  {
    std::ofstream table(path("list.csv"));
    table << "path,label\na.png,x\nb.png,y\n";
    for (int i = 0; i < 2'000'000; ++i) table << i << ".png,c" << i << "\n";
  }
  const Cost cost =
      cost_of_refusal("csv:" + path("list.csv"), "of its first 3002 pictures 2 are in");
  expect_within(cost, fs::file_size(path("list.csv")) + 16 * kMegabyte);
}

TEST_F(DataBudgets, ALargeCocoFileStaysBelowThreeTimesItsSize) {
  {
    std::ofstream json(path("big.json"));
    json << R"({"images": [{"id": 0, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}],
      "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}], "annotations": [
      {"image_id": 0, "category_id": 1}, {"image_id": 1, "category_id": 2})";
    for (int i = 0; i < 300'000; ++i)
      json << fmt::format(
          ",\n"
          R"({{"id": {}, "image_id": {}, "category_id": {}, "bbox": [1, 2, 3, 4],)"
          R"( "area": 12.5, "iscrowd": 0, "segmentation": [[1,2,3,4,5,6]]}})",
          i, i, i % 2 + 1);
    json << "]}";
  }
  const uint64_t bytes = fs::file_size(path("big.json"));
  const Cost cost =
      cost_of([&] { return open_dataset("coco:" + path("big.json"), Split::all)->size() == 2; });
  expect_within(cost, 3 * bytes);
}

TEST_F(DataBudgets, AShardsHeaderAloneTakesNothing) {
  Bytes header(512, 0);
  const auto put = [&](size_t at, const std::string& text) {
    std::copy(text.begin(), text.end(), header.begin() + static_cast<std::ptrdiff_t>(at));
  };
  put(0, "a.cls");
  put(124, "77777777777");  // 8 GB
  put(148, "        ");
  put(156, "0");
  unsigned sum = 0;
  for (const uint8_t byte : header) sum += byte;
  put(148, fmt::format("{:06o}", sum) + '\0' + " ");
  header.resize(2048);
  write_plain(folder_.path() / "a.tar", header);
  expect_within(cost_of_refusal("tar:" + path("a.tar"), "ends within an entry"), 16 * kMegabyte);
}

}  // namespace
}  // namespace vitrail
