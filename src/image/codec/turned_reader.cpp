#include "image/codec/turned_reader.h"

#include "image/codec/whole_reader.h"

namespace vitrail {
namespace {

constexpr int kRows = 16;  // decoded at once

// Room for some rows of a reader.
class RowRoom {
 public:
  explicit RowRoom(const PictureReader& reader) {
    const size_t bytes =
        static_cast<size_t>(reader.width()) * static_cast<size_t>(reader.channels());
    pixels_.resize(bytes * kRows);
    for (int i = 0; i < kRows; ++i) rows_[i] = pixels_.data() + static_cast<size_t>(i) * bytes;
  }
  uint8_t* const* rows() { return rows_; }

 private:
  std::vector<uint8_t> pixels_;
  uint8_t* rows_[kRows];
};

class TurnedReader : public WholeReader {
 public:
  TurnedReader(std::unique_ptr<PictureReader> reader, int orientation, const PictureSource& source)
      : reader_(std::move(reader)), orientation_(orientation), source_(source) {
    const bool across = orientation >= 5;
    set_size(across ? reader_->height() : reader_->width(),
             across ? reader_->width() : reader_->height(), reader_->channels());
  }

 protected:
  Image decode() override {
    const auto channels = static_cast<size_t>(this->channels());
    memory_ = source_.take_memory(static_cast<uint64_t>(width()) * static_cast<uint64_t>(height()) *
                                  channels);
    Image out(width(), height(), this->channels());
    const TurnedPlaces places = turned_places(reader_->width(), reader_->height(), orientation_);
    RowRoom room(*reader_);
    reader_->begin({0, 0, reader_->width(), reader_->height()});
    for (int y = 0; y < reader_->height(); y += kRows) {
      const int count = std::min(kRows, reader_->height() - y);
      reader_->read(room.rows(), count);
      for (int x = 0; x < reader_->width(); ++x)
        for (int i = 0; i < count; ++i)
          std::copy_n(room.rows()[i] + static_cast<size_t>(x) * channels, channels,
                      out.pixels.data() + static_cast<size_t>(places.at(y + i, x)) * channels);
    }
    reader_->finish();
    return out;
  }

 private:
  const std::unique_ptr<PictureReader> reader_;
  const int orientation_;
  const PictureSource source_;
  PictureMemory memory_;
};

class GreyReader : public PictureReader {
 public:
  explicit GreyReader(std::unique_ptr<PictureReader> reader)
      : reader_(std::move(reader)), room_(*reader_) {
    set_size(reader_->width(), reader_->height(), 1);
  }
  void begin(const PixelWindow& window) override {
    window_ = window;
    reader_->begin(window);
  }
  void read(uint8_t* const* rows, int count) override {
    for (int done = 0; done < count; done += kRows) {
      const int part = std::min(kRows, count - done);
      reader_->read(room_.rows(), part);
      for (int i = 0; i < part; ++i)
        row_to_grey(room_.rows()[i] + ptrdiff_t{3} * window_.x0, window_.x1 - window_.x0,
                    rows[done + i] + window_.x0);
    }
  }
  void finish() override { reader_->finish(); }

 private:
  const std::unique_ptr<PictureReader> reader_;
  RowRoom room_;
  PixelWindow window_;
};

}  // namespace

std::unique_ptr<PictureReader> turned(std::unique_ptr<PictureReader> reader, int orientation,
                                      const PictureSource& source) {
  return std::make_unique<TurnedReader>(std::move(reader), orientation, source);
}

std::unique_ptr<PictureReader> in_grey(std::unique_ptr<PictureReader> reader) {
  return std::make_unique<GreyReader>(std::move(reader));
}

}  // namespace vitrail
