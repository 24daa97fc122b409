#include "apps/cli/common.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <filesystem>

#include "apps/cli/command_text.h"
#include "apps/cli/standard_streams.h"
#include "core/atomic_file.h"
#include "core/log.h"
#include "core/printable.h"
#include "data/folder_tree.h"
#include "data/intake_record.h"
#include "formats/json_text.h"
#include "image/codec/codec.h"
#include "image/codec/picture_names.h"
#include "infer/fastest_precision.h"
#include "infer/model_notes.h"
#include "models/architectures.h"

namespace vitrail::cli {
namespace {

namespace fs = std::filesystem;

}  // namespace

void add_model_options(CLI::App& verb, ModelArguments& arguments, SettingsOf settings) {
  verb.add_option(
      "--model", arguments.model,
      "model folder, .safetensors or torch.save file (.pth, .pth.tar, .pt, .bin) of any family, a "
      "name that 'vitrail models' lists, or OWNER/NAME[@REVISION] of a Hugging Face hub (default: "
      "vit_tiny)");
  verb.add_flag("--yes", arguments.without.yes,
                "fetch the default model without asking, where it is not here yet");
  add_set_option(verb, arguments.settings, settings);
  verb.add_option(
      "--labels", arguments.labels,
      "names of the classes: text, one a line, or JSON, a list or an object from index");
}

void add_size_option(CLI::App& verb, ModelArguments& arguments) {
  verb.add_option(
      "--size", arguments.size,
      "side, or HEIGHTxWIDTH, of the pictures that the model takes: its positions are "
      "stretched and pictures prepared by its family's rule (default: the model's own)");
}

void add_run_options(CLI::App& verb, RunArguments& arguments) {
  verb.add_option("--threads", arguments.threads, "threads (default: all cores)")
      ->check(CLI::Range(0, 1024));
  verb.add_option("--batch", arguments.batch, "pictures that run at once")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  verb.add_option(
          "--precision", arguments.precision,
          "arithmetic of the projections: f32, bf16 or int8, or auto, the fastest here that "
          "the model allows (default: f32, or what a quantized model was made for)")
      ->check(CLI::IsMember({"f32", "bf16", "int8", "auto"}));
  verb.add_option("--memory", arguments.memory,
                  "memory that a pass may take, such as 16GB (default: half of the machine's)");
  verb.add_flag("--slow", arguments.slow,
                "allow pictures of so many tokens that each takes minutes to hours");
  verb.add_flag("--json", arguments.json, "results as JSON");
}

CLI::Option* add_data_option(CLI::App& verb, std::string& data, const std::string& name,
                             const std::string& description) {
  return verb.add_option(name, data,
                         description +
                             ": a folder, folder:DIR, flat:DIR, csv:FILE, coco:FILE, tar:SHARDS, "
                             "mnist:DIR, fashion-mnist:DIR, cifar10:DIR or scenes[:key=value,...]");
}

void add_exif_option(CLI::App& verb, std::string& exif) {
  verb.add_option("--exif", exif,
                  "apply or ignore the camera's orientation (default: as the model's family does)")
      ->check(CLI::IsMember({"apply", "ignore"}));
}

void add_workers_option(CLI::App& verb, int& workers) {
  verb.add_option("--workers", workers,
                  "threads beside those that compute, to prepare pictures ahead: for disks that "
                  "keep one waiting (0: those that compute do it whenever they would wait)")
      ->check(CLI::Range(0, 256));
}

void add_max_broken_option(CLI::App& verb, double& share) {
  verb.add_option("--max-broken", share,
                  "this share of the pictures may be unreadable; they are named and left out")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
}

void add_strict_option(CLI::App& verb) {
  verb.add_flag_callback(
      "--strict",
      [] { set_intake_listener([](const std::string& line) { fail("--strict", "{}", line); }); },
      "what a data set leaves out (other files, unknown formats, folders without classes) is an "
      "error, not a warning");
}

void set_example(CLI::App& verb, const std::string& example) {
  verb.footer("Example:\n  " + example);
}

LoadOptions load_options(const ModelArguments& arguments) {
  LoadOptions options{.settings = parse_settings(arguments.settings), .labels = arguments.labels};
  if (!arguments.size.empty()) options.size = parse_size(arguments.size);
  return options;
}

LoadOptions load_options(const ModelArguments& arguments, const RunArguments& run,
                         std::optional<size_t> pictures) {
  LoadOptions options = load_options(arguments);
  options.threads = run.threads;
  const SessionOptions session = session_options(run);
  options.pack =
      PackOptions{.precision = session.precision,
                  .fastest = session.fastest,
                  .single_pass = pictures && *pictures <= static_cast<size_t>(run.batch)};
  return options;
}

namespace {

// "vit_tiny_patch16_224", of timm/vit_tiny_patch16_224.TAG.
std::string default_architecture() {
  const std::string_view repository = default_model().repository;
  const size_t begin = repository.find('/') + 1;
  return std::string(repository.substr(begin, repository.find('.') - begin));
}

ResolvedModel resolved(const ModelArguments& arguments) {
  return arguments.model.empty() ? resolve_default_model(arguments.without)
                                 : resolve_model(arguments.model);
}

std::shared_ptr<Model> load_resolved(const ResolvedModel& place, const LoadOptions& options) {
  auto model = vitrail::load_model(place.path, options);
  if (!place.name.empty()) model->name = place.name;
  return model;
}

std::shared_ptr<Model> open_resolved(const ResolvedModel& place, const LoadOptions& options) {
  auto model = load_resolved(place, options);
  log_notes(*model, {.origin = !place.catalogued, .bundled_classes = !place.stands_in});
  return model;
}

}  // namespace

std::shared_ptr<Model> load_model(const ModelArguments& arguments, const LoadOptions& options) {
  return load_resolved(resolved(arguments), options);
}

std::shared_ptr<Model> open_model(const ModelArguments& arguments, const LoadOptions& options) {
  return open_resolved(resolved(arguments), options);
}

std::shared_ptr<Model> open_model(const ModelArguments& arguments) {
  return open_model(arguments, load_options(arguments));
}

std::shared_ptr<Model> open_model_or_architecture(const ModelArguments& arguments,
                                                  const LoadOptions& options) {
  std::error_code ignored;
  // Where weights change nothing, none are fetched.
  const std::string name = arguments.model.empty() ? default_architecture() : arguments.model;
  if (fs::exists(name, ignored) || !is_architecture(name))
    return open_resolved(resolve_model(name, architecture_names()), options);
  if (!arguments.settings.empty() || !arguments.labels.empty())
    throw BadUsage("--set and --labels belong to checkpoints, not to architectures' names");
  return random_model(name, 0, options);
}

std::string model_words(const ModelArguments& arguments) {
  std::string words;
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) words += fmt::format(" {} {}", flag, shell_word(value));
  };
  add("--model", arguments.model);
  for (const std::string& setting : arguments.settings) add("--set", setting);
  add("--labels", arguments.labels);
  add("--size", arguments.size);
  return words;
}

