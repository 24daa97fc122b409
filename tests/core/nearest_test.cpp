#include "core/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace vitrail {
namespace {

const std::vector<std::string> kVerbs = {"classify", "calibrate", "convert", "explain",
                                         "embed",    "eval",      "train",   "finetune"};
const std::vector<std::string> kModels = {"vit_tiny", "vit_small", "vit_base", "dinov2_small"};

TEST(EditDistance, CountsEachKindOfEditOnce) {
  EXPECT_EQ(edit_distance("", ""), 0U);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("abc", ""), 3U);
  EXPECT_EQ(edit_distance("train", "trains"), 1U);    // insertion
  EXPECT_EQ(edit_distance("trains", "train"), 1U);    // deletion
  EXPECT_EQ(edit_distance("train", "brain"), 1U);     // replacement
  EXPECT_EQ(edit_distance("tarin", "train"), 1U);     // swap
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);  // the textbook's example
  // No byte is touched twice: without that rule "ca" to "abc" were a swap and an insertion.
  EXPECT_EQ(edit_distance("ca", "abc"), 3U);
}

TEST(EditDistance, IsTheSameBothWays) {
  for (const std::string& a : kVerbs)
    for (const std::string& b : kVerbs) EXPECT_EQ(edit_distance(a, b), edit_distance(b, a));
}

TEST(NearestName, FindsWhatWasMeant) {
  EXPECT_EQ(nearest_name("clasify", kVerbs), "classify");
  EXPECT_EQ(nearest_name("expalin", kVerbs), "explain");
  EXPECT_EQ(nearest_name("tarin", kVerbs), "train");
  EXPECT_EQ(nearest_name("fine-tune", kVerbs), "finetune");
  EXPECT_EQ(nearest_name("Vit-Tiny", kModels), "vit_tiny");
  EXPECT_EQ(nearest_name("vit_tinny", kModels), "vit_tiny");
  EXPECT_EQ(nearest_name("dinov2", kModels), "dinov2_small");  // the only one that begins so
}

TEST(NearestName, OfSeveralTheNearestAndOfEquallyNearTheFirst) {
  const std::vector<std::string> names = {"vit_small", "vit_smell", "vit_smalls"};
  EXPECT_EQ(nearest_name("vit_smalls", names), "vit_smalls");
  EXPECT_EQ(nearest_name("vit_smxll", names), "vit_small");
}

TEST(NearestName, GuessesNothingWhereNothingIsNear) {
  EXPECT_EQ(nearest_name("", kVerbs), std::nullopt);
  EXPECT_EQ(nearest_name("photo.jpg", kVerbs), std::nullopt);
  EXPECT_EQ(nearest_name("e", kVerbs), std::nullopt);
  EXPECT_EQ(nearest_name("vi", kModels), std::nullopt);  // three names begin so
  EXPECT_EQ(nearest_name("classify", {}), std::nullopt);
  EXPECT_EQ(nearest_name(std::string(100'000, 'x'), kVerbs), std::nullopt);
  const std::vector<std::string> endless = {std::string(100'000, 'x')};
  EXPECT_EQ(nearest_name("xx", endless), std::nullopt);
}

TEST(NearestName, IsTheEndOfAMessage) {
  EXPECT_EQ(did_you_mean("clasify", kVerbs), "; did you mean 'classify'?");
  EXPECT_EQ(did_you_mean("zzz", kVerbs), "");
  EXPECT_EQ(did_you_mean_or_all("clasify", kVerbs), "; did you mean 'classify'?");
  const std::vector<std::string> few = {"apply", "ignore"};
  EXPECT_EQ(did_you_mean_or_all("zzz", few), "; there are apply, ignore");
  EXPECT_EQ(did_you_mean_or_all("zzz", {}), "");
}

}  // namespace
}  // namespace vitrail
