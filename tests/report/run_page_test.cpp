// The page of a run: what is read from a folder, leniently, and what the page carries.
#include "report/run_page.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "report/run_charts.h"
#include "report/run_report.h"
#include "support/temporary_folder.h"
#include "train/run/trainer.h"

namespace vitrail {
namespace {

using nlohmann::json;
using testing::TemporaryFolder;

class RunFolder : public ::testing::Test {
 protected:
  RunFolder() : folder_("run") {}

  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
  }
  RunRecord read() { return read_run(folder_.path()); }

  TemporaryFolder folder_;
};

json run_data_of(const std::string& html) {
  const std::string open = "<script type=\"application/json\" id=\"data\">";
  const size_t begin = html.find(open) + open.size();
  return json::parse(html.substr(begin, html.find("</script>", begin) - begin));
}

const json& chart(const json& curves, const std::string& id) {
  static const json kNone;
  for (const json& candidate : curves.at("charts"))
    if (candidate.at("id") == id) return candidate;
  return kNone;
}

TEST_F(RunFolder, IsNoneWithoutAConfiguration) {
  try {
    read();
    FAIL() << "read";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("holds no run"), std::string::npos);
  }
  write("train.json", "{broken");
  EXPECT_THROW(read(), Error);
  write("train.json", "[1]");
  EXPECT_THROW(read(), Error);
}

// Lines of a log, and the run's own configuration, may be nested as deep as their bytes allow.
TEST_F(RunFolder, LinesNestedWithoutEndAreLeftOut) {
  constexpr size_t kDeep = 100'000;
  const std::string lists = std::string(kDeep, '[') + std::string(kDeep, ']');
  std::string objects;
  for (size_t i = 0; i < kDeep; ++i) objects += "{\"a\":";
  objects += "1" + std::string(kDeep, '}');
  write("train.json", R"({"epochs":3,"batch_size":10})");
  for (const char* name : {"machine.jsonl", "metrics.jsonl"})
    write(name, lists + "\n" + objects + "\n" + R"({"isa":)" + lists + "}\n" +
                    R"({"kind":"step","step":2,"epoch":0,"loss":2.5,"seconds":1,"isa":"avx2"})" +
                    "\n");
  const RunRecord record = read();
  EXPECT_EQ(record.processes.size(), 1u);
  EXPECT_EQ(record.steps.size(), 1u);
  EXPECT_FALSE(run_data_of(run_page({.name = "deep", .record = record})).empty());
  write("train.json", lists);
  EXPECT_THROW(read(), Error);
}

TEST_F(RunFolder, WaitsWithoutMetrics) {
  write("train.json", R"({"epochs":"many","batch_size":8})");
  const RunRecord record = read();
  EXPECT_EQ(record.state, RunState::waiting);
  EXPECT_EQ(record.epochs_planned(), 0);
  EXPECT_EQ(record.last_step(), 0);
  EXPECT_EQ(record.median_speed(), 0);
  const json data = run_data_of(run_page({.name = "young", .record = record}));
  EXPECT_TRUE(data.at("curves").at("charts").empty());
  EXPECT_EQ(data.at("state").at("state"), "stopped");
}

TEST_F(RunFolder, ReadsWhatIsSoundAndLeavesTheRest) {
  write("train.json", R"({"epochs":3,"batch_size":10})");
  write(
      "metrics.jsonl",
      R"({"kind":"step","step":2,"epoch":0,"loss":2.5,"accuracy":0.1,"seconds":1})"
      "\n"
      R"(not json)"
      "\n"
      R"({"kind":"step","step":"two"})"
      "\n"
      R"({"kind":"spike","step":3,"message":"loss 50 after 2"})"
      "\n"
      R"({"kind":"step","step":4,"epoch":0,"loss":null,"new_number":7,"seconds":2})"
      "\n"
      R"({"kind":"epoch","step":4,"epoch":0,"loss":2,"seconds":12,"val":{"loss":1.5,"accuracy":0.5}})"
      "\n"
      R"({"kind":"step","step":6,"epoch":1,"loss":1.5,"seconds":14})"
      "\n"
      R"({"kind":"step","step":8,)");
  const RunRecord record = read();
  ASSERT_EQ(record.steps.size(), 3u);
  ASSERT_EQ(record.epochs.size(), 1u);
  ASSERT_EQ(record.events.size(), 1u);
  EXPECT_EQ(record.events[0].text, "loss 50 after 2");
  EXPECT_TRUE(std::isnan(record.steps[1].values.at("loss")));
  EXPECT_EQ(record.steps_per_epoch, 4);
  EXPECT_EQ(record.state, RunState::stopped);
  EXPECT_FALSE(record.diverged);
  EXPECT_EQ(record.seconds(), 14);
  // 2 steps of 10 pictures in a second; the ten seconds of the evaluation are not training.
  EXPECT_DOUBLE_EQ(record.steps[0].values.at("pictures_per_second"), 20);
  EXPECT_DOUBLE_EQ(record.steps[1].values.at("pictures_per_second"), 20);
  EXPECT_DOUBLE_EQ(record.steps[2].values.at("pictures_per_second"), 10);

  const json curves = run_charts(record);
  const json& loss = chart(curves, "loss");
  ASSERT_EQ(loss.at("series").size(), 2u);
  EXPECT_EQ(loss.at("series")[0].at("steps"), json({2, 4, 6}));
  EXPECT_EQ(loss.at("series")[1].at("name"), "validation");
  EXPECT_EQ(chart(curves, "new_number").at("series")[0].at("values"), json({7}));
  EXPECT_EQ(curves.at("marks")[0].at("step"), 3);
}

