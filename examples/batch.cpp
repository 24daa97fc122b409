// Many pictures in one call: each has an answer or an error of its own, and one that cannot be read
// costs the others nothing.
//   batch PICTURE...
#include <vitrail/vitrail.h>

#include <cstdio>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: batch PICTURE...\n"), 2;
  std::vector<vit::Picture> pictures(argv + 1, argv + argc);
  pictures.emplace_back("there-is-no-such-file.jpg");
  std::stop_source stop;  // stop.request_stop(), from any thread, ends the call
  try {
    vit::Session session(vit::Model(), {.batch = 4});
    const auto answers = session.classify(
        pictures,
        {.top = 1, .stop = stop.get_token(), .progress = [](std::int64_t done, std::int64_t total) {
           std::fprintf(stderr, "%lld of %lld\n", static_cast<long long>(done),
                        static_cast<long long>(total));
         }});
    for (const vit::Result<vit::Classification>& answer : answers) {
      if (answer)
        std::printf("%s\n", answer->top.front().label.value_or("?").c_str());
      else
        std::printf("not read: %s\n", answer.error().what());
    }
  } catch (const vit::Error& error) {
    if (error.code() == vit::ErrorCode::cancelled) return std::printf("stopped\n"), 0;
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
