// TIFF through libtiff: the first picture of the file. Strips of interleaved samples are read row
// by row; tiles and separate planes in bands of a tile's height; what only libtiff can turn into
// colours (subsampled YCbCr, JPEG of the old kind) as a whole.
#include "image/codec/tiff_samples.h"
#include "image/codec/turned_reader.h"

#ifdef VITRAIL_TIFF
#include "core/printable.h"
#include "image/codec/jpeg_scans.h"
#include "image/codec/tiff_library.h"
#include "image/codec/whole_reader.h"

namespace vitrail {
namespace {

constexpr uint16_t kYcbcrColor = 6, kRgbColor = 2;
constexpr uint32_t kCorelAlpha = 999;

// The compressions that Pillow has names for.
bool is_known_compression(uint16_t compression) {
  constexpr std::array<uint16_t, 17> kKnown{
      1, 2, 3, 4, 5, 6, 7, 8, 32771, 32773, 32809, 32946, 34676, 34677, 34925, 50000, 50001};
  return std::find(kKnown.begin(), kKnown.end(), compression) != kKnown.end();
}

// What the readers below share: the directory, and what a strip may cost.
struct TiffPicture {
  explicit TiffPicture(const PictureSource& opened) : source(opened), file(opened) {}

  [[noreturn]] void refuse_damaged() const {
    source.refuse("not a readable TIFF: {}", printable(file.message()));
  }
  // A JPEG inside may hold any number of scans over its pixels, and the parts may share one.
  void check_part(uint32_t part) {
    constexpr uint64_t kMaxScans = 16, kMaxWalks = 64;
    if (compression != COMPRESSION_JPEG && compression != COMPRESSION_OJPEG) return;
    const uint64_t offset = file.library().part_offset(file.get(), part);
    const uint64_t bytes = file.library().part_bytes(file.get(), part);
    if (offset > source.bytes.size() || bytes > source.bytes.size() - offset)
      source.refuse("the TIFF is truncated");
    walked += bytes;
    if (walked > kMaxWalks * source.bytes.size())
      source.refuse("a TIFF whose parts share their data, {} bytes in all", walked);
    const uint64_t scans = count_jpeg_scans(source.bytes.subspan(offset, bytes));
    if (scans > kMaxScans)
      source.refuse("a TIFF of a JPEG of {} scans, above the limit of {}", scans, kMaxScans);
  }

  const PictureSource source;
  TiffFile file;
  uint16_t compression = 1;
  bool planes_apart = false;
  uint32_t width = 0, height = 0;
  TiffSamples samples;
  uint64_t walked = 0;
};

class StripReader : public PictureReader {
 public:
  explicit StripReader(std::unique_ptr<TiffPicture> picture) : picture_(std::move(picture)) {
    TiffPicture& p = *picture_;
    set_size(static_cast<int>(p.width), static_cast<int>(p.height), p.samples.channels());
  }
  void begin(const PixelWindow& window) override {
    const TiffPicture& p = *picture_;
    const uint64_t bytes = p.samples.row_bytes(p.width);
    const tmsize_t stored = p.file.library().scanline_bytes(p.file.get());
    if (stored <= 0) p.refuse_damaged();
    if (static_cast<uint64_t>(stored) != bytes)
      p.source.refuse("a TIFF whose rows have {} bytes, expected {}", stored, bytes);
    raw_.resize(bytes);
    rows_per_strip_ = std::max<uint32_t>(p.file.field<uint32_t>(TIFFTAG_ROWSPERSTRIP, p.height), 1);
    while (next_ < window.y0) read_raw();
  }
  void read(uint8_t* const* rows, int count) override {
    for (int i = 0; i < count; ++i) {
      read_raw();
      unpack_tiff_row(picture_->samples, raw_.data(), width(), rows[i]);
    }
  }
  void finish() override {
    while (next_ < height()) read_raw();
  }

 private:
  void read_raw() {
    TiffPicture& p = *picture_;
    const auto row = static_cast<uint32_t>(next_);
    if (row % rows_per_strip_ == 0) p.check_part(row / rows_per_strip_);
    if (p.file.library().read_scanline(p.file.get(), raw_.data(), row, 0) < 0) p.refuse_damaged();
    ++next_;
  }

