// Folders as people have them on disk: which folders are splits, which are classes, and what is
// said of the rest.
#include <gtest/gtest.h>

#include <fmt/format.h>
#include <sys/stat.h>

#include <set>

#include "data/dataset.h"
#include "data/folder_tree.h"
#include "data/helpers.h"
#include "data/split_names.h"

namespace vitrail {
namespace {

using namespace test;
namespace fs = std::filesystem;

class Layouts : public ::testing::Test {
 protected:
  void SetUp() override {
    set_intake_listener([this](const std::string& line) { lines_.insert(line); });
  }
  void TearDown() override { set_intake_listener({}); }

  const fs::path& root() const { return folder_.path(); }
  std::string spec(const std::string& below = "") const {
    return folder_.spec("folder") + (below.empty() ? "" : "/" + below);
  }
  // Pictures 0.png, 1.png, ... in a folder.
  void pictures(const std::string& where, int count = 1) {
    for (int i = 0; i < count; ++i)
      write_flat_picture(root() / where / fmt::format("{}.png", i), 9, 2, 2);
  }
  void file(const std::string& where, const Bytes& bytes = {'x'}) {
    write_plain(root() / where, bytes);
  }
  std::string refusal(const std::string& set = "") {
    return error_of([&] { open_dataset(set.empty() ? spec() : set, Split::all); });
  }
  // The one line that all splits of the set say.
  std::string line() {
    lines_.clear();
    for (const Split split : own_splits(spec())) open_dataset(spec(), split);
    EXPECT_LE(lines_.size(), 1u);
    return lines_.empty() ? "" : *lines_.begin();
  }
  void expect_line(const std::string& part) { expect_mentions(line(), part); }

