#include "core/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>
#include <string>

#include "core/atomic_file.h"
#include "core/error.h"

namespace vitrail {
namespace {

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(VITRAIL_BINARY_DIR) /
              (std::string("file_test_") +
               ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string content(const std::filesystem::path& path) const {
    const auto bytes = read_file(path, 1 << 20);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  size_t files() const {
    size_t count = 0;
    for ([[maybe_unused]] const auto& file : std::filesystem::directory_iterator(folder_)) ++count;
    return count;
  }
  template <typename Call>
  std::string message(Call call) const {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  static bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }

  std::filesystem::path folder_;
};

TEST_F(FileTest, ReadsUnderALimit) {
  write_file_atomically(folder_ / "a", "hello");
  write_file_atomically(folder_ / "empty", "");
  EXPECT_EQ(content(folder_ / "a"), "hello");
  EXPECT_TRUE(read_file(folder_ / "empty", 0).empty());
  EXPECT_EQ(read_file(folder_ / "a", 5).size(), 5u);
  EXPECT_TRUE(
      holds(message([&] { read_file(folder_ / "a", 4); }), "5 bytes, above the limit of 4"));
  EXPECT_TRUE(holds(message([&] { read_file(folder_ / "b", 4); }), "no such file"));
  EXPECT_TRUE(holds(message([&] { read_file(folder_, 4); }), "is a directory"));
  // Endless, and without a size to look at first.
  EXPECT_TRUE(holds(message([&] { read_file("/dev/zero", 5000); }), "limit of 5000"));
}

TEST_F(FileTest, ReplacesWholeOrNotAtAll) {
  const auto path = folder_ / "a";
  write_file_atomically(path, "old");
  {
    AtomicFile file(path);
    file.write("half of the ne");
    EXPECT_EQ(content(path), "old");
  }
  EXPECT_EQ(content(path), "old");
  EXPECT_EQ(files(), 1u);
  {
    AtomicFile file(path);
    file.write("ne");
    file.write("w");
    file.commit();
    EXPECT_TRUE(holds(message([&] { file.write("late"); }), "after it was committed"));
    EXPECT_TRUE(holds(message([&] { file.commit(); }), "committed twice"));
  }
  EXPECT_EQ(content(path), "new");
  EXPECT_EQ(files(), 1u);
}

TEST_F(FileTest, KeepsLinksAndPermissions) {
  const auto path = folder_ / "a", link = folder_ / "link";
  write_file_atomically(path, "old");
  std::filesystem::permissions(
      path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  std::filesystem::create_symlink("a", link);
  write_file_atomically(link, "new");
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(content(path), "new");
  EXPECT_EQ(std::filesystem::status(path).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(FileTest, RefusesWhereItCannotWrite) {
  EXPECT_TRUE(holds(message([&] { write_file_atomically(folder_ / "no" / "a", "x"); }),
                    "cannot be created"));
  EXPECT_TRUE(holds(message([&] { write_file_atomically(folder_, "x"); }), "is a directory"));
  const auto pipe = folder_ / "pipe";  // and so a device: a file must not take its place
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_TRUE(holds(message([&] { write_file_atomically(pipe, "x"); }), "not a regular file"));
  EXPECT_TRUE(std::filesystem::is_fifo(pipe));
}

// A file-size limit stands in for a full disk: write() fails in the same way.
TEST_F(FileTest, LeavesNothingWhenTheDiskIsFull) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit small = before;
  small.rlim_cur = 4096;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string text(100000, 'x');
  const std::string said = message([&] { write_file_atomically(folder_ / "a", text); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_TRUE(holds(said, "a: cannot be written: ")) << said;
  EXPECT_EQ(files(), 0u);
}

}  // namespace
}  // namespace vitrail