void print_default_model(const ModelArguments& arguments, const Model& model) {
  if (arguments.model.empty()) print_stdout("model {}\n", described_model(model.name));
}

SessionOptions session_options(const RunArguments& arguments, const std::string& exif) {
  SessionOptions options{.threads = arguments.threads, .batch = arguments.batch};
  options.fastest = arguments.precision == "auto";
  if (!options.fastest && !arguments.precision.empty())
    options.precision = default_plan(precision_from_name(arguments.precision));
  options.limits.slow = arguments.slow;
  if (!arguments.memory.empty()) options.limits.memory = parse_memory(arguments.memory);
  if (!exif.empty()) options.exif = exif == "apply" ? ExifPolicy::apply : ExifPolicy::ignore;
  return options;
}

void check_writable(const std::string& path) {
  const AtomicFile file(path);  // which leaves nothing behind
}

Precision training_precision(const RunArguments& arguments) {
  if (arguments.precision.empty()) return Precision::f32;
  if (arguments.precision != "auto") return precision_from_name(arguments.precision);
  const PrecisionChoice choice = fastest_precision({});
  log_info(fmt::format("precision auto is {}", choice.reason));
  return choice.plan.base;
}

uint64_t parse_memory(const std::string& text) {
  constexpr std::array<std::pair<std::string_view, double>, 8> kUnits{{{"", 1},
                                                                       {"B", 1},
                                                                       {"MB", 1e6},
                                                                       {"GB", 1e9},
                                                                       {"TB", 1e12},
                                                                       {"MiB", 0x1p20},
                                                                       {"GiB", 0x1p30},
                                                                       {"TiB", 0x1p40}}};
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<size_t>(text.data() + text.size() - end));
  const auto known = std::find_if(kUnits.begin(), kUnits.end(),
                                  [&](const auto& entry) { return entry.first == unit; });
  constexpr double kLeast = 1e6, kMost = 1e15;
  const double bytes = known == kUnits.end() ? 0 : number * known->second;
  if (error != std::errc() || !(bytes >= kLeast && bytes <= kMost))
    throw BadUsage(
        fmt::format("--memory takes a size such as 512MB or 16GB, not '{}'", printable(text)));
  return static_cast<uint64_t>(bytes);
}