  const std::unique_ptr<TiffPicture> picture_;
  std::vector<uint8_t> raw_;
  uint32_t rows_per_strip_ = 1;
  int next_ = 0;
};

// Rows of tiles, or of the strips of separate planes.
class BandReader : public PictureReader {
 public:
  explicit BandReader(std::unique_ptr<TiffPicture> picture) : picture_(std::move(picture)) {
    const TiffPicture& p = *picture_;
    set_size(static_cast<int>(p.width), static_cast<int>(p.height), p.samples.channels());
    tiled_ = p.file.library().is_tiled(p.file.get()) != 0;
  }

  void begin(const PixelWindow& window) override {
    TiffPicture& p = *picture_;
    const auto& library = p.file.library();
    tile_width_ = tiled_ ? p.file.field<uint32_t>(TIFFTAG_TILEWIDTH, 0) : p.width;
    band_rows_ = tiled_ ? p.file.field<uint32_t>(TIFFTAG_TILELENGTH, 0)
                        : p.file.field<uint32_t>(TIFFTAG_ROWSPERSTRIP, p.height);
    if (tile_width_ == 0 || band_rows_ == 0) p.source.refuse("a TIFF whose tiles have no pixels");
    if (!tiled_) band_rows_ = std::min(band_rows_, p.height);
    planes_ = p.planes_apart ? p.samples.samples : 1;
    TiffSamples part = p.samples;
    if (planes_ > 1) part.samples = 1;
    part_row_bytes_ = part.row_bytes(tile_width_);
    const tmsize_t stored =
        tiled_ ? library.tile_bytes(p.file.get()) : library.strip_bytes(p.file.get());
    if (stored <= 0) p.refuse_damaged();
    if (static_cast<uint64_t>(stored) != part_row_bytes_ * band_rows_)
      p.source.refuse("a TIFF whose tiles have {} bytes, expected {}", stored,
                      part_row_bytes_ * band_rows_);
    across_ = (p.width + tile_width_ - 1) / tile_width_;
    // The last tile of a row reaches beyond the picture.
    band_row_bytes_ = p.samples.row_bytes(uint64_t{tile_width_} * across_);
    const uint64_t rows = std::min<uint64_t>(band_rows_, p.height);
    memory_ = p.source.take_memory(static_cast<uint64_t>(stored) + band_row_bytes_ * rows);
    part_.resize(static_cast<size_t>(stored));
    band_.resize(band_row_bytes_ * rows);
    next_ = static_cast<uint32_t>(window.y0);
  }

  void read(uint8_t* const* rows, int count) override {
    for (int i = 0; i < count; ++i, ++next_) {
      const uint32_t first = next_ / band_rows_ * band_rows_;
      if (first != loaded_) load_band(first);
      unpack_tiff_row(picture_->samples, band_.data() + band_row_bytes_ * (next_ - first), width(),
                      rows[i]);
    }
  }

  // Damage behind the window counts as well.
  void finish() override {
    for (uint32_t first = next_ / band_rows_ * band_rows_; first < picture_->height;
         first += band_rows_)
      if (first != loaded_) load_band(first);
  }

 private:
  void load_band(uint32_t first) {
    const uint32_t rows = std::min(band_rows_, picture_->height - first);
    for (int plane = 0; plane < planes_; ++plane)
      for (uint32_t tile = 0; tile < across_; ++tile) {
        read_part(first, tile, plane);
        for (uint32_t y = 0; y < rows; ++y) place_row(y, tile, plane);
      }
    loaded_ = first;
  }

  void read_part(uint32_t first, uint32_t tile, int plane) {
    TiffPicture& p = *picture_;
    const auto& library = p.file.library();
    const auto sample = static_cast<uint16_t>(plane);
    const auto bytes = static_cast<tmsize_t>(part_.size());
    tmsize_t read = 0;
    if (tiled_) {
      const uint32_t down = (p.height + band_rows_ - 1) / band_rows_;
      p.check_part((static_cast<uint32_t>(plane) * down + first / band_rows_) * across_ + tile);
      read = library.read_tile(p.file.get(), part_.data(), tile * tile_width_, first, 0, sample);
    } else {
      const uint32_t strip = library.strip_of(p.file.get(), first, sample);
      p.check_part(strip);
      read = library.read_strip(p.file.get(), strip, part_.data(), bytes);
    }
    if (read < 0) p.refuse_damaged();
  }

