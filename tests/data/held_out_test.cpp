// What is held out of a set, and the record that a run keeps of it.
#include "data/held_out.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <set>

#include "core/error.h"
#include "data/helpers.h"
#include "data/split_record.h"

namespace vitrail {
namespace {

using namespace test;

// Twelve pictures of each class, three of each group "CLASS/SCENE-k".
class Grouped : public Dataset {
 public:
  Grouped() {
    classes_ = {"a", "b", "c"};
    for (int64_t i = 0; i < 36; ++i) {
      labels.push_back(i / 12);
      contents.push_back(static_cast<uint64_t>(100 + i));
      ids.push_back(fmt::format("{}/scene{}-{}.jpg", classes_[static_cast<size_t>(i / 12)],
                                i / 3 % 4, i % 3));
    }
  }
  int64_t size() const override { return 36; }
  Sample get(int64_t) const override { return {}; }
  int64_t label(int64_t index) const override { return labels[static_cast<size_t>(index)]; }
  std::string id(int64_t index) const override { return ids[static_cast<size_t>(index)]; }
  uint64_t content(int64_t index) const override { return contents[static_cast<size_t>(index)]; }

  std::vector<int64_t> labels;
  std::vector<uint64_t> contents;
  std::vector<std::string> ids;
};

TEST(HoldOut, KeepsGroupsTogetherAndClassesOnBothSides) {
  const Grouped set;
  const std::vector<std::string> keys = group_keys(set, "(.*scene\\d+)-");
  EXPECT_EQ(keys[0], "a/scene0");
  const std::vector<bool> out = hold_out(set, keys, 0.25, 7);
  std::set<std::string> held, kept;
  std::vector<int64_t> held_of(3);
  for (size_t i = 0; i < out.size(); ++i) {
    (out[i] ? held : kept).insert(keys[i]);
    held_of[i / 12] += out[i];
  }
  EXPECT_EQ(held_of, (std::vector<int64_t>{3, 3, 3}));
  for (const std::string& key : held) EXPECT_FALSE(kept.contains(key)) << key;
  EXPECT_EQ(out, hold_out(set, keys, 0.25, 7));
  EXPECT_NE(out, hold_out(set, keys, 0.25, 8));
  EXPECT_THROW(hold_out(set, group_keys(set, "folder"), 0.25, 7), Error);
  EXPECT_THROW(group_keys(set, "(unfinished"), Error);
}

TEST(HoldOut, BothPartsTogetherAreTheSet) {
  const HeldOut parts =
      split_held_out(std::make_shared<Grouped>(), {.val_fraction = 0.2, .split_seed = 1});
  EXPECT_EQ(parts.train->size() + parts.validation->size(), 36);
  EXPECT_EQ(parts.validation->size(), 6);  // 0.2 of 12 is 2 of each class
}

TEST(HoldOut, AFractionOfNothingIsRefused) {
  EXPECT_THROW(split_held_out(std::make_shared<Grouped>(), {.val_fraction = 0}), Error);
}

TEST(HoldOut, APictureOutsideEveryGroupStandsAlone) {
  const std::vector<std::string> keys = group_keys(Grouped(), "zzz");
  EXPECT_EQ(std::set<std::string>(keys.begin(), keys.end()).size(), 36u);
  // Even where its name is what a group is called.
  EXPECT_NE(group_keys(Grouped(), "scene9")[0], Grouped().id(0));
  EXPECT_EQ(group_keys(Grouped(), "folder")[13], "b");
}

TEST(HoldOut, DividesAnOpenedSetByGroups) {
  DataFolder folder;
  for (int animal = 0; animal < 40; ++animal)
    for (int shot = 0; shot < 3; ++shot)
      write_flat_picture(
          folder.path() / (animal % 2 ? "cat" : "dog") / fmt::format("n{}_{}.png", animal, shot), 7,
          2, 2);
  OpenOptions options;
  options.val_fraction = 0.3;
  options.group = "(n[0-9]+)_";
  const auto train = open_dataset(folder.spec("folder"), Split::train, options);
  const auto val = open_dataset(folder.spec("folder"), Split::val, options);
  EXPECT_EQ(train->size() + val->size(), 120);
  EXPECT_EQ(val->size() % 3, 0);
  const auto held = group_keys(*val, options.group);
  const std::set<std::string> held_out(held.begin(), held.end());
  EXPECT_EQ(held_out.size(), 12u);  // 0.3 of the 20 animals of each class
  for (const std::string& key : group_keys(*train, options.group))
    EXPECT_FALSE(held_out.contains(key));
}

// The record of a set whose first eighteen pictures are learned from.
SplitRecord record_of(const Dataset& set) {
  SplitRecord record{.data = "folder:a\tb", .held_out = true, .fraction = 0.5, .seed = 3};
  record.group = "line\nend\\";
  std::vector<bool> out(36);
  for (size_t i = 18; i < 36; ++i) out[i] = true;
  // Both parts as they are, without a copy of the set.
  const std::shared_ptr<const Dataset> whole(std::shared_ptr<void>(), &set);
  const HeldOut parts = divided(whole, out);
  add_part(record, Part::training, *parts.train, contents_of(*parts.train, 1));
  add_part(record, Part::validation, *parts.validation, contents_of(*parts.validation, 1));
  return record;
}

constexpr Part kBoth[] = {Part::training, Part::validation};

std::string differences_of(const SplitRecord& record, const Dataset& set) {
  const std::vector<uint64_t> contents = contents_of(set, 1);
  return differences(record, {&set, &contents, {std::begin(kBoth), std::end(kBoth)}});
}

TEST(SplitRecord, ComesBackAsItWasWritten) {
  const DataFolder folder;
  const Grouped set;
  const SplitRecord record = record_of(set);
  EXPECT_FALSE(read_split_record(folder.path()).has_value());
  write_split_record(folder.path(), record);
  const auto back = read_split_record(folder.path());
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->data, record.data);
  EXPECT_EQ(back->group, record.group);
  EXPECT_EQ(back->fraction, 0.5);
  EXPECT_EQ(back->seed, 3u);
  EXPECT_EQ(back->classes, set.classes());
  EXPECT_EQ(back->count(Part::training), 18);
  EXPECT_EQ(back->count(Part::validation), 18);
  EXPECT_EQ(differences_of(*back, set), "");
  EXPECT_EQ(count_learned(*back, contents_of(set, 1)), 18);
  const std::vector<bool> out = held_out_in(*back, set);
  EXPECT_FALSE(out[17]);
  EXPECT_TRUE(out[18]);
}

TEST(SplitRecord, ReadingContentsCanBeStopped) {
  const Grouped set;
  std::atomic<int> asked = 0;
  try {
    contents_of(set, 2, 0, [&] { return ++asked > 5; });
    FAIL() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::cancelled);
  }
  EXPECT_EQ(contents_of(set, 2, 0, [] { return false; }), contents_of(set, 1));
}