TEST_F(RunFolder, ADivergedRunSaysSo) {
  write("train.json", R"({"epochs":3})");
  write("metrics.jsonl", R"({"kind":"step","step":2,"epoch":0,"loss":null})");
  EXPECT_TRUE(read().diverged);
  const json data = run_data_of(run_page({.name = "nan", .record = read()}));
  EXPECT_EQ(data.at("state").at("state"), "diverged");
  EXPECT_TRUE(chart(data.at("curves"), "loss").at("series")[0].at("values")[0].is_null());
}

TEST_F(RunFolder, GradientsThatWereNotFiniteAreADivergedRunToo) {
  write("train.json", R"({"epochs":3})");
  write(
      "metrics.jsonl",
      R"({"kind":"step","step":2,"epoch":0,"loss":1})"
      "\n"
      R"({"kind":"skipped","step":3,"epoch":0,"loss":9e6,"gradient_norm":null,"reason":"not finite"})"
      "\n");
  EXPECT_TRUE(read().diverged);
}

TEST_F(RunFolder, SkippedStepsAreMarks) {
  write("train.json", R"({"epochs":3})");
  write(
      "metrics.jsonl",
      R"({"kind":"step","step":2,"epoch":0,"loss":1})"
      "\n"
      R"({"kind":"skipped","step":3,"epoch":0,"loss":null,"reason":"not finite","pictures":["a","b","c","d","e","f"]})"
      "\n");
  EXPECT_TRUE(read().diverged);  // nothing sound came after it
  const json mark = run_charts(read()).at("marks")[0];
  EXPECT_EQ(mark.at("text"), "loss not finite; pictures a, b, c, d and 2 more; reason not finite");
  std::ofstream(folder_ / "metrics.jsonl", std::ios::app)
      << R"({"kind":"step","step":4,"epoch":0,"loss":1})"
      << "\n"
      << R"({"kind":"end","step":4,"epoch":1,"stopped_early":true})"
      << "\n";
  EXPECT_FALSE(read().diverged);
  EXPECT_EQ(read().state, RunState::finished);
}

TEST_F(RunFolder, AMethodWithoutAnswersHasNoAccuracy) {
  write("train.json", R"({"epochs":1,"method":"mae"})");
  write("metrics.jsonl", R"({"kind":"step","step":1,"epoch":0,"loss":1,"accuracy":0})"
                         "\n"
                         R"({"kind":"step","step":2,"epoch":0,"loss":0.5,"accuracy":0})"
                         "\n"
                         R"({"kind":"epoch","step":2,"epoch":0,"loss":0.75,"accuracy":0})"
                         "\n");
  const json curves = run_charts(read());
  EXPECT_TRUE(chart(curves, "accuracy").is_null());
  EXPECT_FALSE(chart(curves, "loss").is_null());
  EXPECT_EQ(read().state, RunState::finished);
}

TEST(RunCharts, LongSeriesAreAveraged) {
  RunRecord record;
  constexpr int64_t kLines = 3 * static_cast<int64_t>(kChartPoints);
  for (int64_t i = 1; i <= kLines; ++i)
    record.steps.push_back({.step = i, .values = {{"loss", static_cast<double>(i)}}});
  const json loss = run_charts(record).at("charts")[0];
  EXPECT_EQ(loss.at("averaged"), 3);
  const json& series = loss.at("series")[0];
  ASSERT_EQ(series.at("values").size(), kChartPoints);
  EXPECT_EQ(series.at("steps")[0], 3);
  EXPECT_EQ(series.at("values")[0], 2);
  EXPECT_EQ(series.at("values").back(), kLines - 1);
}

EvaluationResult result_of(int64_t classes) {
  EvaluationResult result;
  result.confusion = Confusion(classes);
  for (int64_t i = 0; i < classes; ++i) {
    result.classes.push_back({.name = "class-" + std::to_string(i), .count = 3, .top1 = 2});
    result.confusion.add(i, i);
    result.confusion.add(i, i);
    // The last classes are the worst.
    result.confusion.add(i, i < classes / 2 ? i : (i + 1) % classes);
    result.count += 3;
    result.top1 += i < classes / 2 ? 3 : 2;
  }
  return result;
}

