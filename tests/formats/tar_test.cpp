#include "formats/tar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/file.h"

namespace vitrail {
namespace {

std::string archive(const std::string& name) {
  const auto bytes = read_file(
      std::filesystem::path(VITRAIL_SOURCE_DIR) / "tests/fuzz/corpus/tar" / name, 1 << 20);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Gives at most seven bytes at a time: a source may give less than it is asked for.
TarReader reader(const std::string& bytes) {
  return TarReader(
      [&bytes, at = size_t{0}](std::span<std::byte> out) mutable {
        const size_t part = std::min({out.size(), bytes.size() - at, size_t{7}});
        std::memcpy(out.data(), bytes.data() + at, part);
        at += part;
        return part;
      },
      "test.tar");
}

std::string content(TarReader& tar) {
  std::string text;
  std::vector<std::byte> block(100);
  while (const size_t got = tar.read(block))
    text.append(reinterpret_cast<const char*>(block.data()), got);
  return text;
}

TEST(Tar, EntriesInTheirOrder) {
  const std::string bytes = archive("ustar.tar");
  TarReader tar = reader(bytes);
  auto entry = tar.next();
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->name, "a.txt");
  EXPECT_TRUE(entry->is_file);
  EXPECT_EQ(content(tar), "hello");
  for (const char* other : {"folder", "link"}) {
    entry = tar.next();
    ASSERT_TRUE(entry);
    EXPECT_TRUE(entry->name.starts_with(other)) << entry->name;
    EXPECT_FALSE(entry->is_file);
  }
  entry = tar.next();
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->name.size(), 121u);  // name and prefix together
  EXPECT_EQ(entry->bytes, 513u);
  EXPECT_FALSE(tar.next());  // what was not read is skipped
}

TEST(Tar, LongNames) {
  const std::string gnu = archive("gnu.tar"), pax = archive("pax.tar");
  TarReader first = reader(gnu), second = reader(pax);
  EXPECT_EQ(first.next()->name, std::string(300, 'n'));
  EXPECT_EQ(content(first), "long");
  EXPECT_EQ(first.next()->name, "../up");
  EXPECT_EQ(second.next()->name.size(), 300u);
  EXPECT_EQ(content(second), "pax");
}

void expect_error(std::string bytes, const std::string& words) {
  TarReader tar = reader(bytes);
  try {
    while (tar.next()) content(tar);
    FAIL() << "no error, where one should say " << words;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
  }
}

TEST(Tar, DamagedOnesAreRefused) {
  const std::string whole = archive("ustar.tar");
  expect_error(whole.substr(0, 700), "ends within an entry");
  expect_error(whole.substr(0, 300), "ends within a header");
  std::string changed = whole;
  changed[0] = 'b';
  expect_error(changed, "no tar header");
  expect_error(std::string(1024, 'x'), "no tar header");
  // A size with its sum made right: 11 octal digits reach 8 GB, base 256 goes beyond every limit.
  std::string huge = whole;
  std::memset(&huge[124], 0x7f, 12);
  huge[124] = static_cast<char>(0x80);
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i)
    sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(huge[i]);
  std::snprintf(&huge[148], 8, "%06o", sum);
  expect_error(huge, "no size, or one above the limit");
}

}  // namespace
}  // namespace vitrail
