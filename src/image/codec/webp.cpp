// WebP through libwebp; the demuxer finds an animation's first frame.
#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

#include "image/codec/codec_formats.h"
#include "image/codec/whole_reader.h"

namespace vitrail {
namespace {

struct DeleteDemuxer {
  void operator()(WebPDemuxer* demuxer) const { WebPDemuxDelete(demuxer); }
};

struct FirstFrame {
  WebPIterator iterator{};
  ~FirstFrame() { WebPDemuxReleaseIterator(&iterator); }
};

class WebpReader : public WholeReader {
 public:
  explicit WebpReader(const PictureSource& source) : picture_(source) {}

  void open() {
    const WebPData data{picture_.data(), picture_.bytes.size()};
    WebPDemuxState state = WEBP_DEMUX_PARSE_ERROR;
    demuxer_.reset(WebPDemuxPartial(&data, &state));
    if (!demuxer_ || state == WEBP_DEMUX_PARSE_ERROR) picture_.refuse("not a readable WebP");
    const uint32_t width = WebPDemuxGetI(demuxer_.get(), WEBP_FF_CANVAS_WIDTH);
    const uint32_t height = WebPDemuxGetI(demuxer_.get(), WEBP_FF_CANVAS_HEIGHT);
    if (state != WEBP_DEMUX_PARSING_HEADER) picture_.check_size(width, height);
    if (state != WEBP_DEMUX_DONE) picture_.refuse("the WebP is truncated");
    if (!WebPDemuxGetFrame(demuxer_.get(), 1, &frame_.iterator))
      picture_.refuse("a WebP without frames");
    set_size(static_cast<int>(width), static_cast<int>(height), 3);
  }

 protected:
  Image decode() override {
    const auto& fragment = frame_.iterator.fragment;
    WebPBitstreamFeatures features;
    constexpr int kLossless = 2;
    // Colours, and what libwebp keeps: a lossless frame as a whole, 32 bits a pixel.
    const bool lossless =
        WebPGetFeatures(fragment.bytes, fragment.size, &features) == VP8_STATUS_OK &&
        features.format == kLossless;
    const uint64_t frame_pixels = static_cast<uint64_t>(frame_.iterator.width) *
                                  static_cast<uint64_t>(frame_.iterator.height);
    const auto pixels = static_cast<uint64_t>(width()) * static_cast<uint64_t>(height());
    memory_ = picture_.take_memory(3 * pixels + (lossless ? 4 * frame_pixels : 0));

    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
      picture_.refuse("libwebp has another version than its header");
    // A first frame smaller than the canvas leaves the rest black, as Pillow does.
    Image image(width(), height(), 3);
    const size_t offset = static_cast<size_t>(frame_.iterator.y_offset) * image.row_bytes() +
                          static_cast<size_t>(frame_.iterator.x_offset) * 3;
    if (offset >= image.pixels.size()) picture_.refuse("a WebP whose first frame lies outside it");
    config.output.colorspace = MODE_RGB;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = image.pixels.data() + offset;
    config.output.u.RGBA.stride = static_cast<int>(image.row_bytes());
    config.output.u.RGBA.size = image.pixels.size() - offset;
    const VP8StatusCode status = WebPDecode(fragment.bytes, fragment.size, &config);
    WebPFreeDecBuffer(&config.output);
    if (status == VP8_STATUS_NOT_ENOUGH_DATA) picture_.refuse("the WebP is truncated");
    if (status != VP8_STATUS_OK)
      picture_.refuse("not a readable WebP (libwebp's status {})", static_cast<int>(status));
    return image;
  }

 private:
  const PictureSource picture_;
  PictureMemory memory_;
  std::unique_ptr<WebPDemuxer, DeleteDemuxer> demuxer_;
  FirstFrame frame_;
};

}  // namespace

std::unique_ptr<PictureReader> open_webp(const PictureSource& source) {
  auto reader = std::make_unique<WebpReader>(source);
  reader->open();
  return reader;
}

}  // namespace vitrail
