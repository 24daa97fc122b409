// Frames by pointer, as a camera or a video decoder hands them over: BGR with padded rows.
#include <vitrail/vitrail.h>

#include <cstdio>
#include <vector>

int main() {
  constexpr int kWidth = 320, kHeight = 240, kStride = 1024;
  std::vector<std::uint8_t> memory(kStride * kHeight, 60);
  for (int y = 80; y < 160; ++y)
    for (int x = 120; x < 200; ++x) memory[y * kStride + x * 3 + 2] = 230;  // a red square
  try {
    vit::Session session{vit::Model()};
    const vit::Frame frame{.pixels = memory.data(),
                           .width = kWidth,
                           .height = kHeight,
                           .row_stride = kStride,
                           .order = vit::ChannelOrder::bgr};
    const vit::Prediction best = session.classify(frame, {.top = 1}).top.front();
    std::printf("%s %.2f\n", best.label.value_or("?").c_str(), best.probability);
  } catch (const vit::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
