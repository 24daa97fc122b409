#include "ops/losses.h"

#include <gtest/gtest.h>

#include "kernels/reference/losses.h"
#include "support/gradient_check.h"

namespace vitrail {
namespace {

using testing::check_gradients;
using testing::Operands;
using testing::random_tensor;
using testing::sum_tolerance;
using testing::to_double;

TEST(Losses, GradientsMatchDifferences) {
  const Tensor teacher = random_tensor({3, 7}, 1, -4, 4), target = random_tensor({2, 3, 5}, 2);
  for (const double temperature : {1.0, 3.0}) {
    Operands divergence({{3, 7}});
    check_gradients(divergence, [&](const Context& context, const Operands& o) {
      return kl_divergence(context, o.inputs[0], teacher, temperature);
    });
  }
  Operands squares({{2, 3, 5}});
  check_gradients(squares, [&](const Context& context, const Operands& o) {
    return mean_squared_error(context, o.inputs[0], target);
  });
}

TEST(Losses, MatchTheOracles) {
  Queue queue(1);
  const Context context(queue);
  for (const int64_t classes : {1, 2, 10, 1000}) {
    const Tensor logits = random_tensor({5, classes}, 3, -6, 6);
    const Tensor teacher = random_tensor({5, classes}, 4, -6, 6);
    for (const double temperature : {0.5, 1.0, 4.0}) {
      double want = 0;
      for (const double row : kernels::reference::kl_divergence(
               to_double(logits.values()), to_double(teacher.values()), classes, temperature))
        want += row / 5;
      // The divergence is a difference of two sums of the logits' size.
      EXPECT_NEAR(kl_divergence(context, logits, teacher, temperature).value().f32()[0], want,
                  temperature * temperature * 12 / temperature * sum_tolerance(classes));
    }
  }
  const Tensor a = random_tensor({3, 11, 13}, 5), b = random_tensor({3, 11, 13}, 6);
  const double want =
      kernels::reference::mean_squared_error(to_double(a.values()), to_double(b.values()));
  EXPECT_NEAR(mean_squared_error(context, a, b).value().f32()[0], want,
              want * sum_tolerance(a.numel()));
}

TEST(Losses, AStudentThatAgreesCostsNothing) {
  Queue queue(1);
  const Context context(queue);
  const Tensor logits = random_tensor({4, 10}, 7, -3, 3);
  EXPECT_NEAR(kl_divergence(context, logits, logits, 2).value().f32()[0], 0, 1e-6);
}

TEST(Losses, RefuseWhatDoesNotFit) {
  Queue queue(1);
  const Context context(queue);
  const Tensor logits = Tensor::zeros({2, 5});
  EXPECT_THROW(kl_divergence(context, logits, Tensor::zeros({2, 4}), 1), Error);
  EXPECT_THROW(kl_divergence(context, logits, logits, 0), Error);
  EXPECT_THROW(mean_squared_error(context, logits, Tensor::zeros({5, 2})), Error);
  EXPECT_THROW(mean_squared_error(context, Tensor::zeros({0, 5}), Tensor::zeros({0, 5})), Error);
}

}  // namespace
}  // namespace vitrail
