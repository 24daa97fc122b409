// Metrics of answers that name several classes, against scikit-learn's
// (golden/tasks/make_multi_label.py).
#include "tasks/multi_label.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "formats/json.h"

namespace vitrail {
namespace {

void expect_near_or_nan(double value, const Json& wanted) {
  if (wanted.is_null())
    EXPECT_TRUE(std::isnan(value));
  else
    EXPECT_NEAR(value, wanted.get<double>(), 1e-12);
}

TEST(MultiLabel, MetricsAreThoseOfScikitLearn) {
  const Json cases =
      read_json(std::string(VITRAIL_SOURCE_DIR) + "/tests/golden/tasks/multi_label.json");
  ASSERT_EQ(cases.size(), 5u);
  for (const Json& one : cases) {
    const auto logits = one["logits"].get<std::vector<std::vector<float>>>();
    const auto truth = one["truth"].get<std::vector<std::vector<int>>>();
    MultiLabelJudge judge(static_cast<int64_t>(logits[0].size()), one["threshold"]);
    for (size_t i = 0; i < logits.size(); ++i) {
      std::vector<int64_t> labels;
      for (size_t c = 0; c < truth[i].size(); ++c)
        if (truth[i][c] == 1) labels.push_back(static_cast<int64_t>(c));
      judge.add(logits[i], labels);
    }
    const MultiLabelScores scores = judge.finish();
    EXPECT_NEAR(scores.mean_average_precision, one["mean_average_precision"], 1e-12);
    EXPECT_NEAR(scores.exact_match(), one["exact_match"], 1e-12);
    EXPECT_NEAR(scores.macro_f1, one["macro_f1"], 1e-12);
    EXPECT_NEAR(scores.micro_f1, one["micro_f1"], 1e-12);
    EXPECT_NEAR(scores.loss, one["loss"], 1e-6);  // log_loss clips probabilities
    for (size_t c = 0; c < scores.classes.size(); ++c) {
      EXPECT_NEAR(scores.classes[c].average_precision, one["average_precision"][c], 1e-12);
      EXPECT_NEAR(scores.classes[c].f1(), one["f1"][c], 1e-12);
      EXPECT_NEAR(scores.classes[c].recall(), one["recall"][c], 1e-12);
      expect_near_or_nan(scores.classes[c].precision(), one["precision"][c]);
    }
  }
}

TEST(MultiLabel, AClassThatNoPictureShowsIsNoPartOfTheMean) {
  MultiLabelJudge judge(3, 0.5);
  judge.add(std::vector<float>{2, -1, -3}, std::vector<int64_t>{0});
  judge.add(std::vector<float>{1, 3, -3}, std::vector<int64_t>{1});
  const MultiLabelScores scores = judge.finish({"a", "b", "c"});
  EXPECT_EQ(scores.classes_shown, 2);
  EXPECT_EQ(scores.mean_average_precision, 1);
  EXPECT_TRUE(std::isnan(scores.classes[2].average_precision));
  EXPECT_EQ(scores.classes[2].name, "c");
  EXPECT_EQ(scores.exact, 1);  // of the second picture a is said too
  EXPECT_TRUE(std::isnan(MultiLabelJudge(2, 0.5).finish().mean_average_precision));
}

TEST(MultiLabel, RefusesWhatIsNoAnswer) {
  MultiLabelJudge judge(1, 0.5);
  EXPECT_THROW(judge.add(std::vector<float>{std::numeric_limits<float>::infinity()}, {}), Error);
  for (const double threshold : {0.0, 1.0, std::nan("")})
    EXPECT_THROW(MultiLabelJudge(1, threshold), Error);
}

}  // namespace
}  // namespace vitrail
