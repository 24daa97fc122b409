// A model and a picture that lie in memory, as a program would have them that brings its model
// along or gets pictures over a network. Here both are read from files first.
//   embedded PICTURE [MODEL_FOLDER]
#include <vitrail/vitrail.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace {

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: embedded PICTURE [MODEL_FOLDER]\n"), 2;
  try {
    // A model to embed: without one, this program trains it in a second.
    if (argc < 3 && !std::filesystem::exists("embedded-model")) {
      vit::train({.data = "scenes:size=32,count=64",
                  .output = "embedded-model",
                  .settings = {{"epochs", "1"}, {"batch_size", "32"}, {"depth", "1"}}});
    }
    const std::string folder = argc > 2 ? argv[2] : "embedded-model";
    const std::string weights = read(folder + "/model.safetensors");
    const std::string config = read(folder + "/config.json"), picture = read(argv[1]);
    const vit::Model model(vit::ModelBytes{
        .weights = std::as_bytes(std::span(weights)), .config = config, .name = "embedded"});
    vit::Session session(model);
    const auto answer = session.classify(std::as_bytes(std::span(picture)), {.top = 1});
    std::printf("%s: %s\n", model.name().c_str(), answer.top.front().label.value_or("?").c_str());
  } catch (const vit::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
