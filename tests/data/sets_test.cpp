// Data sets from files: idx, CIFAR-10, folders; what they hold, how they are divided, what they
// refuse.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "data/dataset.h"
#include "data/helpers.h"

namespace vitrail {
namespace {

using namespace test;
namespace fs = std::filesystem;

void write_mnist(const fs::path& root, bool gz) {
  const auto write = gz ? write_gz : write_plain;
  const std::string end = gz ? ".gz" : "";
  write(root / ("train-images-idx3-ubyte" + end), idx_images(3, 2, 4));
  write(root / ("train-labels-idx1-ubyte" + end), idx_labels({7, 0, 9}));
  write(root / ("t10k-images-idx3-ubyte" + end), idx_images(2, 2, 4, 100));
  write(root / ("t10k-labels-idx1-ubyte" + end), idx_labels({1, 2}));
}

OpenOptions no_validation() {
  OpenOptions options;
  options.val_fraction = 0;
  return options;
}

TEST(IdxSet, ReadsPlainAndGzippedFilesAlike) {
  for (const bool gz : {false, true}) {
    DataFolder folder;
    write_mnist(folder.path(), gz);
    const auto train = open_dataset(folder.spec("mnist"), Split::train, no_validation());
    ASSERT_EQ(train->size(), 3);
    EXPECT_EQ(train->num_classes(), 10);
    EXPECT_EQ(train->channels(), 1);
    EXPECT_EQ(train->width(), 4);
    EXPECT_EQ(train->height(), 2);
    const Sample sample = train->get(1);
    EXPECT_EQ(sample.label, 0);
    EXPECT_EQ(sample.id, "train/1");
    EXPECT_EQ(sample.image.pixels, (Bytes{8, 9, 10, 11, 12, 13, 14, 15}));
    EXPECT_EQ(train->label(2), 9);
    const auto all = open_dataset(folder.spec("fashion-mnist"), Split::all);
    ASSERT_EQ(all->size(), 5);
    EXPECT_EQ(all->get(3).image.pixels[0], 100);
    EXPECT_EQ(all->id(4), "test/1");
    EXPECT_EQ(all->classes()[0], "T-shirt/top");
    EXPECT_EQ(all->classes()[9], "Ankle boot");
  }
}

TEST(IdxSet, SaysWhichFileIsMissing) {
  DataFolder folder;
  write_mnist(folder.path(), false);
  fs::remove(folder.path() / "train-images-idx3-ubyte");
  EXPECT_EQ(open_dataset(folder.spec("mnist"), Split::test)->size(), 2);
  EXPECT_EQ(own_splits(folder.spec("mnist")), std::vector<Split>{Split::test});
  expect_mentions(error_of([&] { open_dataset(folder.spec("mnist"), Split::train); }),
                  "train-images-idx3-ubyte");
  fs::remove(folder.path() / "t10k-images-idx3-ubyte");
  expect_mentions(error_of([&] { open_dataset(folder.spec("mnist"), Split::test); }),
                  "t10k-images-idx3-ubyte");
}

struct HostileIdx {
  const char* what;
  Bytes images;
  Bytes labels;
  const char* message;
};

Bytes announcing(uint32_t count, uint32_t rows, uint32_t columns) {
  Bytes bytes = idx_images(0, rows, columns);
  bytes.resize(4);
  for (const uint32_t word : {count, rows, columns}) append_u32(bytes, word);
  bytes.push_back(0);
  return bytes;
}

TEST(IdxSet, RefusesHostileFiles) {
  Bytes wrong_magic = idx_images(2, 2, 4), truncated = idx_images(2, 2, 4), longer = truncated;
  wrong_magic[3] = 1;
  truncated.pop_back();
  longer.push_back(0);
  Bytes many_labels{0, 0, 8, 1, 0xFF, 0xFF, 0xFF, 0xFF, 0};
  const Bytes good = idx_images(2, 2, 4), labels = idx_labels({1, 2});
  const std::vector<HostileIdx> cases{
      {"magic", wrong_magic, labels, "0x00000803"},
      {"labels for pictures", labels, labels, "0x00000803"},
      {"truncated", truncated, labels, "truncated"},
      {"trailing", longer, labels, "more bytes"},
      {"empty", {}, labels, "truncated"},
      {"header cut", Bytes(good.begin(), good.begin() + 9), labels, "truncated"},
      {"huge count", announcing(0xFFFFFFFF, 4096, 4096), many_labels, "above the limit"},
      {"cannot fit", announcing(200'000, 28, 28), many_labels, "labels"},
      {"huge side", announcing(2, 0xFFFFFFFF, 1), labels, "sides"},
      {"no pictures", announcing(0, 28, 28), idx_labels({}), "announces 0"},
      {"counts differ", good, idx_labels({1}), "1 labels"},
      {"label range", good, idx_labels({1, 10}), "label 10"},
      {"labels truncated", good, Bytes{0, 0, 8, 1, 0, 0, 0, 2, 1}, "truncated"},
  };
  for (const HostileIdx& hostile : cases) {
    SCOPED_TRACE(hostile.what);
    DataFolder folder;
    write_plain(folder.path() / "t10k-images-idx3-ubyte", hostile.images);
    write_plain(folder.path() / "t10k-labels-idx1-ubyte", hostile.labels);
    const std::string message = error_of([&] { open_dataset(folder.spec("mnist"), Split::test); });
    expect_mentions(message, hostile.message);
    expect_mentions(message, "idx");
  }
}

TEST(IdxSet, RefusesAHeaderThatAnnouncesMoreThanTheFileCanHold) {
  DataFolder folder;
  write_gz(folder.path() / "t10k-images-idx3-ubyte.gz", announcing(1'000'000, 28, 28));
  Bytes labels{0, 0, 8, 1};
  append_u32(labels, 1'000'000);
  write_gz(folder.path() / "t10k-labels-idx1-ubyte.gz", labels);
  expect_mentions(error_of([&] { open_dataset(folder.spec("mnist"), Split::test); }),
                  "cannot hold");
}

TEST(IdxSet, RefusesTruncatedAndDamagedGzip) {
  DataFolder folder;
  write_mnist(folder.path(), true);
  const fs::path path = folder.path() / "train-images-idx3-ubyte.gz";
  std::ifstream file(path, std::ios::binary);
  Bytes packed((std::istreambuf_iterator<char>(file)), {});
  Bytes cut(packed.begin(), packed.end() - 9);
  write_plain(path, cut);
  expect_mentions(error_of([&] { open_dataset(folder.spec("mnist"), Split::train); }),
                  "train-images-idx3-ubyte.gz");
  packed[packed.size() - 6] ^= 0xFF;  // the checksum
  write_plain(path, packed);
  expect_mentions(error_of([&] { open_dataset(folder.spec("mnist"), Split::train); }),
                  "train-images-idx3-ubyte.gz");
}

Bytes cifar_record(uint8_t label) {
  Bytes bytes{label};
  for (int plane = 0; plane < 3; ++plane) {
    for (int i = 0; i < 1024; ++i) bytes.push_back(static_cast<uint8_t>(80 * plane + i % 64));
  }
  return bytes;
}

TEST(CifarSet, ReadsBatchesAndInterleavesPlanes) {
  DataFolder folder;
  const fs::path inner = folder.path() / "cifar-10-batches-bin";
  for (int i = 1; i <= 5; ++i) {
    write_plain(inner / ("data_batch_" + std::to_string(i) + ".bin"),
                cifar_record(static_cast<uint8_t>(i)));
  }
  write_plain(inner / "test_batch.bin", cifar_record(9));
  const auto train = open_dataset(folder.spec("cifar10"), Split::train, no_validation());
  ASSERT_EQ(train->size(), 5);
  EXPECT_EQ(train->label(4), 5);
  EXPECT_EQ(train->classes()[9], "truck");
  const Sample sample = train->get(0);
  EXPECT_EQ(sample.image.width, 32);
  EXPECT_EQ(Bytes(sample.image.pixels.begin(), sample.image.pixels.begin() + 6),
            (Bytes{0, 80, 160, 1, 81, 161}));

  write_plain(inner / "batches.meta.txt", {'a', '\n', 'b', '\n'});
  expect_mentions(error_of([&] { open_dataset(folder.spec("cifar10"), Split::test); }),
                  "batches.meta.txt");
  fs::remove(inner / "batches.meta.txt");
  write_plain(inner / "test_batch.bin", cifar_record(10));
  expect_mentions(error_of([&] { open_dataset(folder.spec("cifar10"), Split::test); }), "label 10");
  write_plain(inner / "test_batch.bin", Bytes(3072));
  expect_mentions(error_of([&] { open_dataset(folder.spec("cifar10"), Split::test); }),
                  "3072 bytes");
  fs::remove(inner / "data_batch_3.bin");
  expect_mentions(error_of([&] { open_dataset(folder.spec("cifar10"), Split::train); }),
                  "data_batch_3.bin");
}

TEST(FolderSet, ReadsAFolderAClass) {
  DataFolder folder;
  write_flat_picture(folder.path() / "rose" / "b.PNG", 20);
  write_flat_picture(folder.path() / "rose" / "a.png", 10);
  write_flat_picture(folder.path() / "rose" / "deeper" / "c.png", 25);
  write_flat_picture(folder.path() / "daisy" / "x.png", 30);
  write_flat_picture(folder.path() / "daisy" / ".hidden.png", 40);
  write_flat_picture(folder.path() / ".cache" / "y.png", 50);
  write_plain(folder.path() / "daisy" / "notes.txt", {'x'});
  const auto all = open_dataset(folder.spec("folder"), Split::all);
  EXPECT_EQ(all->classes(), (std::vector<std::string>{"daisy", "rose"}));
  ASSERT_EQ(all->size(), 4);
  EXPECT_EQ(all->id(0), "daisy/x.png");
  EXPECT_EQ(all->id(1), "rose/a.png");
  EXPECT_EQ(all->id(2), "rose/b.PNG");
  EXPECT_EQ(all->id(3), "rose/deeper/c.png");
  const Sample sample = all->get(2);
  EXPECT_EQ(sample.label, 1);
  EXPECT_EQ(sample.image.pixels[0], 20);
  EXPECT_EQ(own_splits(folder.spec("folder")), std::vector<Split>{Split::all});
  expect_mentions(error_of([&] { open_dataset(folder.spec("folder"), Split::test); }), "test");
}

TEST(FolderSet, UsesItsOwnDivision) {
  DataFolder folder;
  write_flat_picture(folder.path() / "train" / "a" / "1.png", 1);
  write_flat_picture(folder.path() / "train" / "c" / "2.png", 2);
  write_flat_picture(folder.path() / "val" / "b" / "3.png", 3);
  const std::vector<std::string> classes{"a", "b", "c"};
  const auto train = open_dataset(folder.spec("folder"), Split::train);
  EXPECT_EQ(train->size(), 2);
  EXPECT_EQ(train->classes(), classes);
  EXPECT_EQ(train->label(1), 2);
  const auto val = open_dataset(folder.spec("folder"), Split::val);
  EXPECT_EQ(val->size(), 1);
  EXPECT_EQ(val->classes(), classes);
  EXPECT_EQ(val->label(0), 1);
  EXPECT_EQ(open_dataset(folder.spec("folder"), Split::all)->size(), 3);
  expect_mentions(error_of([&] { open_dataset(folder.spec("folder"), Split::test); }),
                  "no test pictures");
}

TEST(FolderSet, RefusesWhatIsNoSet) {
  DataFolder folder;
  const auto open = [&] { open_dataset(folder.spec("folder"), Split::all); };
  expect_mentions(error_of(open), "no folders");
  write_flat_picture(folder.path() / "only" / "1.png", 1);
  expect_mentions(error_of(open), "one class 'only'");
  fs::create_directories(folder.path() / "second");
  expect_mentions(error_of(open), "second");
  write_plain(folder.path() / "second" / "broken.png", {0x89, 'P', 'N', 'G', 1, 2, 3});
  const auto set = open_dataset(folder.spec("folder"), Split::all);
  expect_mentions(error_of([&] { set->get(1); }), "broken.png");
  expect_mentions(error_of([] { open_dataset("folder:/no/such/place", Split::all); }),
                  "/no/such/place");
  expect_mentions(error_of([] { open_dataset("folder:", Split::all); }), "folder:DIR");
}

TEST(FlatSet, TakesTheClassFromTheName) {
  DataFolder folder;
  write_flat_picture(folder.path() / "n02_cat_big.png", 2);
  write_flat_picture(folder.path() / "n01_dog.png", 1);
  write_flat_picture(folder.path() / "n02_cat.png", 3);
  const auto set = open_dataset(folder.spec("flat"), Split::all);
  EXPECT_EQ(set->classes(), (std::vector<std::string>{"n01", "n02"}));
  ASSERT_EQ(set->size(), 3);
  EXPECT_EQ(set->label(0), 0);
  EXPECT_EQ(set->label(1), 1);
  EXPECT_EQ(set->get(0).image.pixels[0], 1);
  write_flat_picture(folder.path() / "nameless.png", 1);
  expect_mentions(error_of([&] { open_dataset(folder.spec("flat"), Split::all); }), "nameless.png");
}

TEST(Specs, UnknownOnesAreRefusedWithTheKnownOnes) {
  const std::string message = error_of([] { open_dataset("imagenet:somewhere", Split::train); });
  for (const char* known : {"folder:", "flat:", "fashion-mnist:", "mnist:", "cifar10:", "scenes"})
    expect_mentions(message, known);
  DataFolder folder;
  expect_mentions(error_of([&] { open_dataset(folder.path().string(), Split::all); }),
                  "folder:" + folder.path().string());
  expect_mentions(error_of([] { split_of("holdout"); }), "train, val, test, all");
  EXPECT_EQ(split_of("val"), Split::val);
}

std::set<std::string> ids_of(const Dataset& set) {
  std::set<std::string> ids;
  for (int64_t i = 0; i < set.size(); ++i) ids.insert(set.id(i));
  return ids;
}

TEST(HeldOut, TrainAndValDivideTheSet) {
  DataFolder folder;
  Bytes labels(400);
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<uint8_t>(i % 10);
  write_plain(folder.path() / "train-images-idx3-ubyte", idx_images(400, 1, 1));
  write_plain(folder.path() / "train-labels-idx1-ubyte", idx_labels(labels));
  OpenOptions options;
  options.val_fraction = 0.25;
  const auto train = open_dataset(folder.spec("mnist"), Split::train, options);
  const auto val = open_dataset(folder.spec("mnist"), Split::val, options);
  const std::set<std::string> in_train = ids_of(*train), in_val = ids_of(*val);
  EXPECT_EQ(in_train.size() + in_val.size(), 400u);
  for (const std::string& id : in_val) EXPECT_EQ(in_train.count(id), 0u) << id;
  EXPECT_EQ(in_val.size(), 100u);  // a quarter of each of ten classes of 40
  for (int64_t i = 0; i < val->size(); ++i) {
    EXPECT_EQ(val->id(i), val->get(i).id);
    const int number = std::stoi(val->id(i).substr(6));  // after "train/"
    EXPECT_EQ(val->get(i).image.pixels[0], number % 256);
  }
  EXPECT_EQ(ids_of(*open_dataset(folder.spec("mnist"), Split::val, options)), in_val);
  options.split_seed = 1;
  EXPECT_NE(ids_of(*open_dataset(folder.spec("mnist"), Split::val, options)), in_val);
  options.val_fraction = 0;
  EXPECT_EQ(open_dataset(folder.spec("mnist"), Split::train, options)->size(), 400);
  expect_mentions(error_of([&] { open_dataset(folder.spec("mnist"), Split::val, options); }),
                  "no val pictures");
  options.val_fraction = 1;
  expect_mentions(error_of([&] { open_dataset(folder.spec("mnist"), Split::val, options); }),
                  "val_fraction");
}

TEST(RealSets, FashionMnistHasItsSizes) {
  const fs::path root = shared_data("fashion-mnist");
  if (root.empty())
    GTEST_SKIP() << "no fashion-mnist in the shared data; VITRAIL_SHARED_DATA names its folder";
  const auto train = open_dataset("fashion-mnist:" + root.string(), Split::train, no_validation());
  EXPECT_EQ(train->size(), 60000);
  std::vector<int64_t> counts(10);
  for (int64_t i = 0; i < train->size(); ++i) ++counts[static_cast<size_t>(train->label(i))];
  EXPECT_EQ(counts, std::vector<int64_t>(10, 6000));
  EXPECT_EQ(train->label(0), 9);  // the published set begins with an ankle boot
  const auto test = open_dataset("fashion-mnist:" + root.string(), Split::test);
  EXPECT_EQ(test->size(), 10000);
}

TEST(RealSets, MnistWithTestFilesOnlySaysWhatTrainingLacks) {
  const fs::path root = shared_data("mnist");
  if (root.empty())
    GTEST_SKIP() << "no mnist in the shared data; VITRAIL_SHARED_DATA names its folder";
  EXPECT_EQ(open_dataset("mnist:" + root.string(), Split::test)->size(), 10000);
  expect_mentions(error_of([&] { open_dataset("mnist:" + root.string(), Split::train); }),
                  "train-images-idx3-ubyte");
}

TEST(RealSets, ImageNetSampleIsFlat) {
  const fs::path root = shared_data("imagenet-sample");
  if (root.empty())
    GTEST_SKIP() << "no imagenet-sample in the shared data; VITRAIL_SHARED_DATA names its folder";
  const auto set = open_dataset("flat:" + root.string(), Split::all);
  EXPECT_EQ(set->size(), 500);
  EXPECT_EQ(set->num_classes(), 500);
  EXPECT_EQ(set->classes()[0], "n01440764");
  const Sample sample = set->get(0);
  EXPECT_EQ(std::min(sample.image.width, sample.image.height), 256);
}

}  // namespace
}  // namespace vitrail
