// How alike are two pictures? The cosine of their class-token features.
//   features PICTURE [OTHER_PICTURE]
#include <vitrail/vitrail.h>

#include <cmath>
#include <cstdio>
#include <numeric>
#include <vector>

namespace {

double dot(const std::vector<float>& a, const std::vector<float>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: features PICTURE [OTHER_PICTURE]\n"), 2;
  try {
    vit::Session session{vit::Model()};
    const std::vector<float> a = session.features(argv[1]).values;
    const std::vector<float> b = session.features(argv[argc > 2 ? 2 : 1]).values;
    std::printf("%zu features, cosine %.4f\n", a.size(),
                dot(a, b) / std::sqrt(dot(a, a) * dot(b, b)));
    const vit::Features patches =
        session.features(argv[1], {.kind = vit::FeatureOptions::Kind::patches, .layer = -1});
    std::printf("patch grid %lldx%lld\n", static_cast<long long>(patches.shape[0]),
                static_cast<long long>(patches.shape[1]));
  } catch (const vit::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
