// What is this model? Its shape, its costs, and where its settings came from.
//   inspect [PICTURE [MODEL]], of which the picture is not looked at: all examples begin with one
#include <vitrail/vitrail.h>

#include <cstdio>

int main(int argc, char** argv) {
  try {
    vit::set_log_callback([](vit::LogLevel level, const std::string& message) {
      std::printf("%s: %s\n", level == vit::LogLevel::warning ? "warning" : "note",
                  message.c_str());
    });
    const vit::Model model(argc > 2 ? argv[2] : "");
    std::printf("%s: %lld classes, %lld layers of %lld heads, %.1f million parameters\n",
                model.name().c_str(), static_cast<long long>(model.num_classes()),
                static_cast<long long>(model.depth()), static_cast<long long>(model.num_heads()),
                static_cast<double>(model.num_parameters()) * 1e-6);
    std::int64_t multiply_adds = 0;
    for (const vit::Layer& layer : model.layers()) multiply_adds += layer.multiply_adds;
    std::printf("pictures of %dx%d, %.1f million multiply-adds each\n", model.input_size().height,
                model.input_size().width, static_cast<double>(multiply_adds) * 1e-6);
    std::printf("preprocessing: %s\n", model.preprocessing().json.c_str());
  } catch (const vit::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
