// vitrail explain: where attention went, as a page and an overlay.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <set>

#include "apps/cli/answer_text.h"
#include "apps/cli/common.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verbs.h"
#include "core/atomic_file.h"
#include "explain/explanation.h"
#include "explain/overlay.h"
#include "report/explain_page.h"
#include "tasks/classify.h"

namespace vitrail::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct ExplainArguments {
  ModelArguments model;
  RunArguments run;
  std::vector<std::string> pictures;
  std::string output, page, overlay;
  std::string fusion = "mean";
  double discard = 0;
  std::string mask;
  std::vector<std::string> rows;
  std::string exif;
  AnswerArguments answer;
};

struct RowName {
  int64_t layer = 0, head = 0, token = 0;
};

// "3:0:17"
RowName parse_row(const std::string& text) {
  RowName row;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  for (int64_t* part : {&row.layer, &row.head, &row.token}) {
    const auto [next, error] = std::from_chars(at, end, *part);
    const bool last = part == &row.token;
    if (error != std::errc() || *part < 0 || (last ? next != end : next == end || *next != ':'))
      throw BadUsage(fmt::format("--rows takes LAYER:HEAD:TOKEN, counted from 0, not '{}'", text));
    at = next + 1;
  }
  return row;
}

struct OutputFiles {
  fs::path page, overlay;  // an empty one is not written
};

// Where the results of a picture go: never over the picture itself, nor over another one's.
class OutputNames {
 public:
  explicit OutputNames(const ExplainArguments& arguments) : arguments_(arguments) {
    if (arguments.output.empty()) return;
    std::error_code error;
    fs::create_directories(arguments.output, error);
    check(!error, "explain", "{}: cannot be made: {}", arguments.output, error.message());
  }

  OutputFiles of(const std::string& picture) {
    if (!arguments_.page.empty() || !arguments_.overlay.empty())
      return {arguments_.page, arguments_.overlay};
    const std::string stem =
        (picture == kStandardInputPicture ? "stdin" : fs::path(picture).stem().string()) +
        "-explained";
    std::string name = stem;
    for (int i = 2; !taken_.insert(name).second; ++i) name = fmt::format("{}-{}", stem, i);
    const fs::path base = fs::path(arguments_.output) / name;
    return {base.string() + ".html", base.string() + ".png"};
  }

 private:
  const ExplainArguments& arguments_;
  std::set<std::string> taken_;
};

// What is known of one picture.
struct Answer {
  Explanation explanation;
  Classification judged;
  double threshold = kThreshold;
  std::string verdict;  // "none of my ten classes"; empty: the best class counts
  ordered_json rows = ordered_json::array();  // those asked for
  OutputFiles files;
};

void write_files(Session& session, const Answer& answer, const std::string& picture,
                 const Image& mask) {
  const Model& model = session.model();
  if (!answer.files.page.empty()) {
    ExplainPage page{.picture_name = fs::path(picture).filename().string(),
                     .model_name = model.name,
                     .mask = mask};
    add_answer(page, answer.judged, model, answer.threshold);
    write_file_atomically(answer.files.page,
                          explain_page(session.queue(), answer.explanation, page));
  }
  if (!answer.files.overlay.empty())
    write_png(answer.files.overlay, explanation_overlay(answer.explanation, mask));
}

ordered_json rows_json(Session& session, const Explanation& explanation,
                       const std::vector<RowName>& rows) {
  ordered_json list = ordered_json::array();
  for (const auto& [layer, head, token] : rows) {
    check(layer < static_cast<int64_t>(explanation.layers.size()), "explain",
          "there are layers 0 to {}, not {}", explanation.layers.size() - 1, layer);
    const LayerAttention& of = explanation.layers[static_cast<size_t>(layer)];
    ordered_json row{{"layer", layer}, {"head", head}, {"token", token}};
    if (!explanation.no_rollout.empty()) {  // layers may have grids of their own
      row["stage"] = of.stage;
      row["grid_height"] = of.keys.grid_height;
      row["grid_width"] = of.keys.grid_width;
    }
    row["row"] = attention_row(session.queue(), of, head, token);
    list.push_back(std::move(row));
  }
  return list;
}

ordered_json rollout_json(const Explanation& explanation) {
  const auto prefix = explanation.rollout.begin() + explanation.layout.prefix();
  return {{"fusion", name_of(explanation.rollout_options.fusion)},
          {"discard", explanation.rollout_options.discard_ratio},
          {"grid_height", explanation.layout.grid_height},
          {"grid_width", explanation.layout.grid_width},
          {"prefix", std::vector<float>(explanation.rollout.begin(), prefix)},
          {"patches", std::vector<float>(prefix, explanation.rollout.end())}};
}

void print_line(const std::string& picture, const Answer& answer, const Model& model) {
  const Explanation& explanation = answer.explanation;
  ordered_json line;
  line["file"] = picture;
  line["model"] = model.name;
  if (!answer.verdict.empty()) line["none"] = true;
  add_answer(answer.judged, model, answer.threshold, line);
  if (!answer.files.page.empty()) line["page"] = answer.files.page.string();
  if (!answer.files.overlay.empty()) line["overlay"] = answer.files.overlay.string();
  if (explanation.no_rollout.empty())
    line["rollout"] = rollout_json(explanation);
  else
    line["no_rollout"] = explanation.no_rollout;
  if (!answer.rows.empty()) line["rows"] = answer.rows;
  print_json(line);
}

