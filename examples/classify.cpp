// What is in a picture? The default model answers; name another one as the second argument.
//   classify PICTURE [MODEL]
#include <vitrail/vitrail.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: classify PICTURE [MODEL]\n"), 2;
  try {
    vit::Session session{vit::Model(argc > 2 ? argv[2] : "")};
    const vit::Classification answer = session.classify(argv[1]);
    if (answer.none) std::printf("none of my classes; the nearest:\n");
    for (const vit::Prediction& p : answer.top)
      std::printf("%6.2f%%  %s\n", 100 * p.probability, p.label.value_or("?").c_str());
  } catch (const vit::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
