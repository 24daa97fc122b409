// One model, several sessions at once: each with its own thread and memory, the same answers.
//   concurrent PICTURE
#include <vitrail/vitrail.h>

#include <cstdio>
#include <thread>
#include <vector>

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: concurrent PICTURE\n"), 2;
  try {
    const vit::Model model;
    std::vector<float> logits(2);
    {
      std::vector<std::jthread> threads;
      for (float& logit : logits)
        threads.emplace_back([&] {
          vit::Session session(model, {.threads = 1});
          for (int i = 0; i < 10; ++i)
            logit = session.classify(argv[1], {.top = 1}).top.front().logit;
        });
    }
    std::printf("%.6f %.6f\n", logits[0], logits[1]);
    return logits[0] == logits[1] ? 0 : 1;
  } catch (const vit::Error& error) {
    return std::fprintf(stderr, "%s\n", error.what()), 1;
  }
}