  void place_row(uint32_t y, uint32_t tile, int plane) {
    const uint8_t* from = part_.data() + part_row_bytes_ * y;
    uint8_t* row = band_.data() + band_row_bytes_ * y;
    if (planes_ == 1) {
      std::copy_n(from, part_row_bytes_, row + part_row_bytes_ * tile);
      return;
    }
    const size_t bytes = picture_->samples.bits == 16 ? 2 : 1;
    const size_t pixel_bytes = bytes * static_cast<size_t>(planes_);
    uint8_t* to =
        row + size_t{tile} * tile_width_ * pixel_bytes + bytes * static_cast<size_t>(plane);
    for (uint32_t x = 0; x < tile_width_; ++x, to += pixel_bytes, from += bytes)
      std::copy_n(from, bytes, to);
  }

  const std::unique_ptr<TiffPicture> picture_;
  PictureMemory memory_;
  bool tiled_ = false;
  int planes_ = 1;
  uint32_t tile_width_ = 0, band_rows_ = 0, across_ = 1, next_ = 0;
  uint32_t loaded_ = UINT32_MAX;  // first row of the band in memory
  uint64_t part_row_bytes_ = 0, band_row_bytes_ = 0;
  std::vector<uint8_t> part_, band_;
};

class RgbaReader : public WholeReader {
 public:
  explicit RgbaReader(std::unique_ptr<TiffPicture> picture) : picture_(std::move(picture)) {
    set_size(static_cast<int>(picture_->width), static_cast<int>(picture_->height), 3);
  }

 protected:
  Image decode() override {
    TiffPicture& p = *picture_;
    const auto& library = p.file.library();
    const uint64_t pixels = uint64_t{p.width} * p.height;
    const PictureMemory memory = p.source.take_memory(7 * pixels);
    for (uint32_t part = 0, count = library.is_tiled(p.file.get()) != 0
                                        ? library.tiles(p.file.get())
                                        : library.strips(p.file.get());
         part < count; ++part)
      p.check_part(part);
    std::array<char, 1024> message{};
    TIFFRGBAImage image;
    if (library.rgba_ok(p.file.get(), message.data()) == 0 ||
        library.rgba_begin(&image, p.file.get(), 0, message.data()) == 0)
      p.source.refuse("not a readable TIFF: {}", printable(message.data()));
    image.orientation = image.req_orientation = ORIENTATION_TOPLEFT;
    image.col_offset = image.row_offset = 0;
    std::vector<uint32_t> raster(pixels);
    const int done = library.rgba_get(&image, raster.data(), p.width, p.height);
    library.rgba_end(&image);
    if (done == 0) p.refuse_damaged();
    Image out(width(), height(), 3);
    for (size_t i = 0; i < raster.size(); ++i)
      for (size_t c = 0; c < 3; ++c)
        out.pixels[3 * i + c] = static_cast<uint8_t>(raster[i] >> (8 * c));
    return out;
  }

