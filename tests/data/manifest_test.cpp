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
  expect_mentions(refusal("csv", "path,label\na.png,x\nnone.png,y\n"),
                  "left out: 1 listed picture that is not on the disk (line 3: none.png)");
  expect_mentions(refusal("csv", "path;label\na.png;x\n"),
                  "it names path;label, separated by commas");
  expect_mentions(refusal("csv", "path,label,label\na.png,x,y\n"), "names the column label twice");
  for (const char* word : {"all", "holdout", "fold1", "", "train_cats"})
    expect_mentions(
        refusal("csv", fmt::format("path,label,split\na.png,x,train\nd.png,y,{}\n", word)),
        fmt::format("line 3: unknown split '{}'; known are train, training;", word));
  expect_mentions(refusal("csv", "path,label\na.png,x\nd.png,y\n./a.png,y\n"),
                  "line 4: './a.png' is listed before, with another label or split");
  expect_mentions(refusal("csv", "path,label,split\na.png,x,train\nd.png,y,val\na.png,x,val\n"),
                  "line 4: 'a.png' is listed before");
  std::string missing = "path,label\n";
  for (int i = 0; i < 1100; ++i) missing += fmt::format("{}.png,x\n", i);
  expect_mentions(refusal("csv", missing), "of its first 1000 pictures 0 are in");
  expect_mentions(refusal("coco", "[]"), "must be a JSON object");
  expect_mentions(refusal("coco", "{}"), "has no list 'categories'");
  expect_mentions(refusal("coco", "{"), "JSON");
  expect_mentions(error_of([&] { open_dataset("csv:/nowhere.csv", Split::all); }), "no such file");
}

TEST_F(Manifests, CsvSplitsAreReadInEverySpelling) {
  const std::string set = spec("csv",
                               "path,label,split\na.png,x,TRAINING\nd.png,y,Valid\n"
                               "\"deep/b, c.png\",y,test\n");
  EXPECT_EQ(own_splits(set), (std::vector{Split::train, Split::val, Split::test}));
  const auto val = open_dataset(set, Split::val);
  const std::string line = val->intake().line("set");
  expect_mentions(line, "takes 3 pictures of 2 classes (train 1, val 1, test 1)");
  expect_mentions(line, "1 class of val not in train and never learned: y (1 picture)");
}

TEST_F(Manifests, CsvRowsThatAreNotTakenAreCounted) {
  write_plain(root() / "zero.png", {});
  write_plain(root() / "x.psd", {'x'});
  std::filesystem::create_directories(root() / "folder.png");
  const auto set = open_dataset(
      spec("csv",
           "\xEF\xBB\xBFpath,label\r\na.png,x\r\n\"d.png\",y\r\na.png,x\r\n"
           "none.png,x\r\nzero.png,y\r\nx.psd,y\r\nfolder.png,y\r\nno/where.png,z\r\n"),
      Split::all);
  EXPECT_EQ(set->size(), 2);
  EXPECT_EQ(set->classes(), (std::vector<std::string>{"x", "y"}));
  const std::string line = set->intake().line("set");
  for (const char* part :
       {"1 picture listed twice (line 4: a.png)",
        "2 listed pictures that are not on the disk (line 5: none.png, line 9: no/where.png)",
        "1 empty picture file (line 6: zero.png)",
        "1 picture in a format that is not read (line 7: x.psd)",
        "1 name that is no regular file (line 8: folder.png)"})
    expect_mentions(line, part);
}

