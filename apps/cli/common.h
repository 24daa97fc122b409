// What the verbs share: options that mean the same everywhere, arguments that name pictures, and
// how results and progress reach people.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "apps/cli/command_line.h"
#include "apps/cli/hub_model.h"
#include "apps/cli/progress.h"
#include "apps/cli/settings.h"
#include "core/error.h"
#include "image/preprocess/preprocess.h"
#include "infer/model.h"
#include "infer/session.h"

namespace vitrail::cli {

// --model, --yes, --set, --labels
struct ModelArguments {
  std::string model;                  // empty: the default one
  WithoutModel without = {};          // then
  std::vector<std::string> settings;  // key=value
  std::string labels;
  std::string size;  // --size, where the verb has it
};
// --threads, --batch, --precision, --memory, --slow, --json
struct RunArguments {
  int threads = 0;
  int batch = 8;
  std::string precision;  // empty: the model's own; "auto": the fastest that it allows
  std::string memory;     // of a pass; empty: half of the machine's
  bool slow = false;
  bool json = false;
};

void add_model_options(CLI::App& verb, ModelArguments& arguments,
                       SettingsOf settings = SettingsOf::model);
// --size, of the pictures that the model takes.
void add_size_option(CLI::App& verb, ModelArguments& arguments);
void add_run_options(CLI::App& verb, RunArguments& arguments);
// --data, or "data,--data" in verbs whose first argument may be the set: every form of a data set
// (data/dataset.h) and a plain folder.
CLI::Option* add_data_option(CLI::App& verb, std::string& data, const std::string& name,
                             const std::string& description);
// --exif apply|ignore
void add_exif_option(CLI::App& verb, std::string& exif);
// --workers and --max-broken, of what loads a data set.
void add_workers_option(CLI::App& verb, int& workers);
void add_max_broken_option(CLI::App& verb, double& share);
// --strict, of every verb that opens a data set or a folder of pictures: what is left out is an
// error, where it would be said.
void add_strict_option(CLI::App& verb);
// The example that --help ends with.
void set_example(CLI::App& verb, const std::string& example);

LoadOptions load_options(const ModelArguments& arguments);
// For a session of these run options, which packs the weights while they are read. `pictures`: how
// many it will see at most, where that is known.
LoadOptions load_options(const ModelArguments& arguments, const RunArguments& run,
                         std::optional<size_t> pictures = std::nullopt);
// What --model names, from a hub too, or the default model.
std::shared_ptr<Model> load_model(const ModelArguments& arguments, const LoadOptions& options);
// Loads, and says the checkpoint's warnings on stderr; of a bundled model also the classes it
// knows.
std::shared_ptr<Model> open_model(const ModelArguments& arguments, const LoadOptions& options);
std::shared_ptr<Model> open_model(const ModelArguments& arguments);
// For what weights change nothing of: an architecture's name gives random weights, and no name the
// default model's architecture.
std::shared_ptr<Model> open_model_or_architecture(const ModelArguments& arguments,
                                                  const LoadOptions& options);
// The arguments once more, for a command that is printed: " --model runs/mine --size 384".
std::string model_words(const ModelArguments& arguments);
// The line that results begin with where no --model was given: which one answered.
void print_default_model(const ModelArguments& arguments, const Model& model);
SessionOptions session_options(const RunArguments& arguments, const std::string& exif = "");
// Of steps of training: f32 unless --precision says otherwise.
Precision training_precision(const RunArguments& arguments);

// Before work whose result goes there. Error: no file can be made at that path.
void check_writable(const std::string& path);

// "512MB", "16GB", "2GiB" or a number of bytes. Throws BadUsage.
uint64_t parse_memory(const std::string& text);
// "224" or "384x512" (height x width). Throws BadUsage.
PictureSize parse_size(const std::string& text);
// A data set's spec; a plain folder becomes folder:DIR when it holds folders, else flat:DIR.
std::string data_spec(const std::string& argument);

// One line on stdout; names that are not UTF-8 are mended.
void print_json(const nlohmann::ordered_json& json);
// Adds what the sets that were opened left out, where they did: {"left_out": [{"data", "what",
// "count", "examples"}], "notes": [{"data", "note"}]}.
void add_left_out(nlohmann::ordered_json& json);
// "5.7 M", "1.26 G": a count for people.
std::string human_count(double count);

// Files as given; folders are walked, their pictures sorted by name, and what is no picture in them
// is said; "-" is the picture on standard input, which is read here, once. Error: a folder without
// a picture, nothing on standard input.
std::vector<std::string> expand_pictures(const std::vector<std::string>& arguments);

// A mistake in the arguments that only the verb can see: exit status 2.
struct BadUsage : Error {
  explicit BadUsage(const std::string& message) : Error("usage", message) {}
};
// Thrown by a verb that has said what went wrong in its results: the program ends with status 1.
struct Failed {};

}  // namespace vitrail::cli
