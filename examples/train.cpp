// Trains a small model on pictures that Vitrail renders, then classifies with it.
//   train PICTURE
#include <vitrail/vitrail.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: train PICTURE\n"), 2;
  try {
    const vit::TrainResult result =
        vit::train({.data = "scenes:size=32,count=256",
                    .output = "train-example",
                    .settings = {{"epochs", "1"}, {"batch_size", "32"}, {"depth", "2"}}},
                   [](const vit::TrainProgress& p) {
                     std::printf("step %lld of %lld, loss %.3f\n", static_cast<long long>(p.step),
                                 static_cast<long long>(p.steps), p.loss);
                   });
    std::printf("accuracy %.3f on %lld pictures\n", result.accuracy,
                static_cast<long long>(result.evaluated));
    vit::Session session{vit::Model("train-example")};
    std::printf("%s\n",
                session.classify(argv[1], {.top = 1}).top.front().label.value_or("?").c_str());
  } catch (const vit::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
