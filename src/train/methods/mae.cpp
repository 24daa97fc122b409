#include "train/methods/mae.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/atomic_file.h"
#include "image/codec/codec.h"
#include "image/preprocess/normalize.h"

namespace vitrail {
namespace {

constexpr int64_t kPicturesShown = 8;
constexpr int kGap = 2;          // pixels between pictures
constexpr float kHidden = 0.5f;  // grey

void put(const Image& picture, Image& sheet, int left, int top) {
  for (int y = 0; y < picture.height; ++y)
    std::copy_n(picture.row(y), picture.row_bytes(),
                sheet.row(top + y) + int64_t{left} * sheet.channels);
}

// The pictures with what the mask hides in grey.
Tensor covered(const Tensor& images, const PatchMask& mask, const VitConfig& config,
               const Preprocess& preprocess) {
  Tensor seen = images.clone();
  const int64_t columns = config.grid_width(config.image_width), count = mask.hidden.size(1);
  for (int64_t i = 0; i < mask.hidden.numel(); ++i) {
    const int64_t patch = mask.hidden.data<int64_t>()[i];
    for (int64_t c = 0; c < images.size(1); ++c) {
      const auto channel = static_cast<size_t>(c);
      const auto grey =
          static_cast<float>((kHidden - preprocess.mean[channel]) / preprocess.std[channel]);
      for (int64_t y = 0; y < config.patches.patch_height; ++y) {
        const int64_t row = patch / columns * config.patches.patch_height + y;
        float* first =
            seen.f32() + ((i / count * images.size(1) + c) * images.size(2) + row) * images.size(3);
        std::fill_n(first + patch % columns * config.patches.patch_width,
                    config.patches.patch_width, grey);
      }
    }
  }
  return seen;
}

}  // namespace

MaeMethod::MaeMethod(const MaeConfig& config, MaskSource masks)
    : encoder_(mae_encoder(config.encoder)),
      autoencoder_(encoder_, config),
      masks_(std::move(masks)) {}

MethodLoss MaeMethod::forward(Context& context, const Batch& batch, const StepNumbers& numbers) {
  const TokenLayout layout = model().layout(batch.images.size(2), batch.images.size(3));
  // The step's key rather than the part's: how a batch is parted changes no mask.
  const RandomKey key(context.random.seed, static_cast<uint64_t>(numbers.step));
  const PatchMask mask = masks_ ? masks_(batch, numbers)
                                : random_mask(key, batch.indices, layout.patches(),
                                              autoencoder_.config().num_visible(layout.patches()));
  return {.loss = autoencoder_.loss(context, batch.images, mask)};
}

void MaeMethod::illustrate(Queue& queue, const Batch& batch, const Preprocess& preprocess,
                           const std::filesystem::path& folder) {
  const int64_t count = std::min<int64_t>(kPicturesShown, batch.images.size(0));
  const Tensor images = batch.images.rows(0, count);
  const TokenLayout layout = model().layout(images.size(2), images.size(3));
  // The same patches each time, so that pictures of two evaluations can be compared.
  const PatchMask mask =
      random_mask(RandomKey(0, 0), {batch.indices.begin(), batch.indices.begin() + count},
                  layout.patches(), autoencoder_.config().num_visible(layout.patches()));
  const std::array rows{images, covered(images, mask, encoder_.config(), preprocess),
                        autoencoder_.reconstruct(queue, images, mask)};
  const auto height = static_cast<int>(images.size(2)), width = static_cast<int>(images.size(3));
  Image sheet(static_cast<int>(count) * (width + kGap) - kGap,
              static_cast<int>(rows.size()) * (height + kGap) - kGap,
              static_cast<int>(images.size(1)));
  std::ranges::fill(sheet.pixels, uint8_t{255});
  const int64_t pixels = images.numel() / count;
  for (size_t row = 0; row < rows.size(); ++row)
    for (int64_t i = 0; i < count; ++i)
      put(denormalized(rows[row].f32() + i * pixels, {height, width}, preprocess), sheet,
          static_cast<int>(i) * (width + kGap), static_cast<int>(row) * (height + kGap));
  write_file_atomically(folder / "reconstruction.png", encode_png(sheet));
}

}  // namespace vitrail
