// Sets that files list, and tar shards.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cstring>
#include <set>

#include "data/dataset.h"
#include "data/helpers.h"

namespace vitrail {
namespace {

using namespace test;

void write_text(const std::filesystem::path& path, const std::string& text) {
  write_plain(path, {text.begin(), text.end()});
}

class Manifests : public ::testing::Test {
 protected:
  void SetUp() override {
    write_flat_picture(root() / "a.png", 10);
    write_flat_picture(root() / "deep" / "b, c.png", 20);
    write_flat_picture(root() / "d.png", 30);
  }
  const std::filesystem::path& root() const { return folder_.path(); }
  std::string spec(const std::string& kind, const std::string& text) {
    const auto path = root() / ("list." + kind);
    write_text(path, text);
    return kind + ":" + path.string();
  }
  std::string refusal(const std::string& kind, const std::string& text) {
    const std::string set = spec(kind, text);
    return error_of([&] { open_dataset(set, Split::all); });
  }
  DataFolder folder_;
};

TEST_F(Manifests, CsvNamesPicturesLabelsAndSplits) {
  const std::string set = spec("csv",
                               "label,path,split\ndog,a.png,train\r\ncat,\"deep/b, c.png\",val\n"
                               "\ndog,d.png,train\n");
  EXPECT_EQ(own_splits(set), (std::vector{Split::train, Split::val}));
  const auto train = open_dataset(set, Split::train);
  ASSERT_EQ(train->size(), 2);
  EXPECT_EQ(train->classes(), (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(train->label(0), 1);
  EXPECT_EQ(train->id(1), "d.png");
  EXPECT_EQ(train->get(1).image.pixels[0], 30);
  const auto val = open_dataset(set, Split::val);
  EXPECT_EQ(val->get(0).image.pixels[0], 20);
  EXPECT_EQ(val->label(0), 0);
}

TEST_F(Manifests, NumbersAreClassesInTheirOrder) {
  const auto set =
      open_dataset(spec("csv", "path,label\na.png,10\nd.png,9\n\"deep/b, c.png\",9\n"), Split::all);
  EXPECT_EQ(set->classes(), (std::vector<std::string>{"9", "10"}));
  EXPECT_EQ(set->label(0), 1);
}

TEST_F(Manifests, PicturesMayLieInAFolderOfTheirOwn) {
  DataFolder other;
  write_text(other.path() / "list.csv", "path,label\na.png,x\nd.png,y\n");
  const auto set = open_dataset(
      "csv:" + (other.path() / "list.csv").string() + "," + root().string(), Split::all);
  EXPECT_EQ(set->get(1).image.pixels[0], 30);
}

TEST_F(Manifests, NothingOutsideTheirFolderIsRead) {
  DataFolder other;
  write_flat_picture(other.path() / "secret.png", 1);
  std::filesystem::create_symlink(other.path(), root() / "link");
  std::filesystem::create_symlink(other.path() / "secret.png", root() / "link.png");
  for (const char* path : {"../x.png", "deep/../../x.png", "/etc/passwd", ""})
    expect_mentions(refusal("csv", std::string("path,label\na.png,x\n") + path + ",y\n"),
                    "is outside of");
  for (const char* path : {"link/secret.png", "link.png"})
    expect_mentions(refusal("csv", std::string("path,label\na.png,x\n") + path + ",y\n"),
                    "is a link out of");
  expect_mentions(refusal("coco", R"({"images": [{"id": 1, "file_name": "../x.png"},
      {"id": 2, "file_name": "a.png"}], "categories": [{"id": 1, "name": "a"}, {"id": 2, "name":
      "b"}], "annotations": [{"image_id": 1, "category_id": 1}, {"image_id": 2, "category_id":
      2}]})"),
                  "is outside of");
}

TEST_F(Manifests, RefuseWhatIsNoList) {
  expect_mentions(refusal("csv", ""), "is empty");
  expect_mentions(refusal("csv", "file,label\na.png,x\n"), "names no column path");
  expect_mentions(refusal("csv", "path,class\na.png,x\n"), "names no column label");
  expect_mentions(refusal("csv", "path,label\n"), "has no labelled pictures");
  expect_mentions(refusal("csv", "path,label\na.png,x\nd.png,x\n"), "has the one class 'x'");
  expect_mentions(refusal("csv", "path,label\na.png,x\nd.png,\n"), "'d.png' has no label");
  expect_mentions(refusal("csv", "path,label\na.png,x,1\n"), "line 2: 3 fields");
  expect_mentions(refusal("csv", "path,label\n\"a.png,x\n"), "a quote that never ends");
  expect_mentions(refusal("csv", "path,label\na.png,x\nnone.png,y\n"), "which does not exist");
  expect_mentions(refusal("csv", "path,label,split\na.png,x,all\n"), "is 'all'");
  expect_mentions(refusal("coco", "[]"), "must be a JSON object");
  expect_mentions(refusal("coco", "{}"), "has no list 'categories'");
  expect_mentions(refusal("coco", "{"), "JSON");
  expect_mentions(error_of([&] { open_dataset("csv:/nowhere.csv", Split::all); }), "no such file");
}

TEST_F(Manifests, CocoTakesTheCategoryThatCoversMost) {
  const auto set = open_dataset(spec("coco", R"({
    "images": [{"id": 7, "file_name": "a.png"}, {"id": 8, "file_name": "d.png"},
               {"id": 9, "file_name": "deep/b, c.png"}],
    "categories": [{"id": 3, "name": "dog"}, {"id": 1, "name": "cat"}],
    "annotations": [{"image_id": 7, "category_id": 3, "bbox": [0, 0, 2, 2]},
                    {"image_id": 7, "category_id": 1, "area": 3.0},
                    {"image_id": 7, "category_id": 1, "area": 2.0},
                    {"image_id": 8, "category_id": 3, "area": 1}]})"),
                                Split::all);
  ASSERT_EQ(set->size(), 2);  // the third has no annotation
  EXPECT_EQ(set->classes(), (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(set->label(0), 0);
  EXPECT_EQ(set->label(1), 1);
}

// A ustar archive.
Bytes tar_of(const std::vector<std::pair<std::string, Bytes>>& members) {
  Bytes out;
  for (const auto& [name, data] : members) {
    Bytes header(512, 0);
    const auto put = [&](size_t at, const std::string& text) {
      std::copy(text.begin(), text.end(), header.begin() + static_cast<std::ptrdiff_t>(at));
    };
    put(0, name);
    put(124, fmt::format("{:011o}", data.size()));
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    unsigned sum = 0;
    for (const uint8_t byte : header) sum += byte;
    put(148, fmt::format("{:06o}", sum) + '\0' + " ");
    out.insert(out.end(), header.begin(), header.end());
    out.insert(out.end(), data.begin(), data.end());
    out.resize((out.size() + 511) / 512 * 512);
  }
  out.resize(out.size() + 1024);
  return out;
}

Bytes bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

Bytes picture(uint8_t value) {
  Image image(3, 2, 3);
  std::fill(image.pixels.begin(), image.pixels.end(), value);
  const auto encoded = encode_png(image);
  const auto* data = reinterpret_cast<const uint8_t*>(encoded.data());
  return {data, data + encoded.size()};
}

TEST(Shards, PicturesAndLabelsShareTheirKeys) {
  DataFolder folder;
  write_plain(folder.path() / "s-08.tar", tar_of({{"x/0001.png", picture(5)},
                                                  {"x/0001.cls", bytes_of("10\n")},
                                                  {"README", bytes_of("no sample")},
                                                  {"x/0002.json", bytes_of(R"({"label": 9})")},
                                                  {"x/0002.PNG", picture(6)}}));
  write_plain(folder.path() / "s-09.tar", tar_of({{"0003.txt", bytes_of("10")},
                                                  {"0003.v2.txt", bytes_of("other")},
                                                  {"0003.png", picture(7)}}));
  const std::string spec = "tar:" + folder.path().string() + "/s-{08..09}.tar";
  const auto set = open_dataset(spec, Split::all);
  ASSERT_EQ(set->size(), 3);
  EXPECT_EQ(set->classes(), (std::vector<std::string>{"9", "10"}));
  EXPECT_EQ(set->id(0), "s-08.tar/x/0001");
  const std::vector<int64_t> labels{1, 0, 1};
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(set->label(i), labels[static_cast<size_t>(i)]);
    EXPECT_EQ(set->get(i).image.pixels[0], 5 + i);
  }
}

TEST(Shards, RefuseWhatIsDamaged) {
  DataFolder folder;
  const std::string one = "tar:" + (folder.path() / "a.tar").string();
  const auto message = [&](const Bytes& bytes) {
    write_plain(folder.path() / "a.tar", bytes);
    return error_of([&] { open_dataset(one, Split::all); });
  };
  const Bytes good = tar_of({{"1.png", picture(5)}, {"1.cls", bytes_of("a")}});
  expect_mentions(message(good), "has the one class 'a'");
  expect_mentions(message(tar_of({{"1.png", picture(5)}})), "1 has no label");
  expect_mentions(message(tar_of({{"1.cls", bytes_of("a")}})), "no labelled pictures");
  expect_mentions(message(bytes_of("short")), "no tar archive");
  expect_mentions(message(Bytes(2048, 0x1f)), "no tar header at 0");
  Bytes cut = good;
  cut.resize(700);
  if (picture(5).size() > 188) expect_mentions(message(cut), "ends within an entry");
  Bytes huge = tar_of({{"1.png", Bytes(10, 1)}});
  std::memcpy(huge.data() + 124, "77777777777", 11);
  unsigned sum = 8 * ' ';
  for (size_t i = 0; i < 512; ++i)
    if (i < 148 || i >= 156) sum += huge[i];
  std::memcpy(huge.data() + 148, fmt::format("{:06o}", sum).c_str(), 7);
  expect_mentions(message(huge), "ends within an entry");
  expect_mentions(error_of([&] { open_dataset("tar:a-{1..x}.tar", Split::all); }), "no range");
  expect_mentions(error_of([&] { open_dataset("tar:/nowhere/a.tar", Split::all); }),
                  "cannot be opened");
}

}  // namespace
}  // namespace vitrail
