#include "core/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

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
  // It says that it has no bytes.
  EXPECT_EQ(read_file("/proc/self/cmdline", 1 << 20).back(), std::byte{0});
  EXPECT_TRUE(holds(message([&] { read_file("/proc/self/cmdline", 2); }), "limit of 2"));
}

// Opening a pipe waits for its writer, reading a device may never end: nothing of the kind is read.
TEST_F(FileTest, ReadsRegularFilesAlone) {
  const auto pipe = folder_ / "pipe", link = folder_ / "link", socket_path = folder_ / "socket";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::filesystem::create_symlink("pipe", link);
  const int descriptor = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  const std::string near = std::filesystem::proximate(socket_path).string();
  ASSERT_LT(near.size(), sizeof(address.sun_path));
  std::strcpy(address.sun_path, near.c_str());
  ASSERT_EQ(bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  const std::pair<std::filesystem::path, std::string> cases[] = {
      {pipe, "pipe: is a pipe, not a file"},
      {link, "link: is a pipe, not a file"},
      {socket_path, "socket: is a socket, not a file"},
      {"/dev/zero", "/dev/zero: is a device, not a file"},
      {"/dev/null", "is a device"},
      {folder_, "is a directory"},
  };
  for (const auto& [path, said] : cases) {
    EXPECT_TRUE(holds(message([&] { read_file(path, 100); }), said)) << path;
    EXPECT_TRUE(holds(message([&] { InputFile file(path); }), said)) << path;
  }
  close(descriptor);
}

TEST_F(FileTest, NoticesThatAFileChanged) {
  const auto path = folder_ / "a";
  write_file_atomically(path, "0123456789");
  const InputFile file(path);
  file.check_unchanged();
  std::array<std::byte, 4> part{};
  file.read(6, part);
  EXPECT_EQ(std::memcmp(part.data(), "6789", 4), 0);
  EXPECT_TRUE(holds(message([&] { file.read(8, part); }), "truncated"));
  EXPECT_EQ(file.read_some(8, part), 2u);
  // Another file in its place does not matter: this one is still open.
  write_file_atomically(path, "new");
  file.check_unchanged();
  write_file_atomically(path, "0123456789");
  const InputFile again(path);
  std::filesystem::resize_file(path, 7);
  EXPECT_TRUE(holds(message([&] { again.check_unchanged(); }), "was changed while it was in use"));
  EXPECT_TRUE(holds(message([&] { again.read(6, part); }), "had 10 when it was opened"));
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
