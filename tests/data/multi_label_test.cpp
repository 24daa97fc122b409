// Sets whose pictures may show several classes, or none.
#include <gtest/gtest.h>

#include "core/error.h"
#include "data/dataset.h"
#include "data/helpers.h"
#include "data/loader.h"
#include "data/subset.h"

namespace vitrail {
namespace {

using namespace test;
using Classes = std::vector<std::string>;
using Labels = std::vector<int64_t>;

class SeveralClasses : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"a.png", "b.png", "c.png", "d.png"})
      write_flat_picture(folder_ / name, 10);
  }
  std::string spec(const std::string& kind, const std::string& text) {
    const auto path = folder_ / ("list." + kind);
    write_plain(path, {text.begin(), text.end()});
    return kind + ":" + path.string();
  }
  std::string refusal(const std::string& table) {
    const std::string set = spec("csv", table);
    return error_of([&] { open_dataset(set, Split::all); });
  }
  DataFolder folder_;
};

TEST_F(SeveralClasses, StandInTheColumnLabels) {
  for (const std::string separator : {"|", ";", " | "}) {
    const auto set =
        open_dataset(spec("csv", "path,labels\na.png,dog" + separator +
                                     "cat\nb.png,cat\nc.png,\nd.png,cat" + separator + "cat\n"),
                     Split::all);
    EXPECT_TRUE(set->multi_label());
    EXPECT_EQ(set->classes(), (Classes{"cat", "dog"}));
    EXPECT_EQ(set->labels(0), (Labels{0, 1}));
    EXPECT_EQ(set->labels(1), (Labels{0}));
    EXPECT_EQ(set->labels(2), Labels{});
    EXPECT_EQ(set->labels(3), (Labels{0}));
    EXPECT_EQ(set->label_names(0), "cat, dog");
    EXPECT_EQ(set->label_names(2), "no class");
    EXPECT_EQ(set->get(0).label, -1);
    EXPECT_NE(error_of([&] { set->label(1); }).find("several classes a picture"),
              std::string::npos);
  }
}

TEST_F(SeveralClasses, MayBeOneQuestionAlone) {
  const auto set = open_dataset(spec("csv", "path,labels\na.png,cat\nb.png,\n"), Split::all);
  EXPECT_EQ(set->classes(), Classes{"cat"});
  EXPECT_EQ(set->labels(1), Labels{});
}

TEST_F(SeveralClasses, KeepCommasBesideAnotherSeparator) {
  const auto set = open_dataset(
      spec("csv", "path,labels\na.png,\"tench, Tinca tinca|hen\"\nb.png,\"tench, Tinca tinca\"\n"),
      Split::all);
  EXPECT_EQ(set->classes(), (Classes{"hen", "tench, Tinca tinca"}));
}

TEST_F(SeveralClasses, AreRefusedWhereTheyMightBeOne) {
  EXPECT_NE(refusal("path,label\na.png,cat|dog\nb.png,cat\n").find("call the column labels"),
            std::string::npos);
  EXPECT_NE(refusal("path,label\na.png,cat;dog\nb.png,cat\n").find("call the column labels"),
            std::string::npos);
  EXPECT_NE(refusal("path,labels\na.png,\"cat,dog\"\nb.png,cat\n").find("separated by | or ;"),
            std::string::npos);
  EXPECT_NE(refusal("path,labels\na.png,cat|dog\nb.png,cat;dog\n").find("one of them separates"),
            std::string::npos);
  EXPECT_NE(refusal("path,labels\na.png,cat||dog\n").find("without a name"), std::string::npos);
  EXPECT_NE(refusal("path,label,labels\na.png,cat,cat\n").find("keep one"), std::string::npos);
  EXPECT_NE(refusal("path,labels\na.png,\nb.png,\n").find("no picture that shows a class"),
            std::string::npos);
}

TEST_F(SeveralClasses, AreAllCategoriesOfCocoPictures) {
  const std::string coco = spec("coco", R"({
    "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}, {"id": 9, "name": "elk"}],
    "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"},
               {"id": 3, "file_name": "c.png"}],
    "annotations": [{"image_id": 1, "category_id": 7, "area": 5},
                    {"image_id": 1, "category_id": 3, "area": 2},
                    {"image_id": 1, "category_id": 7, "area": 1},
                    {"image_id": 2, "category_id": 3, "bbox": [0, 0, 2, 2]}]})");
  const auto all = open_dataset(coco + ",labels=all", Split::all);
  EXPECT_TRUE(all->multi_label());
  EXPECT_EQ(all->classes(), (Classes{"cat", "dog"}));
  ASSERT_EQ(all->size(), 3);
  EXPECT_EQ(all->labels(0), (Labels{0, 1}));
  EXPECT_EQ(all->labels(1), (Labels{1}));
  EXPECT_EQ(all->labels(2), Labels{});
  const auto folder =
      open_dataset(coco + "," + folder_.path().string() + ",labels=all", Split::all);
  EXPECT_EQ(folder->labels(0), (Labels{0, 1}));
  for (const char* one : {"", ",labels=largest"}) {
    const auto largest = open_dataset(coco + one, Split::all);
    EXPECT_FALSE(largest->multi_label());
    EXPECT_EQ(largest->size(), 2);
    EXPECT_EQ(largest->labels(0), (Labels{0}));
  }
  EXPECT_NE(
      error_of([&] { open_dataset(coco + ",labels=some", Split::all); }).find("labels is 'some'"),
      std::string::npos);
}

TEST_F(SeveralClasses, AreRowsOfABatch) {
  std::shared_ptr<const Dataset> set = open_dataset(
      spec("csv", "path,labels\na.png,dog|cat\nb.png,elk\nc.png,\nd.png,cat\n"), Split::all);
  const Subset part(set, {3, 0, 2});
  EXPECT_TRUE(part.multi_label());
  EXPECT_EQ(part.labels(1), (Labels{0, 1}));
  LoaderOptions options;
  options.batch_size = 3;
  options.workers = 0;
  options.preprocess.resize_to = {8, 8};
  Loader loader(part, options);
  EXPECT_TRUE(loader.multi_label());
  loader.start(0);
  Batch batch;
  ASSERT_TRUE(loader.next(batch));
  ASSERT_EQ(batch.labels.shape(), (Shape{3, 3}));
  const std::vector<int64_t> wanted{1, 0, 0, 1, 1, 0, 0, 0, 0};
  EXPECT_TRUE(std::equal(wanted.begin(), wanted.end(), batch.labels.data<int64_t>()));
  EXPECT_FALSE(batch.targets.defined());
}

}  // namespace
}  // namespace vitrail