TEST(RunPage, TheMatrixOfManyClassesShowsTheWorst) {
  const json small = run_data_of(run_page({.name = "e", .evaluation = result_of(4)}));
  EXPECT_EQ(small.at("kind"), "evaluation");
  const json& matrix = small.at("evaluation").at("matrix");
  EXPECT_EQ(matrix.at("rows"), json({{3, 0, 0, 0}, {0, 3, 0, 0}, {0, 0, 2, 1}, {1, 0, 0, 2}}));
  EXPECT_EQ(matrix.at("left_out"), 0);
  const json large = run_data_of(run_page({.name = "e", .evaluation = result_of(100)}));
  const json& cut = large.at("evaluation").at("matrix");
  EXPECT_EQ(cut.at("classes").size(), 24u);
  EXPECT_EQ(cut.at("left_out"), 76);
  EXPECT_GE(std::stoi(cut.at("classes")[0].get<std::string>().substr(6)), 50);
  EXPECT_EQ(large.at("evaluation").at("classes").size(), 100u);
}

TEST(RunPage, HostileNamesStayText) {
  EvaluationResult result = result_of(3);
  result.classes[0].name = "</script><script>alert(1)</script>";
  result.classes[1].name = "bytes \xff that are no UTF-8";
  const std::string html = run_page({.name = "<b>{{data}}</b>", .evaluation = result});
  EXPECT_EQ(html.find("alert(1)</script>"), std::string::npos);
  EXPECT_EQ(html.find("<b>{{data}}"), std::string::npos);
  EXPECT_EQ(run_data_of(html).at("evaluation").at("classes")[0].at("name"), result.classes[0].name);
  EXPECT_EQ(html.find("http://www.w3.org/2000/svg"), html.rfind("http"));  // it names no address
}

TEST_F(RunFolder, TheReportOfARunHasItAll) {
  TrainConfig config;
  config.data = "scenes:size=16,count=64,val=16,test=32";
  as_vit(config.model).image_height = as_vit(config.model).image_width = 16;
  as_vit(config.model).patches.patch_height = as_vit(config.model).patches.patch_width = 8;
  as_vit(config.model).embed_dim = 16;
  as_vit(config.model).depth = 2;
  as_vit(config.model).block.attention.num_heads = 2;
  as_vit(config.model).num_classes = 10;
  config.epochs = 2;
  config.batch_size = 8;
  config.augment.flip_probability = 0.5;
  RunOptions options;
  options.out = folder_ / "tiny";
  options.threads = 1;
  options.log_steps = 2;
  const TrainResult trained = train(config, options);

  const std::filesystem::path page = folder_ / "page.html";
  write_run_report(options.out, page, {.threads = 1});
  const auto read_page = [&] {
    std::ifstream in(page);
    return run_data_of({std::istreambuf_iterator<char>(in), {}});
  };
  const json data = read_page();
  EXPECT_EQ(data.at("name"), "tiny");
  EXPECT_EQ(data.at("state").at("state"), "finished");
  EXPECT_EQ(data.at("samples").size(), 24u);
  EXPECT_EQ(data.at("epochs").size(), 2u);
  EXPECT_TRUE(data.at("notes").empty()) << data.at("notes");
  for (const char* id : {"loss", "accuracy", "learning_rate", "pictures_per_second"})
    EXPECT_FALSE(chart(data.at("curves"), id).is_null()) << id;
  // Judged on the test pictures, to the trainer's own figure.
  ASSERT_TRUE(trained.test.has_value());
  const auto mistakes = data.at("evaluation").at("mistakes").get<int64_t>();
  EXPECT_EQ(mistakes, 32 - std::lround(32 * trained.test->accuracy));
  EXPECT_EQ(static_cast<int64_t>(data.at("gallery").size()), std::min(mistakes, kShownMistakes));
  EXPECT_FALSE(data.at("gallery")[0].at("rollout").is_null());

  // Records alone.
  write_run_report(options.out, page, {.pictures = false, .running = true});
  EXPECT_FALSE(read_page().contains("evaluation"));
  // Pictures that are gone, and a model that is.
  write_run_report(options.out, page, {.data = "folder:/nowhere", .threads = 1});
  EXPECT_EQ(read_page().at("notes").size(), 1u);
  std::filesystem::remove(options.out / "model.safetensors");
  write_run_report(options.out, page, {.threads = 1});
  EXPECT_EQ(read_page().at("notes").size(), 1u);
  EXPECT_EQ(read_page().at("samples").size(), 24u);
}

}  // namespace
}  // namespace vitrail
