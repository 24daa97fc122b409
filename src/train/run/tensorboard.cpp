#include "train/run/tensorboard.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>

#include "core/machine.h"
#include "image/codec/codec.h"
#include "train/judge/metrics.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFilePrefix = "events.out.tfevents.";

template <typename T>
void put_little_endian(std::string& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

// The fields of one protocol buffer, in the order in which they are put.
class Message {
 public:
  Message& number(int field, uint64_t value) {
    key(field, 0);
    return varint(value);
  }
  Message& real64(int field, double value) {
    key(field, 1);
    put_little_endian(bytes_, std::bit_cast<uint64_t>(value));
    return *this;
  }
  Message& real32(int field, float value) {
    key(field, 5);
    put_little_endian(bytes_, std::bit_cast<uint32_t>(value));
    return *this;
  }
  Message& bytes(int field, std::string_view value) {
    key(field, 2);
    varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& message(int field, const Message& value) { return bytes(field, value.bytes_); }
  const std::string& text() const { return bytes_; }

 private:
  void key(int field, int wire_type) { varint(static_cast<uint64_t>(field << 3 | wire_type)); }
  Message& varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
    return *this;
  }
  std::string bytes_;
};

Message event(const EventTime& time) {
  Message message;
  message.real64(1, time.seconds);
  // proto3 leaves zeros out.
  if (time.step != 0) message.number(2, static_cast<uint64_t>(time.step));
  return message;
}

constexpr std::array<uint32_t, 256> crc32c_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ ((value & 1) != 0 ? 0x82f63b78u : 0u);
    table[byte] = value;
  }
  return table;
}

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Readers take a folder's files in the order of their names, which begin with the second of their
// making: a file made in the same second as another one counts as made after it.
int64_t second_for_name(const fs::path& folder) {
  auto second = static_cast<int64_t>(now());
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kFilePrefix)) continue;
    int64_t theirs = 0;
    std::from_chars(name.data() + kFilePrefix.size(), name.data() + name.size(), theirs);
    second = std::max(second, theirs + 1);
  }
  return second;
}

}  // namespace

std::string encode_version_event(double seconds) {
  return event({.seconds = seconds}).bytes(3, "brain.Event:2").text();
}

std::string encode_start_event(const EventTime& time) {
  constexpr uint64_t kStart = 1;
  return event(time).message(7, Message().number(1, kStart)).text();
}

std::string encode_scalars_event(const EventTime& time, std::span<const NamedScalar> scalars) {
  Message summary;
  for (const NamedScalar& scalar : scalars)
    summary.message(1, Message().bytes(1, scalar.tag).real32(2, static_cast<float>(scalar.value)));
  return event(time).message(5, summary).text();
}

std::string encode_image_event(const EventTime& time, const std::string& tag, const Image& image) {
  const std::vector<std::byte> png = encode_png(image);
  Message picture;
  picture.number(1, static_cast<uint64_t>(image.height))
      .number(2, static_cast<uint64_t>(image.width))
      .number(3, static_cast<uint64_t>(image.channels))
      .bytes(4, {reinterpret_cast<const char*>(png.data()), png.size()});
  const Message value = Message().bytes(1, tag).message(4, picture);
  return event(time).message(5, Message().message(1, value)).text();
}

uint32_t masked_crc32c(std::string_view bytes) {
  static constexpr std::array<uint32_t, 256> kTable = crc32c_table();
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = kTable[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ crc >> 8;
  return std::rotr(~crc, 15) + 0xa282ead8u;
}

std::string tfrecord(std::string_view payload) {
  std::string record;
  put_little_endian(record, uint64_t{payload.size()});
  put_little_endian(record, masked_crc32c(record));
  record += payload;
  put_little_endian(record, masked_crc32c(payload));
  return record;
}

EventFile::EventFile(const fs::path& folder, int64_t first_step)
    : path_(folder / fmt::format("{}{:010}.{}.{}.0", kFilePrefix, second_for_name(folder),
                                 host_name(), ::getpid())) {
  const double seconds = now();
  append_to_file(path_, tfrecord(encode_version_event(seconds)) +
                            tfrecord(encode_start_event({seconds, first_step})));
}

void EventFile::add(int64_t step, std::span<const NamedScalar> scalars) const {
  append_to_file(path_, tfrecord(encode_scalars_event({now(), step}, scalars)));
}

void EventFile::add(int64_t step, const std::string& tag, const Image& picture) const {
  append_to_file(path_, tfrecord(encode_image_event({now(), step}, tag, picture)));
}

}  // namespace vitrail