void print_text(const std::string& picture, const Answer& answer, const Model& model) {
  print_stdout("{}\n", picture);
  if (!answer.verdict.empty()) print_stdout("  {}; the nearest:\n", answer.verdict);
  print_answer(answer.judged, model, answer.threshold);
  if (!answer.files.page.empty()) print_stdout("  page     {}\n", answer.files.page.string());
  if (!answer.files.overlay.empty()) print_stdout("  overlay  {}\n", answer.files.overlay.string());
  if (!answer.explanation.no_rollout.empty())
    print_stdout("  rollout  none: {}\n", answer.explanation.no_rollout);
}

void print_error(const std::string& picture, const std::string& error, bool as_json) {
  if (as_json) return print_json({{"file", picture}, {"error", error}});
  std::fflush(stdout);
  print_stderr("vitrail: {}\n", error);
}

void explain_pictures(const ExplainArguments& arguments) {
  const std::vector<std::string> pictures = expand_pictures(arguments.pictures);
  const bool named = !arguments.page.empty() || !arguments.overlay.empty();
  if (named && !arguments.output.empty())
    throw BadUsage("--output names a folder for both files; --page and --overlay name each one");
  if (pictures.size() > 1 && (named || !arguments.mask.empty()))
    throw BadUsage("--page, --overlay and --mask belong to a single picture");
  if (!arguments.rows.empty() && !arguments.run.json) throw BadUsage("--rows belongs to --json");
  std::vector<RowName> rows;
  for (const std::string& row : arguments.rows) rows.push_back(parse_row(row));

  for (const std::string& file : {arguments.page, arguments.overlay})
    if (!file.empty()) check_writable(file);
  const RolloutOptions options{.fusion = head_fusion_from_name(arguments.fusion),
                               .discard_ratio = arguments.discard};
  Session session(open_model(arguments.model, load_options(arguments.model, arguments.run)),
                  session_options(arguments.run, arguments.exif));
  const AnswerOptions judging = answer_options(arguments.answer, session.model());
  if (!arguments.run.json) print_default_model(arguments.model, session.model());
  Image mask;
  if (arguments.mask == kStandardInputPicture) keep_standard_input_picture();
  if (!arguments.mask.empty())
    mask =
        load_picture(arguments.mask, {.exif = session.preprocess().exif, .color = ColorMode::grey});
  OutputNames names(arguments);
  std::optional<Progress> progress;
  if (!results_are_progress()) progress.emplace("explain", static_cast<int64_t>(pictures.size()));
  bool failed = false;
  for (size_t i = 0; i < pictures.size(); ++i) {
    const std::string& picture = pictures[i];
    Image photo;
    try {
      photo = load_picture(picture, session.preprocess().decode_options());
    } catch (const Error& error) {
      print_error(picture, error.what(), arguments.run.json);
      failed = true;
      continue;
    }
    Answer answer{.explanation = explain_picture(session, photo, options),
                  .threshold = judging.threshold};
    const Model& model = session.model();
    if (!answer.explanation.logits.empty()) {
      answer.judged = judge(model, answer.explanation.logits, answer.explanation.features, judging);
      if (answer.judged.none) answer.verdict = none_of(model.labels.size());
    }
    answer.rows = rows_json(session, answer.explanation, rows);
    answer.files = names.of(picture);
    write_files(session, answer, picture, mask);
    if (arguments.run.json)
      print_line(picture, answer, model);
    else
      print_text(picture, answer, model);
    std::fflush(stdout);
    if (progress) progress->update(static_cast<int64_t>(i + 1));
  }
  if (failed) throw Failed{};
}

}  // namespace

void add_explain(CLI::App& app) {
  auto arguments = std::make_shared<ExplainArguments>();
  arguments->model.without.bundled_answers = true;
  CLI::App* verb = app.add_subcommand("explain", "Show where attention went in pictures");
  verb->add_option("pictures", arguments->pictures,
                   "pictures and folders of them; - is standard input")
      ->required();
  add_model_options(*verb, arguments->model);
  add_size_option(*verb, arguments->model);
  verb->add_option("--output,--out", arguments->output,
                   "folder for NAME-explained.html and NAME-explained.png (default: this one)");
  verb->add_option("--page", arguments->page, "write only this page, and --overlay if named");
  verb->add_option("--overlay", arguments->overlay, "write only this PNG, and --page if named");
  verb->add_option("--fusion", arguments->fusion, "how the rollout fuses heads")
      ->check(CLI::IsMember({"mean", "max", "min"}))
      ->capture_default_str();
  verb->add_option("--discard", arguments->discard,
                   "share of each layer's smallest weights that the rollout drops, in [0, 1)")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb->add_option("--mask", arguments->mask,
                   "picture of the photo's size, white where the object is, shown beside the map");
  verb->add_option("--rows", arguments->rows,
                   "LAYER:HEAD:TOKEN, an attention row for --json; counted from 0")
      ->allow_extra_args(false);
  add_threshold_option(*verb, arguments->answer.threshold);
  add_exif_option(*verb, arguments->exif);
  add_strict_option(*verb);
  add_run_options(*verb, arguments->run);
  set_example(*verb, "vitrail explain photo.jpg --output explained --fusion max --discard 0.9");
  verb->callback([arguments] { explain_pictures(*arguments); });
}

}  // namespace vitrail::cli
