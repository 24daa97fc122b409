// WebP through libwebp; the demuxer finds an animation's first frame.
#include <webp/decode.h>
#include <webp/demux.h>

#include <memory>

#include "image/codec_formats.h"

namespace vitrail {
namespace {

struct DeleteDemuxer {
  void operator()(WebPDemuxer* demuxer) const { WebPDemuxDelete(demuxer); }
};

struct FirstFrame {
  WebPIterator iterator{};
  ~FirstFrame() { WebPDemuxReleaseIterator(&iterator); }
};

}  // namespace

Image decode_webp(const PictureSource& source) {
  const WebPData data{source.data(), source.bytes.size()};
  WebPDemuxState state = WEBP_DEMUX_PARSE_ERROR;
  const std::unique_ptr<WebPDemuxer, DeleteDemuxer> demuxer(WebPDemuxPartial(&data, &state));
  if (!demuxer || state == WEBP_DEMUX_PARSE_ERROR) source.refuse("not a readable WebP");
  const uint32_t width = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_WIDTH);
  const uint32_t height = WebPDemuxGetI(demuxer.get(), WEBP_FF_CANVAS_HEIGHT);
  if (state != WEBP_DEMUX_PARSING_HEADER) source.check_size(width, height);
  if (state != WEBP_DEMUX_DONE) source.refuse("the WebP is truncated");

  FirstFrame frame;
  if (!WebPDemuxGetFrame(demuxer.get(), 1, &frame.iterator)) source.refuse("a WebP without frames");
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) source.refuse("libwebp has another version than its header");

  // A first frame smaller than the canvas leaves the rest black, as Pillow does.
  Image image(static_cast<int>(width), static_cast<int>(height), 3);
  const size_t offset = static_cast<size_t>(frame.iterator.y_offset) * image.row_bytes() +
                        static_cast<size_t>(frame.iterator.x_offset) * 3;
  if (offset >= image.pixels.size()) source.refuse("a WebP whose first frame lies outside it");
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = image.pixels.data() + offset;
  config.output.u.RGBA.stride = static_cast<int>(image.row_bytes());
  config.output.u.RGBA.size = image.pixels.size() - offset;
  const VP8StatusCode status =
      WebPDecode(frame.iterator.fragment.bytes, frame.iterator.fragment.size, &config);
  WebPFreeDecBuffer(&config.output);
  if (status == VP8_STATUS_NOT_ENOUGH_DATA) source.refuse("the WebP is truncated");
  if (status != VP8_STATUS_OK)
    source.refuse("not a readable WebP (libwebp's status {})", static_cast<int>(status));
  return image;
}

}  // namespace vitrail
