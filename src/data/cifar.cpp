// CIFAR-10's binary version (Krizhevsky, www.cs.toronto.edu/~kriz/cifar.html): records of a label
// byte and 3 x 1024 bytes, red, green and blue planes of 32x32.
#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "core/file.h"
#include "data/sources.h"
#include "formats/text_file.h"

namespace vitrail {
namespace {

namespace fs = std::filesystem;

constexpr int kSide = 32;
constexpr size_t kPlane = kSide * kSide;
constexpr size_t kRecord = 1 + 3 * kPlane;
constexpr size_t kNumLabels = 10;
constexpr uint64_t kMaxBatchBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxNamesBytes = 4096;

class CifarSource : public Source {
 public:
  explicit CifarSource(const SourceSpec& spec) : spec_(spec), root_(folder_of(spec)) {
    const fs::path inner = root_ / "cifar-10-batches-bin";
    std::error_code error;
    if (fs::is_directory(inner, error)) root_ = inner;
  }

  std::vector<Split> splits() const override {
    std::vector<Split> present;
    for (const Split split : {Split::train, Split::test}) {
      std::error_code error;
      if (fs::is_regular_file(root_ / files(split)[0], error)) present.push_back(split);
    }
    return present;
  }

  std::unique_ptr<Dataset> open(Split split) const override {
    MemoryPictures pictures;
    pictures.name = spec_.name;
    pictures.classes = class_names();
    pictures.width = pictures.height = kSide;
    pictures.channels = 3;
    std::vector<Split> wanted{split};
    if (split == Split::all) wanted = splits();
    if (wanted.empty()) wanted = {Split::train};  // whose absence read() explains
    for (const Split part : wanted) {
      const size_t before = pictures.labels.size();
      for (const std::string& file : files(part)) read(root_ / file, pictures);
      pictures.parts.push_back(
          {name_of(part), static_cast<int64_t>(pictures.labels.size() - before)});
    }
    return memory_dataset(std::move(pictures));
  }

 private:
  static std::vector<std::string> files(Split split) {
    if (split == Split::test) return {"test_batch.bin"};
    return {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
            "data_batch_5.bin"};
  }

  std::vector<std::string> class_names() const {
    std::vector<std::string> names;
    const fs::path path = root_ / "batches.meta.txt";
    std::error_code error;
    if (!fs::exists(path, error))
      return {"airplane", "automobile", "bird",  "cat",  "deer",
              "dog",      "frog",       "horse", "ship", "truck"};
    const std::string text = read_text_file(path, kMaxNamesBytes);
    for (std::string_view rest = text; !rest.empty();) {
      std::string_view line = take_line(rest);
      while (line.ends_with(' ')) line.remove_suffix(1);
      if (!line.empty()) names.emplace_back(line);
    }
    check(names.size() == kNumLabels, "data", "{}: has {} class names, not {}", path.string(),
          names.size(), kNumLabels);
    return names;
  }

  void read(const fs::path& path, MemoryPictures& pictures) const {
    std::error_code error;
    check(fs::exists(path, error), "data", "{}: the file {} is missing in '{}'", spec_.name,
          path.filename().string(), root_.string());
    const InputFile file(path);
    const uint64_t bytes = file.size();
    check(bytes > 0 && bytes % kRecord == 0 && bytes <= kMaxBatchBytes, "data",
          "{}: {} bytes are no whole number of records of {} bytes (or above the limit of {})",
          path.string(), bytes, kRecord, kMaxBatchBytes);
    std::vector<uint8_t> record(kRecord);
    const size_t count = bytes / kRecord;
    pictures.pixels.reserve(pictures.pixels.size() + count * 3 * kPlane);
    for (size_t i = 0; i < count; ++i) {
      file.read(i * kRecord, std::as_writable_bytes(std::span(record)));
      check(record[0] < kNumLabels, "data", "{}: label {} of record {} is outside 0 to 9",
            path.string(), record[0], i);
      pictures.labels.push_back(record[0]);
      const uint8_t* planes = record.data() + 1;
      for (size_t pixel = 0; pixel < kPlane; ++pixel) {
        for (size_t channel = 0; channel < 3; ++channel)
          pictures.pixels.push_back(planes[channel * kPlane + pixel]);
      }
    }
  }

  SourceSpec spec_;
  fs::path root_;
};

}  // namespace

std::unique_ptr<Source> cifar_source(const SourceSpec& spec) {
  return std::make_unique<CifarSource>(spec);
}

}  // namespace vitrail