 private:
  const std::unique_ptr<TiffPicture> picture_;
};

void read_palette(TiffPicture& picture) {
  uint16_t *red = nullptr, *green = nullptr, *blue = nullptr;
  const auto& library = picture.file.library();
  if (library.get_field(picture.file.get(), TIFFTAG_COLORMAP, &red, &green, &blue) != 1)
    picture.source.refuse("a TIFF of palette colours without a palette");
  for (size_t i = 0; i < size_t{1} << picture.samples.bits; ++i) {
    picture.samples.palette[3 * i] = static_cast<uint8_t>(red[i] >> 8);
    picture.samples.palette[3 * i + 1] = static_cast<uint8_t>(green[i] >> 8);
    picture.samples.palette[3 * i + 2] = static_cast<uint8_t>(blue[i] >> 8);
  }
}

// Reads the directory. True: libtiff has to make the colours.
bool read_directory(TiffPicture& p) {
  const auto& library = p.file.library();
  p.width = p.file.field<uint32_t>(TIFFTAG_IMAGEWIDTH, 0);
  p.height = p.file.field<uint32_t>(TIFFTAG_IMAGELENGTH, 0);
  p.source.check_size(p.width, p.height);
  p.compression = p.file.field<uint16_t>(TIFFTAG_COMPRESSION, 1);
  if (!is_known_compression(p.compression) || library.has_codec(p.compression) == 0)
    p.source.refuse("a TIFF of compression {}, which libtiff or Pillow does not read",
                    p.compression);
  const bool tiled = library.is_tiled(p.file.get()) != 0;
  const uint64_t parts = tiled ? library.tiles(p.file.get()) : library.strips(p.file.get());
  if (parts == 0 || parts > p.source.bytes.size())
    p.source.refuse("declares {} strips or tiles in a file of {} bytes", parts,
                    p.source.bytes.size());
  TiffLayout layout;
  layout.photometric = p.file.field<uint16_t>(TIFFTAG_PHOTOMETRIC, 0);
  if (p.compression == COMPRESSION_OJPEG) layout.photometric = kYcbcrColor;
  layout.bits = p.file.field<uint16_t>(TIFFTAG_BITSPERSAMPLE, 1);
  layout.samples = p.file.field<uint16_t>(TIFFTAG_SAMPLESPERPIXEL, 1);
  layout.sample_format = p.file.field<uint16_t>(TIFFTAG_SAMPLEFORMAT, 1);
  layout.fill_order = p.file.field<uint16_t>(TIFFTAG_FILLORDER, 1);
  layout.compressed = p.compression != COMPRESSION_NONE;
  if (layout.compressed) layout.fill_order = 1;  // libtiff has seen to it
  layout.big_endian = p.source.bytes[0] == std::byte{'M'};
  uint16_t extra_count = 0;
  uint16_t* extra = nullptr;
  if (library.get_field(p.file.get(), TIFFTAG_EXTRASAMPLES, &extra_count, &extra) == 1)
    layout.extra.assign(extra, extra + extra_count);
  for (uint16_t& kind : layout.extra)
    if (kind == kCorelAlpha) kind = EXTRASAMPLE_UNASSALPHA;
  p.planes_apart = p.file.field<uint16_t>(TIFFTAG_PLANARCONFIG, 1) == PLANARCONFIG_SEPARATE &&
                   layout.samples > 1;
  // Separate planes that mean nothing need not be read.
  if (p.planes_apart && !layout.extra.empty() &&
      std::all_of(layout.extra.begin(), layout.extra.end(),
                  [](uint16_t kind) { return kind == 0; })) {
    layout.samples = static_cast<uint16_t>(layout.samples - layout.extra.size());
    layout.extra.clear();
  }
  const bool is_color_jpeg = layout.photometric == kYcbcrColor && layout.samples == 3 &&
                             p.compression == COMPRESSION_JPEG && !p.planes_apart;
  if (is_color_jpeg) {
    library.set_field(p.file.get(), TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
    layout.photometric = kRgbColor;
  }
  p.samples = tiff_samples(layout, p.source);
  if (p.samples.color == TiffColor::palette) read_palette(p);
  return layout.photometric == kYcbcrColor && layout.compressed;
}

}  // namespace

std::unique_ptr<PictureReader> open_tiff(const PictureSource& source) {
  auto picture = std::make_unique<TiffPicture>(source);
  const bool by_library = read_directory(*picture);
  // Pillow turns a TIFF whatever is asked for.
  const int orientation = picture->file.field<uint16_t>(TIFFTAG_ORIENTATION, 1);
  const TiffLibrary& library = picture->file.library();
  // Only rows that stand alone can be read one by one, which is worth it for large strips.
  constexpr tmsize_t kLargeStrip = tmsize_t{8} << 20;
  const bool by_bands = picture->planes_apart || library.is_tiled(picture->file.get()) != 0 ||
                        picture->compression == COMPRESSION_PACKBITS ||
                        picture->compression == COMPRESSION_THUNDERSCAN ||
                        library.strip_bytes(picture->file.get()) <= kLargeStrip;
  std::unique_ptr<PictureReader> reader;
  if (by_library)
    reader = std::make_unique<RgbaReader>(std::move(picture));
  else if (by_bands)
    reader = std::make_unique<BandReader>(std::move(picture));
  else
    reader = std::make_unique<StripReader>(std::move(picture));
  return orientation >= 2 && orientation <= 8 ? turned(std::move(reader), orientation, source)
                                              : std::move(reader);
}

}  // namespace vitrail
#else
namespace vitrail {
std::unique_ptr<PictureReader> open_tiff(const PictureSource& source) {
  source.refuse_as(ErrorCode::unsupported,
                   "is a TIFF, and this Vitrail was built without libtiff (Debian: libtiff-dev)");
}
}  // namespace vitrail
#endif
