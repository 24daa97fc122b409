#include "models/families/imagenet_names.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace vitrail {
namespace {

using nlohmann::json;

TEST(ImageNetClasses, AreAThousandInTheOrderOfTheirIdentifiers) {
  const auto classes = imagenet_classes();
  ASSERT_EQ(classes.size(), 1000U);
  EXPECT_TRUE(std::ranges::is_sorted(classes, {}, &ImageNetClass::wnid));
  std::set<std::string_view> wnids, names;
  for (const ImageNetClass& known : classes) {
    EXPECT_EQ(known.wnid.size(), 9U);
    wnids.insert(known.wnid);
    names.insert(known.name);
  }
  EXPECT_EQ(wnids.size(), 1000U);
  EXPECT_EQ(names.size(), 1000U) << "two classes of one name could not be told apart";
  EXPECT_EQ(classes[0].wnid, "n01440764");
  EXPECT_EQ(classes[0].name, "tench");
  EXPECT_EQ(classes[1].name, "goldfish");
  EXPECT_EQ(classes[562].name, "fountain");
  EXPECT_EQ(classes[999].wnid, "n15075141");
}

TEST(ImageNetTag, IsReadWhereTimmWritesIt) {
  const auto tag = [](const json& config, int64_t classes = 1000) {
    return imagenet_tag(config, classes);
  };
  for (const char* known : {"augreg_in21k_ft_in1k", "fb_in1k", "in1k", "augreg_in1k_384",
                            "sw_in12k_ft_in1k_288", "in1k_ft_in22k_in1k"})
    EXPECT_EQ(tag({{"pretrained_cfg", {{"tag", known}}}}), known);
  EXPECT_EQ(tag({{"architecture", "vit_tiny_patch16_224.augreg_in21k_ft_in1k"}}),
            "augreg_in21k_ft_in1k");
  for (const char* other : {"augreg_in21k", "lvd142m", "in1k_ft_in12k", "mine_in1kx", "", "in1"})
    EXPECT_EQ(tag({{"pretrained_cfg", {{"tag", other}}}}), "");
  EXPECT_EQ(tag({{"pretrained_cfg", {{"tag", "fb_in1k"}}}}, 17), "");
  for (const json& broken : {json(), json::array(), json{{"pretrained_cfg", 3}},
                             json{{"pretrained_cfg", {{"tag", 1}}}}, json{{"architecture", 5}}})
    EXPECT_EQ(tag(broken), "");
}

}  // namespace
}  // namespace vitrail
