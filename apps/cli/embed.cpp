// vitrail embed: pictures as vectors or grids of vectors, to a file or as JSON lines.
#include "tasks/embed.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "apps/cli/common.h"
#include "apps/cli/standard_streams.h"
#include "apps/cli/verbs.h"
#include "formats/json_text.h"
#include "formats/npy.h"
#include "formats/safetensors.h"

namespace vitrail::cli {
namespace {

struct EmbedArguments {
  ModelArguments model;
  RunArguments run;
  std::vector<std::string> pictures;
  std::string exif, kind, layer, out;
};

enum class Format : uint8_t { json_lines, npy, safetensors };

Format format_of(const std::string& out) {
  if (out.empty()) return Format::json_lines;
  const std::string extension = std::filesystem::path(out).extension().string();
  if (extension == ".npy") return Format::npy;
  if (extension == ".safetensors") return Format::safetensors;
  throw BadUsage(fmt::format("--out takes a .npy or .safetensors file, not '{}'", out));
}

EmbedOptions embed_options(const EmbedArguments& arguments, const Network& network) {
  EmbedOptions options{.kind = default_embedding(network)};
  if (arguments.kind == "class") options.kind = EmbeddingKind::class_token;
  if (arguments.kind == "mean") options.kind = EmbeddingKind::mean;
  if (arguments.kind == "patches") options.kind = EmbeddingKind::patches;
  if (!arguments.layer.empty()) options.layer = std::stoll(arguments.layer);
  return options;
}

// Nested as the shape says: [[...], ...].
nlohmann::ordered_json nested(const float* values, std::span<const int64_t> shape) {
  auto list = nlohmann::ordered_json::array();
  int64_t stride = 1;
  for (size_t axis = 1; axis < shape.size(); ++axis) stride *= shape[axis];
  for (int64_t i = 0; i < shape[0]; ++i) {
    if (shape.size() == 1)
      list.push_back(values[i]);
    else
      list.push_back(nested(values + i * stride, shape.subspan(1)));
  }
  return list;
}

// All embeddings in one array, for the formats that hold one.
class Collector {
 public:
  explicit Collector(size_t count) : count_(static_cast<int64_t>(count)) {}

  void add(const Tensor& part) {
    if (!all_.defined()) {
      Shape shape = part.shape();
      shape[0] = count_;
      all_ = Tensor::empty(shape);
    }
    check(all_.numel() / count_ == part.numel() / part.size(0), "embed",
          "pictures give grids of different sizes, which one array cannot hold");
    std::copy_n(part.f32(), part.numel(), all_.f32() + done_);
    done_ += part.numel();
  }
  const Tensor& all() const { return all_; }

 private:
  int64_t count_;
  int64_t done_ = 0;
  Tensor all_;
};

void write(const EmbedArguments& arguments, const std::vector<std::string>& files,
           const Tensor& all) {
  if (format_of(arguments.out) == Format::npy) return write_npy(arguments.out, all);
  const nlohmann::json names = files;
  write_safetensors(arguments.out, {{"embeddings", all}}, {{"files", json_text(names)}});
}

void embed_pictures(const EmbedArguments& arguments) {
  const Format format = format_of(arguments.out);
  if (format != Format::json_lines) check_writable(arguments.out);
  const std::vector<std::string> files = expand_pictures(arguments.pictures);
  Session session(
      open_model(arguments.model, load_options(arguments.model, arguments.run, files.size())),
      session_options(arguments.run, arguments.exif));
  const EmbedOptions options = embed_options(arguments, *session.model().network);
  Collector collector(files.size());
  std::optional<Progress> progress;
  if (format != Format::json_lines || !results_are_progress())
    progress.emplace("embed", static_cast<int64_t>(files.size()));
  bool failed = false;
  session.for_each_batch(files, [&](size_t first, const PreparedBatch& batch) {
    Tensor part;
    if (batch.images.defined()) part = embed(session, batch.images, options);
    for (size_t i = 0; i < batch.errors.size(); ++i) {
      const std::string& error = batch.errors[i];
      failed = failed || !error.empty();
      if (format != Format::json_lines) {
        // An array has no place for what is missing.
        if (!error.empty()) {
          progress->clear();
          print_stderr("vitrail: {}\n", error);
        }
        continue;
      }
      nlohmann::ordered_json line;
      line["file"] = files[first + i];
      if (error.empty()) {
        const Tensor row = part.rows(static_cast<int64_t>(i), static_cast<int64_t>(i) + 1);
        line["embedding"] = nested(row.f32(), {row.shape().begin() + 1, row.shape().end()});
      } else {
        line["error"] = error;
      }
      print_json(line);
    }
    if (format != Format::json_lines && !failed) collector.add(part);
    if (progress) progress->update(static_cast<int64_t>(first + batch.errors.size()));
  });
  if (failed) throw Failed{};
  if (format != Format::json_lines) write(arguments, files, collector.all());
}

}  // namespace

void add_embed(CLI::App& app) {
  auto arguments = std::make_shared<EmbedArguments>();
  CLI::App* verb = app.add_subcommand("embed", "Turn pictures into vectors");
  verb->add_option("pictures", arguments->pictures,
                   "pictures and folders of them; - is standard input")
      ->required();
  add_model_options(*verb, arguments->model);
  add_size_option(*verb, arguments->model);
  verb->add_option("--kind", arguments->kind,
                   "class (token), mean (of patches) or patches (a grid); default: class, or mean "
                   "of a model without class token")
      ->check(CLI::IsMember({"class", "mean", "patches"}));
  verb->add_option("--layer", arguments->layer,
                   "output of this block, from 0; -1 is the last (default: after the final norm)")
      ->check(CLI::Range(-1000, 1000));
  verb->add_option("--out", arguments->out,
                   ".npy or .safetensors file, one row a picture (default: JSON lines on stdout)");
  add_exif_option(*verb, arguments->exif);
  add_strict_option(*verb);
  add_run_options(*verb, arguments->run);
  set_example(*verb, "vitrail embed pictures/ --kind mean --out features.npy");
  verb->callback([arguments] { embed_pictures(*arguments); });
}

}  // namespace vitrail::cli