TEST_F(Manifests, CocoSaysWhatItLeavesOut) {
  const auto set = open_dataset(spec("coco", R"({
    "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "d.png"},
               {"id": 3, "file_name": "deep/b, c.png"}, {"id": 4, "file_name": "none.png"},
               {"id": 1, "file_name": "a.png"}],
    "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}, {"id": 3, "name": "owl"}],
    "annotations": [{"image_id": 1, "category_id": 1, "area": 1},
                    {"image_id": 2, "category_id": 2, "iscrowd": 1},
                    {"image_id": 4, "category_id": 2},
                    {"image_id": 9, "category_id": 2}, {"image_id": 9, "category_id": 1}]})"),
                                Split::all);
  EXPECT_EQ(set->size(), 2);
  const std::string line = set->intake().line("set");
  for (const char* part :
       {"1 picture without annotations (deep/b, c.png)",
        "1 listed picture that is not on the disk (image 4: none.png)",
        "2 annotations of pictures that are not listed (image 9)",
        "1 category covers the most of no picture: owl",
        "1 annotation of a crowd counts with its area", "1 element is listed twice with one id"})
    expect_mentions(line, part);
}

TEST_F(Manifests, CocoTakesTheBoxWhereTheAreaIsNone) {
  for (const char* area : {"\"area\": 0,", "\"area\": 0.0,", "", "\"area\": null,"}) {
    SCOPED_TRACE(area);
    const auto set = open_dataset(spec("coco", fmt::format(R"({{
      "images": [{{"id": 0, "file_name": "a.png"}}, {{"id": 1, "file_name": "d.png"}}],
      "categories": [{{"id": 1, "name": "cat"}}, {{"id": 2, "name": "dog"}}],
      "annotations": [{{"image_id": 0, "category_id": 1, {0} "bbox": [0, 0, 2, 2]}},
                      {{"image_id": 0, "category_id": 2, {0} "bbox": [0, 0, 20, 20]}},
                      {{"image_id": 1, "category_id": 1, "area": 9, "bbox": [0, 0, 1, 1]}}]}})",
                                                           area)),
                                  Split::all);
    EXPECT_EQ(set->classes()[static_cast<size_t>(set->label(0))], "dog");
    EXPECT_EQ(set->classes()[static_cast<size_t>(set->label(1))], "cat");
  }
}

TEST_F(Manifests, CocoRefusesWhatContradictsItself) {
  const auto with = [&](const char* images, const char* categories, const char* annotation) {
    return refusal("coco", fmt::format(R"({{"images": [{{"id": 1, "file_name": "a.png"}}{}],
      "categories": [{{"id": 1, "name": "cat"}}{}], "annotations": [{{"image_id": 1, {}}}]}})",
                                       images, categories, annotation));
  };
  expect_mentions(with(R"(, {"id": 1, "file_name": "d.png"})", "", R"("category_id": 1)"),
                  "image 1 is 'a.png' and 'd.png'");
  expect_mentions(with("", R"(, {"id": 1, "name": "dog"})", R"("category_id": 1)"),
                  "category 1 is 'cat' and 'dog'");
  expect_mentions(with("", "", R"("category_id": 7)"), "the category 7, which is not listed");
  expect_mentions(with("", "", R"("category_id": 1, "area": -1)"), "has the area -1");
  expect_mentions(with("", "", R"("category_id": 1, "bbox": [1, 2, 3])"), "bbox that is not");
  expect_mentions(with("", "", R"("category_id": 1, "bbox": [1, 2, -3, 4])"), "bbox that is not");
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
                  "no such file");
}

class ShardKeys : public ::testing::Test {
 protected:
  std::unique_ptr<Dataset> open(const std::vector<std::pair<std::string, Bytes>>& members) {
    write_plain(folder_.path() / "a.tar", tar_of(members));
    return open_dataset("tar:" + (folder_.path() / "a.tar").string(), Split::all);
  }
  std::string refusal(const std::vector<std::pair<std::string, Bytes>>& members) {
    return error_of([&] { open(members); });
  }
  // shot0 and shot1, of two classes.
  std::vector<std::pair<std::string, Bytes>> good() {
    return {{"shot0.png", picture(0)},
            {"shot0.cls", bytes_of("cat")},
            {"shot1.png", picture(1)},
            {"shot1.cls", bytes_of("dog")}};
  }
  DataFolder folder_;
};