PictureSize parse_size(const std::string& text) {
  const auto number = [&](std::string_view part) {
    int value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || value < 1 ||
        value > kMaxPreprocessSide)
      throw BadUsage(fmt::format("--size takes a side or HEIGHTxWIDTH up to {}, not '{}'",
                                 kMaxPreprocessSide, text));
    return value;
  };
  const size_t split = text.find('x');
  if (split == std::string::npos) return {number(text), number(text)};
  return {number(std::string_view(text).substr(0, split)),
          number(std::string_view(text).substr(split + 1))};
}

std::string data_spec(const std::string& argument) {
  std::error_code ignored;
  if (!fs::is_directory(argument, ignored)) return argument;
  for (const auto& entry : fs::directory_iterator(argument, ignored)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory(ignored) && !name.starts_with('.') && !is_foreign_folder(name))
      return "folder:" + argument;
  }
  return "flat:" + argument;
}

void print_json(const nlohmann::ordered_json& json) {
  write_stdout(printable_json(json_text(json)) + "\n");
}

void add_left_out(nlohmann::ordered_json& json) {
  json["left_out"] = nlohmann::ordered_json::array();
  json["notes"] = nlohmann::ordered_json::array();
  for (const auto& [set, intake] : announced_intakes()) {
    for (const Intake::LeftOut& part : intake.left_out())
      json["left_out"].push_back({{"data", set},
                                  {"what", part.count == 1 ? part.reason.one : part.reason.many},
                                  {"count", part.count},
                                  {"examples", part.examples}});
    for (const std::string& note : intake.notes())
      json["notes"].push_back({{"data", set}, {"note", note}});
  }
}

std::string human_count(double count) {
  constexpr std::array<const char*, 5> kUnits = {"", " k", " M", " G", " T"};
  size_t unit = 0;
  while (count >= 1000 && unit + 1 < kUnits.size()) {
    count /= 1000;
    ++unit;
  }
  return unit == 0 ? fmt::format("{:.0f}", count) : fmt::format("{:.4g}{}", count, kUnits[unit]);
}

std::vector<std::string> expand_pictures(const std::vector<std::string>& arguments) {
  std::vector<std::string> pictures;
  for (const std::string& argument : arguments) {
    std::error_code error;
    if (argument == kStandardInputPicture) keep_standard_input_picture();
    if (!fs::is_directory(argument, error)) {
      pictures.push_back(argument);
      continue;
    }
    const FolderTree tree = read_folder_tree(argument);
    Intake intake = intake_below(tree);
    intake.take("all", tree.count);
    const std::string left_out = intake.left_out_text();
    check(tree.count > 0, "pictures", "{}: holds no pictures ({}){}{}", printable(argument),
          picture_suffixes(), left_out.empty() ? "" : "; left out: ", left_out);
    announce(intake, argument);
    std::vector<std::string> found = pictures_below(tree);
    for (std::string& path : found) path = (fs::path(argument) / path).string();
    std::sort(found.begin(), found.end());
    pictures.insert(pictures.end(), found.begin(), found.end());
  }
  return pictures;
}

}  // namespace vitrail::cli
