#include "api/handles.h"
#include "image/codec/codec.h"

namespace vit {
namespace {

Picture::Path path_of(const char* path) {
  return guarded([&] {
    vitrail::check(path != nullptr, "picture", "the path is a null pointer");
    return std::make_shared<const std::filesystem::path>(path);
  });
}

template <typename Text>
Picture::Path path_of(const Text& path) {
  return guarded([&] { return std::make_shared<const std::filesystem::path>(path); });
}

template <typename Element>
std::span<const std::byte> bytes_of(const Element* data, size_t size) noexcept {
  return std::as_bytes(std::span(data, size));
}

vitrail::ChannelOrder to_internal(ChannelOrder order) {
  switch (order) {
    case ChannelOrder::rgb:
      return vitrail::ChannelOrder::rgb;
    case ChannelOrder::bgr:
      return vitrail::ChannelOrder::bgr;
    case ChannelOrder::rgba:
      return vitrail::ChannelOrder::rgba;
    case ChannelOrder::bgra:
      return vitrail::ChannelOrder::bgra;
    case ChannelOrder::grey:
      return vitrail::ChannelOrder::grey;
  }
  vitrail::fail("picture", "{} is no order of channels", static_cast<int>(order));
}

vitrail::Image read_frame(const Frame& frame, vitrail::ColorMode color) {
  const vitrail::ImageView view{.pixels = frame.pixels,
                                .width = frame.width,
                                .height = frame.height,
                                .row_stride = frame.row_stride,
                                .order = to_internal(frame.order)};
  return color == vitrail::ColorMode::grey ? vitrail::to_grey(view) : vitrail::to_rgb(view);
}

const std::filesystem::path& file_of(const Picture::Path& path) {
  return held(path, "picture");
}

constexpr const char* kInMemory = "picture in memory";

}  // namespace

Picture::Picture(const char* path) : source_(path_of(path)) {}
Picture::Picture(const std::string& path) : source_(path_of(path)) {}
Picture::Picture(const std::filesystem::path& path) : source_(path_of(path)) {}
Picture::Picture(std::span<const std::byte> encoded) noexcept : source_(encoded) {}
Picture::Picture(std::span<const std::uint8_t> encoded) noexcept
    : source_(bytes_of(encoded.data(), encoded.size())) {}
Picture::Picture(const std::vector<std::byte>& encoded) noexcept
    : source_(bytes_of(encoded.data(), encoded.size())) {}
Picture::Picture(const std::vector<std::uint8_t>& encoded) noexcept
    : source_(bytes_of(encoded.data(), encoded.size())) {}
Picture::Picture(const Frame& frame) noexcept : source_(frame) {}

vitrail::Image read_picture(const Picture& picture, const vitrail::DecodeOptions& options) {
  return guarded([&] {
    if (const auto* path = std::get_if<Picture::Path>(&picture.source()))
      return vitrail::load_picture(file_of(*path), options);
    if (const auto* bytes = std::get_if<std::span<const std::byte>>(&picture.source()))
      return vitrail::decode_picture(*bytes, options, kInMemory);
    return read_frame(std::get<Frame>(picture.source()), options.color);
  });
}

vitrail::PreprocessResult write_picture(const Picture& picture,
                                        const vitrail::Preprocess& preprocess, float* out) {
  return guarded([&] {
    if (const auto* path = std::get_if<Picture::Path>(&picture.source()))
      return vitrail::apply_file(file_of(*path), preprocess, out);
    if (const auto* bytes = std::get_if<std::span<const std::byte>>(&picture.source()))
      return vitrail::apply_encoded(*bytes, preprocess, kInMemory, out);
    const vitrail::Image image =
        read_frame(std::get<Frame>(picture.source()), preprocess.decode_options().color);
    return vitrail::apply(image, preprocess, out);
  });
}

vitrail::Session::Pictures pictures_of(std::span<const Picture> pictures,
                                       const vitrail::Preprocess& preprocess) {
  const auto at = [pictures](int64_t i) -> const Picture& {
    return pictures[static_cast<size_t>(i)];
  };
  return {.count = static_cast<int64_t>(pictures.size()),
          .load = [at, options = preprocess.decode_options()](
                      int64_t i) { return read_picture(at(i), options); },
          .write = [at, &preprocess](int64_t i,
                                     float* out) { return write_picture(at(i), preprocess, out); }};
}

}  // namespace vit