TEST(SplitRecord, DamageIsRefused) {
  const DataFolder folder;
  write_split_record(folder.path(), record_of(Grouped()));
  std::ifstream in(folder.path() / kSplitFile, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  EXPECT_NO_THROW(parse_split_record(whole, "whole"));
  for (size_t length = 0; length < whole.size(); ++length)
    EXPECT_THROW(parse_split_record(whole.substr(0, length), "cut"), Error) << length;
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    EXPECT_THROW(parse_split_record(damaged, "damaged"), Error) << at;
  }
  EXPECT_THROW(parse_split_record(whole + "more", "longer"), Error);
}

TEST(SplitRecord, SaysWhichPicturesAreOthers) {
  const SplitRecord record = record_of(Grouped());
  Grouped changed;
  changed.ids[3] = "a/new.jpg";
  EXPECT_EQ(differences_of(record, changed), "1 has another name ('a/new.jpg')");
  changed = Grouped();
  changed.contents[20] = 999;
  EXPECT_EQ(differences_of(record, changed), "1 has another content ('" + changed.id(20) + "')");
  changed = Grouped();
  changed.ids[3] = "a/new.jpg";
  changed.contents[3] = 999;
  EXPECT_EQ(differences_of(record, changed),
            "1 picture was added since ('a/new.jpg'), 1 is gone ('a/scene1-0.jpg')");
  changed = Grouped();
  changed.labels[0] = 2;
  EXPECT_EQ(differences_of(record, changed), "1 has another class ('a/scene0-0.jpg')");
  changed = Grouped();
  for (size_t i = 0; i < 5; ++i) changed.contents[i] = 1000 + i;
  EXPECT_NE(differences_of(record, changed).find("5 have another content"), std::string::npos);
}

TEST(SplitRecord, WhatAModelBeganWithCountsAsLearned) {
  const Grouped set;
  const SplitRecord base = record_of(set);
  SplitRecord record;
  add_earlier(record, base);
  EXPECT_EQ(record.count(Part::earlier), 18);
  EXPECT_EQ(count_learned(record, contents_of(set, 1)), 18);
  SplitRecord third;
  add_earlier(third, record);  // and so on
  EXPECT_EQ(count_learned(third, contents_of(set, 1)), 18);
}

TEST(Content, IsOfTheBytesWhateverTheyAreCalled) {
  const DataFolder folder;
  for (const char* label : {"cat", "dog"})
    for (int i = 0; i < 3; ++i)
      write_flat_picture(folder.path() / "set" / label / fmt::format("{}.png", i),
                         static_cast<uint8_t>(40 * i + (label[0] == 'c' ? 0 : 20)), 4, 4);
  const auto set = open_dataset("folder:" + (folder.path() / "set").string(), Split::all);
  std::ofstream csv(folder.path() / "list.csv");
  csv << "path,label\n";
  for (int64_t i = set->size(); i-- > 0;) csv << "set/" << set->id(i) << ",x" << i % 2 << "\n";
  csv.close();
  const auto listed = open_dataset("csv:" + (folder.path() / "list.csv").string(), Split::all);
  std::vector<uint64_t> one = contents_of(*set, 2), other = contents_of(*listed, 1);
  EXPECT_EQ(std::set<uint64_t>(one.begin(), one.end()).size(), 6u);
  std::ranges::reverse(other);
  EXPECT_EQ(one, other);
  std::filesystem::remove(folder.path() / "set" / set->id(2));
  EXPECT_EQ(contents_of(*set, 1)[2], 0u);  // it cannot be read
  // The splits of scenes have no picture in common, and other scenes are others.
  const auto scenes = contents_of(*open_dataset("scenes:count=4,val=4,test=4", Split::all), 1);
  EXPECT_EQ(std::set<uint64_t>(scenes.begin(), scenes.end()).size(), 12u);
  EXPECT_NE(contents_of(*open_dataset("scenes:count=4,seed=1", Split::train), 1)[0], scenes[0]);
  EXPECT_EQ(contents_of(*open_dataset("scenes:count=9", Split::train), 1)[0], scenes[0]);
}

}  // namespace
}  // namespace vitrail