  DataFolder folder_;
  std::set<std::string> lines_;
};

TEST(SplitNames, AreReadInEverySpelling) {
  const auto split = [](const char* name) {
    const auto found = read_split_name(name);
    return found && found->rest.empty() ? fmt::format("{}", name_of(found->split)) : "none";
  };
  for (const char* name :
       {"train", "Train", "TRAIN", "training", "Training", "train_set", "TrainSet", "training_data",
        "train2017", "train-images", "images_train", "trainval", "train_224", "trn", "01_train"})
    EXPECT_EQ(split(name), "train") << name;
  for (const char* name : {"val", "valid", "Valid", "validation", "Validation", "dev", "val2017",
                           "valset", "validation_set", "val_images", "devel"})
    EXPECT_EQ(split(name), "val") << name;
  for (const char* name : {"test", "Test", "testing", "Testing", "test_set", "testset", "test1",
                           "Test Data", "test.images", "tst"})
    EXPECT_EQ(split(name), "test") << name;
  for (const char* name : {"cat", "trainer", "latest", "n01440764", "images", "set", "invalid",
                           "contest", "device", "", "42"})
    EXPECT_EQ(split(name), "none") << name;
  for (const char* name : {"eval", "holdout"}) EXPECT_EQ(split(name), "all") << name;
  EXPECT_EQ(read_split_name("seg_train")->rest, "seg");
  EXPECT_EQ(read_split_name("test_tube")->rest, "tube");
}

TEST_F(Layouts, SplitsInEverySpellingAreNoClasses) {
  const std::vector<std::vector<std::string>> spellings{
      {"train", "valid", "test"},         {"Training", "Validation", "Testing"},
      {"Train", "Val", "Test"},           {"train_set", "val_set", "test_set"},
      {"train_data", "dev", "test_data"}, {"TRAIN", "VAL", "TEST"}};
  for (const auto& spelling : spellings) {
    SCOPED_TRACE(spelling[0]);
    DataFolder folder;
    for (size_t i = 0; i < 3; ++i)
      for (const char* name : {"cat", "dog", "owl"})
        for (size_t shot = 0; shot <= i; ++shot)
          write_flat_picture(folder.path() / spelling[i] / name / fmt::format("{}.png", shot), 1);
    const std::string set = folder.spec("folder");
    EXPECT_EQ(own_splits(set), (std::vector{Split::train, Split::val, Split::test}));
    EXPECT_EQ(open_dataset(set, Split::train)->size(), 3);
    EXPECT_EQ(open_dataset(set, Split::val)->size(), 6);
    const auto test = open_dataset(set, Split::test);
    EXPECT_EQ(test->size(), 9);
    EXPECT_EQ(test->classes(), (std::vector<std::string>{"cat", "dog", "owl"}));
    EXPECT_EQ(test->id(0), spelling[2] + "/cat/0.png");
    EXPECT_TRUE(test->intake().complete());
  }
}

TEST_F(Layouts, TwoSpellingsOfOneSplitAreRefused) {
  for (const char* split : {"train", "val", "valid"})
    for (const char* name : {"cat", "dog"}) pictures(fmt::format("{}/{}", split, name));
  expect_mentions(refusal(), "val/ and valid/ are both the split val");
}

TEST_F(Layouts, ASplitThatIsALinkToAnotherIsRefused) {
  pictures("train/cat");
  pictures("train/dog");
  fs::create_directory_symlink("train", root() / "val");
  expect_mentions(refusal(), "are one folder, by a link");
}

TEST_F(Layouts, ASplitOfUnclearNameIsRefused) {
  for (const char* split : {"train", "holdout"})
    for (const char* name : {"cat", "dog"}) pictures(fmt::format("{}/{}", split, name));
  expect_mentions(refusal(), "whether holdout/ is val or test");
}

TEST_F(Layouts, OneSplitAloneIsEnough) {
  pictures("train/cat", 2);
  pictures("train/dog", 2);
  EXPECT_EQ(own_splits(spec()), std::vector{Split::train});
  EXPECT_EQ(open_dataset(spec(), Split::all)->classes(), (std::vector<std::string>{"cat", "dog"}));
  fs::rename(root() / "train", root() / "test");
  EXPECT_EQ(own_splits(spec()), std::vector{Split::test});
  expect_mentions(error_of([&] { open_dataset(spec(), Split::train); }), "it has: test");
}

TEST_F(Layouts, AnUnlabelledTestFolderIsLeftOutAndSaid) {
  pictures("train/cat", 4);
  pictures("train/dog", 4);
  pictures("test", 3);
  EXPECT_EQ(own_splits(spec()), std::vector{Split::train});
  EXPECT_EQ(open_dataset(spec(), Split::train, {.val_fraction = 0})->size(), 8);
  expect_line(
      "takes 8 pictures of 2 classes (train 8); leaves out 3 pictures of splits without "
      "class folders (test/)");
  expect_mentions(error_of([&] { open_dataset(spec(), Split::test); }), "test/");
}

TEST_F(Layouts, ImageNetWithItsFlatValidationFolder) {
  pictures("train/n01440764", 3);
  pictures("train/n01443537", 3);
  pictures("val", 5);
  expect_line("leaves out 5 pictures of splits without class folders (val/)");
}

TEST_F(Layouts, TinyImageNetWhoseValidationIsOneFolderOfImages) {
  pictures("train/n01443537/images", 3);
  pictures("train/n01629819/images", 3);
  pictures("val/images", 4);
  pictures("test/images", 2);
  file("val/val_annotations.txt");
  EXPECT_EQ(open_dataset(spec(), Split::all)->num_classes(), 2);
  expect_line("6 pictures of splits without class folders (test/, val/)");
  expect_line("1 file that is no picture (val/val_annotations.txt)");
  expect_line("6 pictures in folders below a class folder count as its own");
}

TEST_F(Layouts, CatsAndDogsOfMicrosoft) {
  pictures("PetImages/Cat", 2);
  pictures("PetImages/Dog", 2);
  file("PetImages/Cat/666.jpg", {});
  file("PetImages/Dog/11702.jpg", {});
  file("PetImages/Cat/Thumbs.db");
  file("readme[1].txt");
  expect_mentions(refusal(), "perhaps folder:" + root().string() + "/PetImages is meant");
  const auto set = open_dataset(spec("PetImages"), Split::all);
  EXPECT_EQ(set->size(), 4);
  const std::string line = set->intake().line("x");
  expect_mentions(line, "2 empty picture files (Cat/666.jpg, Dog/11702.jpg)");
  expect_mentions(line, "1 file that is no picture (Cat/Thumbs.db)");
}

TEST_F(Layouts, CatsAndDogsOfKaggleHaveNoClassFolders) {
  write_flat_picture(root() / "train" / "cat.0.jpg", 1);
  write_flat_picture(root() / "train" / "dog.0.jpg", 1);
  pictures("test1", 2);
  expect_mentions(refusal(), "test1/, train/ (4 pictures) hold no folder for each class");
}

TEST_F(Layouts, IntelScenesWithTheirDoubledFolders) {
  for (const char* split : {"seg_train/seg_train", "seg_test/seg_test"})
    for (const char* name : {"forest", "sea"}) pictures(fmt::format("{}/{}", split, name), 2);
  pictures("seg_pred/seg_pred", 3);
  EXPECT_EQ(own_splits(spec()), (std::vector{Split::train, Split::test}));
  EXPECT_EQ(open_dataset(spec(), Split::test)->id(0), "seg_test/seg_test/forest/0.png");
  expect_line("leaves out 3 pictures in folders beside the splits (seg_pred/)");
}

TEST_F(Layouts, ChestXraysWithACopyAndWhatMacOSLeft) {
  for (const char* split : {"train", "val", "test"})
    for (const char* name : {"NORMAL", "PNEUMONIA"}) {
      pictures(fmt::format("{}/{}", split, name), 2);
      pictures(fmt::format("chest_xray/{}/{}", split, name), 2);
      file(fmt::format("__MACOSX/{}/{}/._0.jpeg", split, name));
    }
  file("train/.DS_Store");
  file("train/NORMAL/.DS_Store");
  const std::string said = line();
  expect_mentions(said, "takes 12 pictures of 2 classes (train 4, val 4, test 4)");
  expect_mentions(said, "12 pictures in folders beside the splits (chest_xray/)");
  expect_mentions(said, "1 folder that another program keeps (__MACOSX/ with 6 pictures)");
  expect_mentions(said, "2 hidden files or folders (train/.DS_Store, train/NORMAL/.DS_Store)");
}

TEST_F(Layouts, FoldersOfOtherProgramsAreNoClasses) {
  pictures("cat", 2);
  pictures("dog", 2);
  for (const char* where : {"@eaDir", "cat/@eaDir/0.png", "lost+found", ".ipynb_checkpoints",
                            "cat/.thumbnails", "dog/.ipynb_checkpoints", "$RECYCLE.BIN"})
    pictures(where);
  const auto set = open_dataset(spec(), Split::all);
  EXPECT_EQ(set->size(), 4);
  EXPECT_EQ(set->classes(), (std::vector<std::string>{"cat", "dog"}));
  const std::string said = line();
  expect_mentions(said, "4 folders that other programs keep");
  expect_mentions(said, "3 hidden files or folders");
}

TEST_F(Layouts, EveryFileIsTakenOrCounted) {
  pictures("cat", 3);
  pictures("dog", 2);
  pictures("empty", 0);
  fs::create_directories(root() / "empty");
  write_flat_picture(root() / "stray.png", 1);
  for (const char* name : {"cat/a.xyz", "cat/b.txt", "dog/c.psd", "notes.md", "cat/.hidden.png"})
    file(name);
  file("dog/zero.png", {});
  fs::create_symlink("nowhere.png", root() / "dog" / "dangling.png");
  fs::create_directory_symlink("..", root() / "dog" / "up");
  ASSERT_EQ(::mkfifo((root() / "dog" / "pipe.png").c_str(), 0600), 0);
  const auto set = open_dataset(spec(), Split::all);
  EXPECT_EQ(set->size(), 5);
  int64_t left_out = 0;
  for (const auto& part : set->intake().left_out()) left_out += part.count;
  EXPECT_EQ(left_out, 11);
  const std::string line = set->intake().line("x");
  for (const char* part :
       {"1 picture in a format that is not read (dog/c.psd)", "3 files that are no pictures (",
        "1 hidden file or folder (cat/.hidden.png)", "1 empty picture file (dog/zero.png)",
        "1 link that leads nowhere (dog/dangling.png)",
        "1 link to a folder that it lies in (dog/up)",
        "1 name that is no regular file (dog/pipe.png)", "1 folder without pictures (empty/)",
        "1 picture outside of the class folders (stray.png)"})
    expect_mentions(line, part);
}

TEST_F(Layouts, JpegsUnderTheirOtherNamesAreRead) {
  const Bytes jpeg = [] {
    Image image(4, 4, 3);
    const auto bytes = encode_jpeg(image);
    const auto* begin = reinterpret_cast<const uint8_t*>(bytes.data());
    return Bytes(begin, begin + bytes.size());
  }();
  for (const char* name : {"a.jfif", "b.jpe", "c.pjpeg", "d.JPG", "e.jpeg"}) {
    file(fmt::format("cat/{}", name), jpeg);
    file(fmt::format("dog/{}", name), jpeg);
  }
  const auto set = open_dataset(spec(), Split::all);
  ASSERT_EQ(set->size(), 10);
  for (int64_t i = 0; i < set->size(); ++i) EXPECT_EQ(set->get(i).image.width, 4);
  EXPECT_TRUE(set->intake().complete());
}

TEST_F(Layouts, ClassesThatOneSplitLacksAreNamed) {
  pictures("train/cat", 2);
  pictures("train/dog", 2);
  pictures("train/owl", 2);
  pictures("val/cat");
  pictures("val/Dog", 3);
  const std::string said = line();
  expect_mentions(said, "1 class of val/ not in train/ and never learned: Dog (3 pictures)");
  expect_mentions(said, "2 classes of train/ not in val/: dog, owl");
  expect_mentions(said,
                  "'Dog' and 'dog' are two classes that differ in capital letters or blanks alone");
  EXPECT_EQ(open_dataset(spec(), Split::val)->size(), 4);  // nothing of it is dropped
}

TEST_F(Layouts, SetsOfBoxesAndMasksAreRefused) {
  struct Case {
    const char* what;
    std::vector<std::string> folders;
    std::vector<std::string> files;
    const char* message;
  };
  const std::vector<Case> cases{
      {"COCO", {"train2017", "val2017"}, {"annotations/instances_train2017.json"}, "coco:FILE"},
      {"COCO without its years", {"train", "val"}, {"annotations/a.json"}, "coco:FILE"},
      {"VOC, blood cells",
       {"JPEGImages"},
       {"Annotations/0.xml", "ImageSets/Main/train.txt"},
       "kinds of files"},
      {"YOLO", {"images/train", "images/val"}, {"labels/train/0.txt"}, "kinds of files"},
      {"YOLO by Roboflow",
       {"train/images", "valid/images"},
       {"train/labels/0.txt"},
       "hold no folder for each class"},
      {"COCO by Roboflow",
       {"train", "valid", "test"},
       {"train/_annotations.coco.json"},
       "hold no folder for each class"},
      {"masks", {"images", "masks"}, {}, "kinds of files"},
      {"Oxford pets",
       {"images", "annotations/trimaps"},
       {"annotations/list.txt"},
       "kinds of files"},
      {"Stanford cars",
       {"cars_train", "cars_test"},
       {"devkit/cars_meta.mat"},
       "names cars_test/, cars_train/ are those of splits"},
      {"Food-101",
       {"images/apple_pie", "images/waffles"},
       {"meta/classes.txt"},
       "/images is meant"},
      {"CUB-200",
       {"images/001.Black_footed_Albatross", "images/002.Laysan"},
       {"images.txt", "parts/parts.txt"},
       "/images is meant"},
      {"Hugging Face",
       {"train", "test"},
       {"train/metadata.csv"},
       "metadata.csv and its like are not read"},
      {"MVTec",
       {"bottle/train/good", "bottle/test/broken", "cable/train/good", "cable/test/cut"},
       {},
       "are splits below a class"},
      {"flat names of classes and splits",
       {"train_cats", "train_dogs", "test_cats", "test_dogs"},
       {},
       "are those of splits"},
      {"a test folder beside classes",
       {"cat", "dog", "test"},
       {},
       "hold no folder for each class, beside cat/, dog/"},
      {"a split of classes beside classes",
       {"train/cat", "train/dog", "owl"},
       {},
       "could be a split, or a class"},
      {"one folder too high", {"data/cat", "data/dog"}, {}, "/data is meant"},
      {"one class",
       {"cat"},
       {"dog/0.psd"},
       "left out: 1 picture in a format that is not read (dog/0.psd)"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.what);
    DataFolder folder;
    for (const std::string& where : one.folders)
      write_flat_picture(folder.path() / where / "0.png", 1, 2, 2);
    for (const std::string& where : one.files) write_plain(folder.path() / where, {'x'});
    const std::string message = refusal(folder.spec("folder"));
    expect_mentions(message, one.message);
    EXPECT_EQ(message, error_of([&] { own_splits(folder.spec("folder")); }));
  }
}

TEST_F(Layouts, AClassMayBeCalledTrain) {
  for (const char* name : {"bus", "car", "train"}) pictures(name, 2);
  EXPECT_EQ(open_dataset(spec(), Split::all)->num_classes(), 3);
  expect_line("train/ holds no class folders and is taken as a class, as 2 folders beside it are");
  DataFolder papers;
  write_flat_picture(papers.path() / "valid" / "0.png", 1);
  write_flat_picture(papers.path() / "invalid" / "0.png", 1);
  EXPECT_EQ(open_dataset(papers.spec("folder"), Split::all)->num_classes(), 2);
  DataFolder things;  // no two of these are splits of one thing
  for (const char* name : {"crash_test", "train_station", "test_tube"})
    write_flat_picture(things.path() / name / "0.png", 1);
  EXPECT_EQ(open_dataset(things.spec("folder"), Split::all)->num_classes(), 3);
}

TEST_F(Layouts, LinksAreFollowedAndLoopsAreNot) {
  DataFolder elsewhere;
  write_flat_picture(elsewhere.path() / "real" / "0.png", 1);
  pictures("cat");
  fs::create_directory_symlink(elsewhere.path() / "real", root() / "dog");
  fs::create_directory_symlink(root(), root() / "cat" / "root");
  fs::create_directory_symlink(".", root() / "cat" / "self");
  fs::create_symlink("me", root() / "cat" / "me");
  const auto set = open_dataset(spec(), Split::all);
  EXPECT_EQ(set->size(), 2);
  expect_line("3 links to folders that they lie in");
}

TEST_F(Layouts, AFlatFolderSaysWhatItPassesOver) {
  for (const char* name : {"cat_1.png", "cat_2.png", "dog_1.png"})
    write_flat_picture(root() / name, 1);
  pictures("more", 2);
  file("list.txt");
  const auto set = open_dataset(folder_.spec("flat"), Split::all);
  EXPECT_EQ(set->size(), 3);
  ASSERT_EQ(lines_.size(), 1u);
  expect_mentions(*lines_.begin(),
                  "takes 3 pictures of 2 classes; leaves out 1 file that is no "
                  "picture (list.txt), 1 folder (more/ with 2 pictures)");
}

TEST_F(Layouts, FlatNamesThatReadTwoWaysAreRefused) {
  for (const char* name :
       {"american_bulldog_1.jpg", "american_pit_bull_terrier_1.jpg", "Abyssinian_100.jpg"})
    write_flat_picture(root() / name, 1);
  expect_mentions(refusal(folder_.spec("flat")), "would both be the class 'american'");
  DataFolder numbered;
  for (const char* name : {"cat_2024_1.jpg", "cat_2024_2.jpg", "dog_2024_1.jpg"})
    write_flat_picture(numbered.path() / name, 1);
  EXPECT_EQ(open_dataset(numbered.spec("flat"), Split::all)->num_classes(), 2);
}

TEST_F(Layouts, NamesThatAreNotUtf8AreRefusedAtOnce) {
  pictures("dog");
  pictures("caf\xe9");
  expect_mentions(refusal(), "the class 'caf\\xe9' has a name that is not UTF-8");
}

TEST_F(Layouts, AnyoneWhoListensMayRefuse) {
  pictures("cat");
  pictures("dog");
  file("readme.txt");
  set_intake_listener([](const std::string& line) { throw Error("--strict", line); });
  expect_mentions(refusal(), "leaves out 1 file that is no picture (readme.txt)");
}

}  // namespace
}  // namespace vitrail
