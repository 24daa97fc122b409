// What is published where, and its hashes.
#include "core/error.h"
#include "core/nearest.h"
#include "core/printable.h"
#include "fetch/published_data.h"

namespace vitrail {
namespace {

// Xiao et al., "Fashion-MNIST", 2017. The publisher's site speaks http alone; the hashes make up
// for it.
constexpr const char* kFashion = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/";
constexpr uint64_t kCifarBatchBytes = 30'730'000;

struct Gzip {
  const char* name;
  uint64_t bytes;
  const char *sha256, *md5;
  uint64_t unpacked_bytes;
  const char* unpacked_sha256;
};

PublishedArchive fashion(const Gzip& file) {
  const std::string archive = std::string(file.name) + ".gz";
  return {.name = archive,
          .url = kFashion + archive,
          .bytes = file.bytes,
          .sha256 = file.sha256,
          .md5 = file.md5,
          .kind = ArchiveKind::gzip,
          .files = {{file.name, file.unpacked_bytes, file.unpacked_sha256}}};
}

PublishedDataset fashion_mnist() {
  return {
      .name = "fashion-mnist",
      .source = "https://github.com/zalandoresearch/fashion-mnist",
      .archives = {fashion({"train-images-idx3-ubyte", 26'421'880,
                            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                            "8d4fb7e6c68d591d4c3dfef9ec88bf0d", 47'040'016,
                            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"}),
                   fashion({"train-labels-idx1-ubyte", 29'515,
                            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                            "25c81989df183df01b3e8a0aad5dffbe", 60'008,
                            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"}),
                   fashion({"t10k-images-idx3-ubyte", 4'422'102,
                            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                            "bef4ecab320f06d8554ea6380940ec79", 7'840'016,
                            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"}),
                   fashion({"t10k-labels-idx1-ubyte", 5'148,
                            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                            "bb300cfdad3c16e7a12a480ee83cd310", 10'008,
                            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"})}};
}

// Krizhevsky, "Learning multiple layers of features from tiny images", 2009; the binary version.
PublishedDataset cifar10() {
  const auto batch = [](const char* name, const char* sha256) {
    return UnpackedFile{std::string("cifar-10-batches-bin/") + name, kCifarBatchBytes, sha256};
  };
  return {
      .name = "cifar10",
      .source = "https://www.cs.toronto.edu/~kriz/cifar.html",
      .archives = {
          {.name = "cifar-10-binary.tar.gz",
           .url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
           .bytes = 170'052'171,
           .sha256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
           .md5 = "c32a1d4ab5d03f1284b67883e8d87530",
           .kind = ArchiveKind::tar_gzip,
           .files = {batch("data_batch_1.bin",
                           "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
                     batch("data_batch_2.bin",
                           "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
                     batch("data_batch_3.bin",
                           "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
                     batch("data_batch_4.bin",
                           "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
                     batch("data_batch_5.bin",
                           "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
                     batch("test_batch.bin",
                           "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b")}}}};
}

}  // namespace

const std::vector<PublishedDataset>& published_datasets() {
  static const std::vector<PublishedDataset> sets{fashion_mnist(), cifar10()};
  return sets;
}

const PublishedDataset& published_dataset(const std::string& name) {
  std::vector<std::string> known;
  for (const PublishedDataset& set : published_datasets()) {
    if (set.name == name) return set;
    known.push_back(set.name);
  }
  fail("data", "'{}' is no data set that can be fetched{}", printable(name),
       did_you_mean_or_all(name, known));
}

}  // namespace vitrail
