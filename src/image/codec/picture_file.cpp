// The bytes of pictures: files, and the one picture that standard input may be.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "core/error.h"
#include "core/file.h"
#include "core/printable.h"
#include "image/codec/codec.h"
#include "image/codec/picture_reader.h"

namespace vitrail {
namespace {

std::vector<std::byte>& kept() {
  static std::vector<std::byte> bytes;
  return bytes;
}

std::vector<std::byte> read_standard_input() {
  constexpr size_t kStep = size_t{1} << 16;
  std::vector<std::byte> bytes;
  for (;;) {
    const size_t filled = bytes.size();
    bytes.resize(filled + kStep);
    const ssize_t got = ::read(STDIN_FILENO, bytes.data() + filled, kStep);
    const int error = errno;
    bytes.resize(filled + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return bytes;
    if (got < 0 && error != EINTR)
      fail("picture", "standard input cannot be read: {}", std::generic_category().message(error));
    if (bytes.size() > kMaxPictureFileBytes)
      fail("picture", "standard input has more bytes than the limit of {}", kMaxPictureFileBytes);
  }
}

}  // namespace

void keep_standard_input_picture() {
  if (!kept().empty()) return;
  if (::isatty(STDIN_FILENO) == 1)
    fail("picture",
         "- is the picture on standard input, which is a terminal; write '- < photo.jpg'");
  kept() = read_standard_input();
  if (kept().empty()) fail("picture", "- is the picture on standard input, and nothing came there");
}

std::vector<std::byte> read_picture_file(const std::filesystem::path& path,
                                         const DecodeOptions& options) {
  if (path == kStandardInputPicture && !kept().empty()) {
    if (kept().size() > options.max_file_bytes)
      fail(ErrorCode::too_large, "picture", "standard input has {} bytes, above the limit of {}",
           kept().size(), options.max_file_bytes);
    return kept();
  }
  try {
    return read_file(path, options.max_file_bytes);
  } catch (const Error& error) {
    // The same place as every other trouble with a picture; the message already names the file.
    std::string message = error.what();
    message.erase(0, std::min(message.size(), error.place().size() + 3));
    throw Error("picture", message, error.code());
  }
}

}  // namespace vitrail
