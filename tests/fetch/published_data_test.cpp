// A data set from its publisher: an archive in CIFAR-10's own layout, from a server of this test's.
#include "fetch/published_data.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "core/error.h"
#include "data/dataset.h"
#include "fetch/digest.h"
#include "support/temporary_folder.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

// Answers every request with one body, a connection each.
class OneFileServer {
 public:
  explicit OneFileServer(std::string body)
      : body_(std::move(body)), socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::listen(socket_, 8) != 0 ||
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no server");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~OneFileServer() {
    ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    ::close(socket_);
  }
  std::string address() const { return fmt::format("http://127.0.0.1:{}", port_); }

 private:
  void serve() const {
    for (int client; (client = ::accept(socket_, nullptr, nullptr)) >= 0; ::close(client)) {
      std::string request;
      char part[512];
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t got = ::recv(client, part, sizeof(part), 0);
        if (got <= 0) break;
        request.append(part, static_cast<size_t>(got));
      }
      std::string answer = fmt::format(
          "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body_.size());
      if (!request.starts_with("HEAD")) answer += body_;
      for (size_t sent = 0; sent < answer.size();) {
        const ssize_t now =
            ::send(client, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
        if (now <= 0) break;
        sent += static_cast<size_t>(now);
      }
    }
  }

  const std::string body_;
  int socket_;
  int port_ = 0;
  std::thread thread_;
};

// ustar: a header of 512 bytes, the content, zeros to the next 512.
std::string tar_entry(const std::string& name, const std::string& content, char kind = '0') {
  std::string header(512, '\0');
  const auto put = [&](size_t at, const std::string& text) {
    header.replace(at, text.size(), text);
  };
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", content.size()));
  put(136, "00000000000");
  put(148, "        ");
  header[156] = kind;
  put(257, std::string("ustar\00000", 8));
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  std::string padded = content;
  padded.resize((content.size() + 511) / 512 * 512, '\0');
  return header + padded;
}

std::string gzipped(const std::string& content, const fs::path& scratch) {
  gzFile file = gzopen(scratch.c_str(), "wb");
  gzwrite(file, content.data(), static_cast<unsigned>(content.size()));
  gzclose(file);
  std::ifstream in(scratch, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

template <DigestKind kind>
std::string digest_of(const std::string& content) {
  Digest digest(kind);
  digest.update(std::string_view(content));
  return digest.hex();
}

// Two pictures of one colour: labels `first` and `first + 1`.
std::string cifar_batch(int first) {
  std::string batch;
  for (int i = 0; i < 2; ++i) {
    batch += static_cast<char>(first + i);
    for (const int shade : {10 * first, 100, i}) batch.append(1024, static_cast<char>(shade));
  }
  return batch;
}

// The published set with other content in the publisher's layout.
struct SmallCifar {
  PublishedDataset set = published_dataset("cifar10");
  std::string archive;

  explicit SmallCifar(const TemporaryFolder& folder) {
    PublishedArchive& published = set.archives.front();
    // As in the original, other files and the folder itself come along.
    std::string tar = tar_entry("cifar-10-batches-bin/", "", '5');
    tar += tar_entry("cifar-10-batches-bin/readme.html", "<html>");
    int number = 0;
    for (UnpackedFile& file : published.files) {
      const std::string content = cifar_batch(number++);
      file.bytes = content.size();
      file.sha256 = digest_of<DigestKind::sha256>(content);
      tar += tar_entry(file.name, content);
    }
    tar.append(1024, '\0');
    archive = gzipped(tar, folder / "scratch");
    published.bytes = archive.size();
    published.sha256 = digest_of<DigestKind::sha256>(archive);
    published.md5 = digest_of<DigestKind::md5>(archive);
  }
};

class PublishedCifar : public ::testing::Test {
 protected:
  void SetUp() override { ::setenv("no_proxy", "127.0.0.1", 1); }
  TemporaryFolder folder_;
  SmallCifar small_{folder_};
  fs::path out_ = folder_ / "set";
};

TEST_F(PublishedCifar, TheArchiveBecomesTheDataSet) {
  const OneFileServer server(small_.archive);
  small_.set.archives[0].url = server.address() + "/cifar-10-binary.tar.gz";
  EXPECT_EQ(fetch_dataset(small_.set, out_, {}),
            std::vector<std::string>{"cifar-10-binary.tar.gz"});
  std::vector<std::string> left;
  for (const auto& entry : fs::recursive_directory_iterator(out_))
    if (entry.is_regular_file()) left.push_back(entry.path().filename().string());
  std::ranges::sort(left);
  EXPECT_EQ(left,
            (std::vector<std::string>{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                                      "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"}));
  const std::string spec = "cifar10:" + out_.string();
  const auto train = open_dataset(spec, Split::train, {.val_fraction = 0});
  const auto test = open_dataset(spec, Split::test);
  ASSERT_EQ(train->size(), 10);
  ASSERT_EQ(test->size(), 2);
  const Sample last = test->get(1);
  EXPECT_EQ(last.label, 6);
  EXPECT_EQ(last.image.pixels[0], 50);
  EXPECT_EQ(last.image.pixels[1], 100);
  EXPECT_EQ(last.image.pixels[2], 1);
  // What is there is not fetched again; what was changed is.
  EXPECT_TRUE(fetch_dataset(small_.set, out_, {}).empty());
  std::ofstream(out_ / "cifar-10-batches-bin/data_batch_3.bin") << "damaged";
  EXPECT_EQ(fetch_dataset(small_.set, out_, {}).size(), 1u);
  EXPECT_EQ(open_dataset(spec, Split::train, {.val_fraction = 0})->size(), 10);
}

TEST_F(PublishedCifar, AMirrorsOwnArchiveIsHeldToItsContent) {
  const OneFileServer server(small_.archive);
  small_.set.archives[0].md5 = small_.set.archives[0].sha256 = "";  // packed anew
  fetch_dataset(small_.set, out_, {.mirror = server.address()});
  EXPECT_TRUE(fs::exists(out_ / "cifar-10-batches-bin/test_batch.bin"));
}

TEST_F(PublishedCifar, AnotherArchiveLeavesNothing) {
  const OneFileServer server(small_.archive);
  small_.set.archives[0].url = server.address() + "/cifar-10-binary.tar.gz";
  small_.set.archives[0].sha256[0] ^= 1;
  EXPECT_THROW(fetch_dataset(small_.set, out_, {}), Error);
  EXPECT_TRUE(fs::is_empty(out_));
  // Its bytes are those published, and one of the files within is not.
  small_.set.archives[0].sha256[0] ^= 1;
  small_.set.archives[0].files[5].sha256[0] ^= 1;
  EXPECT_THROW(fetch_dataset(small_.set, out_, {}), Error);
  EXPECT_TRUE(fs::is_empty(out_));
}

}  // namespace
}  // namespace vitrail
