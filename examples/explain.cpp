// Where did the model gather its answer from? Writes a page and an overlay, and prints the patch
// that the answer gathered most from.
//   explain PICTURE
#include <vitrail/vitrail.h>

#include <algorithm>
#include <cstdio>

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: explain PICTURE\n"), 2;
  try {
    vit::Session session{vit::Model()};
    const vit::Explanation explanation = session.explain(argv[1]);
    explanation.write_page("explanation.html");
    explanation.write_overlay("explanation.png");
    const std::vector<float> map = explanation.rollout();
    const auto best = std::max_element(map.begin(), map.end()) - map.begin();
    std::printf("%s: mostly from row %lld, column %lld\n",
                explanation.answer().top.front().label.value_or("?").c_str(),
                static_cast<long long>(best / explanation.grid_width()),
                static_cast<long long>(best % explanation.grid_width()));
  } catch (const vit::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
