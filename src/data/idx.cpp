// MNIST's idx format (LeCun et al., yann.lecun.com/exdb/mnist): big-endian 32-bit magic number
// 0x0000TTDD (T: the type, 08 is u8; D: the number of dimensions), the sizes, the values.
// Fashion-MNIST (Xiao et al., 2017) uses the same files.
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "core/error.h"
#include "core/file.h"
#include "data/sources.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kImagesMagic = 0x00000803;
constexpr uint32_t kLabelsMagic = 0x00000801;
constexpr uint64_t kMaxIdxBytes = uint64_t{4} << 30;
constexpr uint64_t kMaxIdxSide = 4096;
// What a header may announce grows with the file: pictures shrink 2 to 20 times when they are
// compressed, where deflate could shrink zeros 1032 times.
constexpr uint64_t kMaxInflation = 100;
constexpr uint64_t kFreeIdxBytes = uint64_t{64} << 20;
constexpr uint64_t kFirstIdxBytes = uint64_t{16} << 20;

const std::vector<std::string>& class_names(const std::string& kind) {
  static const std::vector<std::string> digits{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
  static const std::vector<std::string> clothes{"T-shirt/top", "Trouser",   "Pullover", "Dress",
                                                "Coat",        "Sandal",    "Shirt",    "Sneaker",
                                                "Bag",         "Ankle boot"};
  return kind == "mnist" ? digits : clothes;
}

// Reads gzipped and plain files alike.
class IdxFile {
 public:
  explicit IdxFile(const fs::path& path) : path_(path.string()) {
    const InputFile file(path);
    file_bytes_ = file.size();
    const int descriptor = file.duplicate();
    file_ = gzdopen(descriptor, "rb");
    if (file_ == nullptr) ::close(descriptor);
    check(file_ != nullptr, "data", "{}: cannot be opened", path_);
  }
  ~IdxFile() { gzclose(file_); }
  IdxFile(const IdxFile&) = delete;
  IdxFile& operator=(const IdxFile&) = delete;

  void read(uint8_t* out, uint64_t bytes) {
    constexpr uint64_t kChunk = uint64_t{1} << 24;
    for (uint64_t done = 0; done < bytes;) {
      const auto wanted = static_cast<unsigned>(std::min(bytes - done, kChunk));
      const int got = gzread(file_, out + done, wanted);
      check(got > 0, "data", "{}: truncated or damaged ({})", path_, reason());
      done += static_cast<uint64_t>(got);
    }
  }
  uint32_t read_u32() {
    std::array<uint8_t, 4> b{};
    read(b.data(), b.size());
    return uint32_t{b[0]} << 24 | uint32_t{b[1]} << 16 | uint32_t{b[2]} << 8 | uint32_t{b[3]};
  }
  void expect_magic(uint32_t magic) {
    const uint32_t found = read_u32();
    check(found == magic, "data", "{}: begins with {:#010x}, where an idx file of {} has {:#010x}",
          path_, found, magic == kImagesMagic ? "pictures" : "labels", magic);
  }
  // The values that the header announces, and not a byte more.
  std::vector<uint8_t> read_rest(uint64_t bytes) {
    check(bytes <= kMaxIdxBytes, "data", "{}: its header announces {} bytes, above the limit of {}",
          path_, bytes, kMaxIdxBytes);
    check(
        bytes <= kFreeIdxBytes || bytes / kMaxInflation <= file_bytes_, "data",
        "{}: its header announces {} bytes, which a file of {} cannot hold (the limit is {} times "
        "its size)",
        path_, bytes, file_bytes_, kMaxInflation);
    // Room is taken as bytes come, so that a header alone costs nothing.
    std::vector<uint8_t> values;
    for (uint64_t done = 0; done < bytes; done = values.size()) {
      values.resize(std::min(bytes, std::max(kFirstIdxBytes, 2 * done)));
      read(values.data() + done, values.size() - done);
    }
    uint8_t extra = 0;
    // Reading on makes zlib meet the end and compare the checksum.
    const int more = gzread(file_, &extra, 1);
    check(more >= 0 && (more > 0 || error_code() == Z_OK), "data", "{}: truncated or damaged ({})",
          path_, reason());
    check(more == 0, "data", "{}: has more bytes than the {} that its header announces", path_,
          bytes);
    return values;
  }
  const std::string& path() const { return path_; }

 private:
  int error_code() const {
    int code = Z_OK;
    gzerror(file_, &code);
    return code;
  }
  std::string reason() const {
    int code = Z_OK;
    const char* message = gzerror(file_, &code);
    return code == Z_OK ? "it ends too early" : message;
  }

  std::string path_;
  uint64_t file_bytes_ = 0;
  gzFile file_ = nullptr;
};

class IdxSource : public Source {
 public:
  explicit IdxSource(const SourceSpec& spec) : spec_(spec), root_(folder_of(spec)) {}

  std::vector<Split> splits() const override {
    std::vector<Split> present;
    for (const Split split : {Split::train, Split::test}) {
      if (!find(stem(split) + kImages).empty()) present.push_back(split);
    }
    return present;
  }

  std::unique_ptr<Dataset> open(Split split) const override {
    MemoryPictures pictures;
    pictures.name = spec_.name;
    pictures.classes = class_names(spec_.kind);
    std::vector<Split> wanted{split};
    if (split == Split::all) wanted = splits();
    if (wanted.empty()) wanted = {Split::train};  // whose absence read() explains
    for (const Split part : wanted) read(part, pictures);
    return memory_dataset(std::move(pictures));
  }

 private:
  static constexpr const char* kImages = "-images-idx3-ubyte";
  static constexpr const char* kLabels = "-labels-idx1-ubyte";
  static std::string stem(Split split) { return split == Split::train ? "train" : "t10k"; }

  // NAME or NAME.gz; empty when there is neither.
  fs::path find(const std::string& name) const {
    for (const std::string& candidate : {name, name + ".gz"}) {
      std::error_code error;
      if (fs::is_regular_file(root_ / candidate, error)) return root_ / candidate;
    }
    return {};
  }
  fs::path demand(const std::string& name) const {
    const fs::path path = find(name);
    check(!path.empty(), "data", "{}: the file {} (or {}.gz) is missing in '{}'", spec_.name, name,
          name, root_.string());
    return path;
  }

  void read(Split part, MemoryPictures& pictures) const {
    IdxFile images(demand(stem(part) + kImages));
    IdxFile labels(demand(stem(part) + kLabels));
    images.expect_magic(kImagesMagic);
    labels.expect_magic(kLabelsMagic);
    const uint64_t count = images.read_u32(), rows = images.read_u32(), columns = images.read_u32();
    const uint64_t label_count = labels.read_u32();
    check(count > 0 && rows > 0 && columns > 0 && rows <= kMaxIdxSide && columns <= kMaxIdxSide,
          "data", "{}: announces {} pictures of {}x{}; sides are 1 to {}", images.path(), count,
          columns, rows, kMaxIdxSide);
    check(count == label_count, "data", "{} has {} pictures, but {} has {} labels", images.path(),
          count, labels.path(), label_count);
    const bool first = pictures.parts.empty();
    const int width = static_cast<int>(columns), height = static_cast<int>(rows);
    check(first || (width == pictures.width && height == pictures.height), "data",
          "{}: pictures of {}x{}, but the training pictures are {}x{}", images.path(), width,
          height, pictures.width, pictures.height);
    pictures.width = width;
    pictures.height = height;
    std::vector<uint8_t> pixels = images.read_rest(count * rows * columns);
    const std::vector<uint8_t> classes = labels.read_rest(label_count);
    for (size_t i = 0; i < classes.size(); ++i) {
      check(classes[i] < pictures.classes.size(), "data",
            "{}: label {} of picture {} is outside 0 to {}", labels.path(), classes[i], i,
            pictures.classes.size() - 1);
    }
    if (first)
      pictures.pixels = std::move(pixels);
    else
      pictures.pixels.insert(pictures.pixels.end(), pixels.begin(), pixels.end());
    pictures.labels.insert(pictures.labels.end(), classes.begin(), classes.end());
    pictures.parts.push_back({name_of(part), static_cast<int64_t>(count)});
  }

  SourceSpec spec_;
  fs::path root_;
};

}  // namespace

std::unique_ptr<Source> idx_source(const SourceSpec& spec) {
  return std::make_unique<IdxSource>(spec);
}

}  // namespace vitrail
