#include "formats/npy.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "core/atomic_file.h"
#include "core/error.h"
#include "core/file.h"
#include "core/printable.h"

namespace vitrail {
namespace {

constexpr std::string_view kNpyMagic = "\x93NUMPY";
constexpr size_t kAlignTo = 64;       // NEP 1: the data begins at a multiple of 64
constexpr size_t kGrowthDigits = 21;  // NumPy leaves room for the first axis to grow in place
constexpr uint64_t kMaxNpyBytes = uint64_t{16} << 30;

struct Descriptor {
  DType dtype;
  std::string_view text;
};
constexpr std::array<Descriptor, 9> kDescriptors = {{{DType::f32, "<f4"},
                                                     {DType::f64, "<f8"},
                                                     {DType::f16, "<f2"},
                                                     {DType::i64, "<i8"},
                                                     {DType::i32, "<i4"},
                                                     {DType::i16, "<i2"},
                                                     {DType::i8, "|i1"},
                                                     {DType::u8, "|u1"},
                                                     {DType::boolean, "|b1"}}};

std::string header_of(const Tensor& tensor) {
  const auto* found = std::ranges::find(kDescriptors, tensor.dtype(), &Descriptor::dtype);
  if (found == kDescriptors.end())
    fail("npy", "NumPy has no {}; convert the tensor to f32", name_of(tensor.dtype()));
  const std::string dims =
      fmt::format("{}{}", fmt::join(tensor.shape(), ", "), tensor.rank() == 1 ? "," : "");
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", found->text, dims);
  if (tensor.rank() > 0) text.append(kGrowthDigits - std::to_string(tensor.size(0)).size(), ' ');
  const size_t before = kNpyMagic.size() + 4;
  const size_t used = before + text.size() + 1;
  text.append(kAlignTo - used % kAlignTo, ' ');
  text += '\n';
  std::string header(kNpyMagic);
  header += '\x01';
  header += '\0';
  header += static_cast<char>(text.size() & 0xff);
  header += static_cast<char>(text.size() >> 8);
  return header + text;
}

// Reads the header's Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& place) : text_(text), place_(place) {}

  std::string_view descriptor;
  bool fortran_order = false;
  std::vector<int64_t> dims;

  void parse() {
    std::set<std::string_view> seen;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      if (!seen.insert(key).second) refuse();
      expect(':');
      if (key == "descr") {
        descriptor = quoted();
      } else if (key == "fortran_order") {
        fortran_order = boolean();
      } else if (key == "shape") {
        dims = tuple();
      } else {
        refuse();
      }
      if (!accept(',') && peek() != '}') refuse();
    }
    if (peek() != '\0' || seen.size() != 3) refuse();
  }

 private:
  [[noreturn]] void refuse() const {
    fail("npy", "{}: the header is not a dictionary of descr, fortran_order and shape", place_);
  }
  char peek() {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\n'))
      text_.remove_prefix(1);
    return text_.empty() ? '\0' : text_.front();
  }
  bool accept(char c) {
    if (peek() != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c)) refuse();
  }
  std::string_view quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') refuse();
    const size_t end = text_.find(quote, 1);
    if (end == std::string_view::npos) refuse();
    const std::string_view value = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return value;
  }
  bool boolean() {
    peek();
    for (const auto& [word, value] : {std::pair{"True", true}, std::pair{"False", false}}) {
      if (!text_.starts_with(word)) continue;
      text_.remove_prefix(std::strlen(word));
      return value;
    }
    refuse();
  }
  std::vector<int64_t> tuple() {
    std::vector<int64_t> values;
    expect('(');
    while (!accept(')')) {
      if (values.size() >= Shape::kMaxRank)
        fail("npy", "{}: has more than {} axes", place_, Shape::kMaxRank);
      values.push_back(number());
      if (!accept(',') && peek() != ')') refuse();
    }
    return values;
  }
  int64_t number() {
    int64_t value = 0;
    peek();
    if (text_.empty() || text_.front() < '0' || text_.front() > '9') refuse();
    while (!text_.empty() && text_.front() >= '0' && text_.front() <= '9') {
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text_.front() - '0', &value))
        fail("npy", "{}: a size in the header overflows", place_);
      text_.remove_prefix(1);
    }
    return value;
  }

  std::string_view text_;
  const std::string& place_;
};

// The header's text; `bytes` is moved on to the data.
std::string_view take_header(std::string_view& bytes, const std::string& place) {
  if (!bytes.starts_with(kNpyMagic) || bytes.size() < kNpyMagic.size() + 2)
    fail("npy", "{}: is not a .npy file", place);
  const int version = bytes[kNpyMagic.size()];
  if (version != 1 && version != 2)
    fail("npy", "{}: format version {} is not known; 1 and 2 are", place, version);
  bytes.remove_prefix(kNpyMagic.size() + 2);
  const size_t length_bytes = version == 1 ? 2 : 4;
  uint32_t length = 0;
  if (bytes.size() >= length_bytes) std::memcpy(&length, bytes.data(), length_bytes);
  if (bytes.size() < length_bytes || length > bytes.size() - length_bytes)
    fail("npy", "{}: ends within its header", place);
  if (length > kMaxNpyHeaderBytes)
    fail("npy", "{}: a header of {} bytes is above the limit of {}", place, length,
         kMaxNpyHeaderBytes);
  const std::string_view header = bytes.substr(length_bytes, length);
  bytes.remove_prefix(length_bytes + length);
  return header;
}

}  // namespace

std::string npy_bytes(const Tensor& tensor) {
  std::string bytes = header_of(tensor);
  if (tensor.numel() > 0) bytes.append(static_cast<const char*>(tensor.raw()), tensor.bytes());
  return bytes;
}

void write_npy(const std::filesystem::path& path, const Tensor& tensor) {
  const std::string header = header_of(tensor);
  AtomicFile file(path);
  file.write(header);
  file.write({static_cast<const std::byte*>(tensor.raw()), tensor.bytes()});
  file.commit();
}

NpyLayout npy_layout(std::string_view bytes, const std::string& place) {
  const size_t whole = bytes.size();
  HeaderParser header(take_header(bytes, place), place);
  header.parse();
  const auto* found = std::ranges::find(kDescriptors, header.descriptor, &Descriptor::text);
  if (found == kDescriptors.end())
    fail("npy", "{}: elements of '{}' are not supported", place, printable(header.descriptor, 40));
  const Shape shape{std::span<const int64_t>(header.dims)};
  int64_t needed = 0;
  if (__builtin_mul_overflow(shape.numel(), static_cast<int64_t>(size_of(found->dtype)), &needed) ||
      static_cast<uint64_t>(needed) != bytes.size())
    fail("npy", "{}: {} of {} does not take the {} bytes that follow the header", place,
         shape.str(), found->text, bytes.size());
  return {found->dtype, shape, header.fortran_order, whole - bytes.size()};
}

Tensor parse_npy(std::string_view bytes, const std::string& place) {
  const NpyLayout layout = npy_layout(bytes, place);
  if (layout.fortran_order)
    fail("npy", "{}: is in Fortran order; save a C-ordered array (numpy.ascontiguousarray)", place);
  Tensor tensor = Tensor::empty(layout.shape, layout.dtype);
  if (tensor.bytes() > 0) std::memcpy(tensor.raw(), bytes.data() + layout.begin, tensor.bytes());
  return tensor;
}

Tensor read_npy(const std::filesystem::path& path) {
  const std::vector<std::byte> bytes = read_file(path, kMaxNpyBytes);
  return parse_npy({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
}

}  // namespace vitrail
