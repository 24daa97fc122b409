#include "fetch/digest.h"

#include <openssl/evp.h>

#include <array>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "core/lazy_library.h"

namespace vitrail {
namespace {

struct Crypto {
  decltype(EVP_MD_CTX_new)* context_new;
  decltype(EVP_MD_CTX_free)* context_free;
  decltype(EVP_DigestInit_ex)* init;
  decltype(EVP_DigestUpdate)* update;
  decltype(EVP_DigestFinal_ex)* final;
  decltype(EVP_md5)* md5;
  decltype(EVP_sha1)* sha1;
  decltype(EVP_sha256)* sha256;

  Crypto() {
    const LazyLibrary library(VITRAIL_CRYPTO, "fetch", "fetching needs it");
    library.find(context_new, "EVP_MD_CTX_new");
    library.find(context_free, "EVP_MD_CTX_free");
    library.find(init, "EVP_DigestInit_ex");
    library.find(update, "EVP_DigestUpdate");
    library.find(final, "EVP_DigestFinal_ex");
    library.find(md5, "EVP_md5");
    library.find(sha1, "EVP_sha1");
    library.find(sha256, "EVP_sha256");
  }
};

const Crypto& crypto() {
  static const Crypto library;
  return library;
}

const EVP_MD* algorithm(DigestKind kind) {
  switch (kind) {
    case DigestKind::md5:
      return crypto().md5();
    case DigestKind::sha1:
      return crypto().sha1();
    case DigestKind::sha256:
      return crypto().sha256();
  }
  return nullptr;
}

void add_file(Digest& digest, const std::filesystem::path& path) {
  const InputFile file(path);
  std::vector<std::byte> block(size_t{1} << 20);
  uint64_t offset = 0;
  while (const size_t got = file.read_some(offset, block)) {
    digest.update(std::span<const std::byte>(block).first(got));
    offset += got;
  }
}

}  // namespace

struct Digest::State {
  std::unique_ptr<EVP_MD_CTX, decltype(EVP_MD_CTX_free)*> context{crypto().context_new(),
                                                                  crypto().context_free};
};

Digest::Digest(DigestKind kind) : state_(std::make_unique<State>()) {
  check(crypto().init(state_->context.get(), algorithm(kind), nullptr) == 1, "fetch",
        "the system's libcrypto refuses this checksum");
}

Digest::~Digest() = default;

void Digest::update(std::span<const std::byte> bytes) {
  crypto().update(state_->context.get(), bytes.data(), bytes.size());
}

void Digest::update(std::string_view text) {
  update(std::as_bytes(std::span(text.data(), text.size())));
}

std::string Digest::hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned size = 0;
  crypto().final(state_->context.get(), bytes.data(), &size);
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

std::string file_digest(const std::filesystem::path& path, DigestKind kind) {
  Digest digest(kind);
  add_file(digest, path);
  return digest.hex();
}

std::string git_blob_digest(const std::filesystem::path& path) {
  Digest digest(DigestKind::sha1);
  digest.update(fmt::format("blob {}", std::filesystem::file_size(path)));
  digest.update(std::string_view("\0", 1));
  add_file(digest, path);
  return digest.hex();
}

}  // namespace vitrail
