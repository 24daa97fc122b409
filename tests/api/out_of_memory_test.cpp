// Memory and threads that are not there, at any moment: nothing but vit::Error comes out, nothing
// hangs or ends the process, and what was there before works afterwards.
#include <gtest/gtest.h>

#include <functional>

#include "api/small_world.h"
#include "support/allocations.h"
#include "support/failing_threads.h"

namespace vit {
namespace {

using testing::SmallWorld;
using ::vitrail::testing::Failing;
using ::vitrail::testing::FailingAllocations;
using ::vitrail::testing::FailingThreads;

// A value of nlohmann's JSON takes a list of its parts to be destroyed, and its destructor cannot
// say that there was none: where JSON is read or written, only allocations beyond those lists fail.
constexpr size_t kBeyondJson = 4096;

// Runs the call with its n-th allocation failing, for n from 0 on until it needs no more: every one
// of the first hundred, then ever fewer.
void expect_errors_alone(const std::string& name, const std::function<void()>& call,
                         size_t at_least = 0) {
  for (const Failing how : {Failing::once, Failing::from_then_on}) {
    int failed = 0;
    for (int64_t number = 0;; number += std::max<int64_t>(1, number / 50)) {
      SCOPED_TRACE(name + ", allocation " + std::to_string(number));
      // What a test of its own allocates must not fail: nothing is compared in here.
      bool thrown = false, other = false, came_so_far = true;
      ErrorCode code = ErrorCode::bad_input;
      {
        const FailingAllocations failing(number, how, at_least);
        try {
          call();
        } catch (const Error& error) {
          thrown = true;
          code = error.code();
        } catch (...) {
          other = true;
        }
        came_so_far = failing.failed();
      }
      ASSERT_FALSE(other) << "something else than an Error";
      if (thrown) {
        ++failed;
        ASSERT_TRUE(came_so_far) << "an Error with all memory there";
        ASSERT_EQ(code, ErrorCode::out_of_memory);
      }
      if (!came_so_far) break;
      ASSERT_LT(number, 10'000'000);
    }
    EXPECT_GT(failed, 0) << name;
  }
  call();
}

TEST(ApiOutOfMemory, LoadingAModel) {
  const SmallWorld world;
  const std::string path = world.model();
  expect_errors_alone(
      "load", [&] { Model model(path); }, kBeyondJson);
  const auto weights = testing::bytes_of(world.model_folder() / "model.safetensors");
  const std::string config = testing::text_of(world.model_folder() / "config.json");
  expect_errors_alone(
      "load from memory", [&] { Model model(ModelBytes{.weights = weights, .config = config}); },
      kBeyondJson);
}

TEST(ApiOutOfMemory, MakingASession) {
  const SmallWorld world;
  expect_errors_alone(
      "session", [&] { Session session(Model(world.model()), {.threads = 2}); }, kBeyondJson);
}

// What was packed before memory ran out is not packed again, nor lost.
TEST(ApiOutOfMemory, ASessionThatFailedCanBeMadeAgain) {
  const SmallWorld world;
  const std::vector<float> expected =
      Session(Model(world.model())).features(world.picture(0)).values;
  bool failed = true;
  for (int64_t number = 0; failed; number += std::max<int64_t>(1, number / 10)) {
    SCOPED_TRACE(number);
    const Model model(world.model());
    {
      const FailingAllocations failing(number, Failing::once);
      try {
        Session session(model, {.threads = 2});
      } catch (const Error&) {
      }
      failed = failing.failed();
    }
    ASSERT_EQ(Session(model).features(world.picture(0)).values, expected);
  }
}

TEST(ApiOutOfMemory, Answering) {
  const SmallWorld world;
  const Model model(world.model());
  Session session(model, {.threads = 2, .batch = 2});
  const std::vector<Picture> pictures{world.picture(0), world.picture(1), world.picture(2)};
  const std::vector<float> before = session.features(pictures[0]).values;
  // Of one picture the error is thrown; of several it may be one picture's own.
  expect_errors_alone("classify", [&] { (void)session.classify(pictures[0]); });
  expect_errors_alone("classify several", [&] {
    for (const auto& result : session.classify(pictures)) (void)result.value();
  });
  expect_errors_alone("features", [&] {
    for (const auto& result : session.features(pictures)) (void)result.value();
  });
  EXPECT_EQ(session.features(pictures[0]).values, before);
}

TEST(ApiOutOfMemory, Explaining) {
  const SmallWorld world;
  Session session(Model(world.model()), {.threads = 2});
  const Picture picture(world.picture(0));
  expect_errors_alone("explain", [&] { (void)session.explain(picture); });
  const Explanation explanation = session.explain(picture);
  expect_errors_alone("maps", [&] { (void)explanation.attention_maps(0); });
  expect_errors_alone("rollout", [&] { (void)explanation.rollout(); });
  expect_errors_alone("matrix", [&] { (void)explanation.attention_matrix(0, 0); });
  expect_errors_alone(
      "page", [&] { (void)explanation.page(); }, kBeyondJson);
  expect_errors_alone("overlay", [&] { (void)explanation.overlay(); });
  expect_errors_alone(
      "write", [&] { explanation.write_page(world / "page.html"); }, kBeyondJson);
}

TEST(ApiOutOfMemory, Inspecting) {
  const SmallWorld world;
  const Model model(world.model());
  expect_errors_alone("layers", [&] { (void)model.layers(); });
  expect_errors_alone("origins", [&] { (void)model.origins(); });
  const std::string path(300, 'x');
  expect_errors_alone("picture", [&] { Picture picture(path); });
}

// A process that may have no more threads.
TEST(ApiOutOfMemory, ThreadsThatTheSystemDoesNotGive) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer makes the threads itself";
#endif
  const SmallWorld world;
  const Model model(world.model());
  for (const int given : {0, 1, 5}) {
    const FailingThreads failing(given);
    EXPECT_REFUSED(Session(model, {.threads = 8}), out_of_memory, "no more threads");
    EXPECT_REFUSED(Model(world.model(), {.threads = 8}), out_of_memory, "no more threads");
  }
  EXPECT_NO_THROW(Session(model, {.threads = 8}));
}

}  // namespace
}  // namespace vit