// webdataset raises here: the sample "v2" has no "png".
TEST_F(ShardKeys, ThatEndAtADotTooEarlyAreRefused) {
  auto members = good();
  for (const char* name : {"v2.0_a", "v2.0_b"}) {
    members.emplace_back(std::string(name) + ".png", picture(2));
    members.emplace_back(std::string(name) + ".cls", bytes_of("cat"));
  }
  expect_mentions(refusal(members), "'v2.0_a.png' belongs to the sample 'v2'");
}

TEST_F(ShardKeys, FurtherPicturesOfASampleAreCounted) {
  auto members = good();
  members.insert(members.begin() + 1, {"shot0.depth.png", picture(3)});
  members.insert(members.begin() + 2, {"shot0.jpg", picture(3)});
  const auto set = open(members);
  ASSERT_EQ(set->size(), 2);
  EXPECT_EQ(set->get(0).image.pixels[0], 0);
  expect_mentions(set->intake().line("x"),
                  "2 further pictures of samples (shot0.jpg, shot0.depth.png)");
}

// webdataset gives 5 samples: a key that others stand between begins a new one.
TEST_F(ShardKeys, ThatComeAgainAreSamplesOfTheirOwn) {
  auto members = good();
  for (const auto& member : good()) members.push_back(member);
  members[5].second = bytes_of("owl");
  members.emplace_back("shot2.png", picture(4));
  members.emplace_back("shot2.cls", bytes_of("owl"));
  const auto set = open(members);
  ASSERT_EQ(set->size(), 5);
  EXPECT_EQ(set->id(0), "a.tar/shot0");
  EXPECT_EQ(set->id(2), "a.tar/shot0#2");
  EXPECT_EQ(set->classes()[static_cast<size_t>(set->label(2))], "owl");
  expect_mentions(set->intake().line("x"),
                  "2 keys come that came before and are samples of their own: shot0");
}

TEST_F(ShardKeys, WhoseMembersStandApartAreOneSample) {
  const auto set = open({{"a.png", picture(1)},
                         {"b.png", picture(2)},
                         {"a.cls", bytes_of("x")},
                         {"b.cls", bytes_of("y")}});
  EXPECT_EQ(set->size(), 2);
  EXPECT_TRUE(set->intake().complete());
}

// webdataset raises: duplicate file name.
TEST_F(ShardKeys, AMemberTwiceInASampleIsRefused) {
  auto members = good();
  members.insert(members.begin() + 1, {"shot0.PNG", picture(3)});
  expect_mentions(refusal(members), "'shot0.PNG' is twice in the sample 'shot0'");
}

TEST_F(ShardKeys, WhatIsNoSampleIsCounted) {
  auto members = good();
  for (const char* name :
       {"shot2.psd", "README", "__MACOSX/._shot0.png", "dir/.hidden.png", "shot3.npy"})
    members.emplace_back(name, bytes_of("x"));
  members.emplace_back("shot4.cls", bytes_of("cat"));
  members.emplace_back("shot5.png", Bytes{});
  const auto set = open(members);
  EXPECT_EQ(set->size(), 2);
  const std::string line = set->intake().line("x");
  for (const char* part :
       {"1 picture in a format that is not read (shot2.psd)",
        "2 files that are no pictures (README, shot3.npy)", "2 hidden files or folders",
        "1 label without a picture (shot4.cls)", "1 empty picture file (shot5.png)"})
    expect_mentions(line, part);
}

TEST_F(ShardKeys, AByteOrderMarkIsNoPartOfALabel) {
  auto members = good();
  members.emplace_back("shot2.png", picture(2));
  members.emplace_back("shot2.cls", bytes_of("\xEF\xBB\xBF"
                                             "cat\r\n"));
  members.emplace_back("shot3.png", picture(2));
  members.emplace_back("shot3.json", bytes_of("\xEF\xBB\xBF{\"label\": \"dog\"}"));
  EXPECT_EQ(open(members)->classes(), (std::vector<std::string>{"cat", "dog"}));
  members[1].second = Bytes{0xFF, 0xFE, 'c', 0, 'a', 0, 't', 0};
  expect_mentions(refusal(members), "UTF-16");
}

}  // namespace
}  // namespace vitrail
