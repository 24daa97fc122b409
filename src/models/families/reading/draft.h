// A configuration under construction: every field remembers who settled it, and what nobody has
// settled is refused by name.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "models/families/names.h"
#include "models/families/reading/model_file.h"

namespace vitrail {

// What is known of a model of any type of network, but its configuration.
struct ReadingDraft {
  ReadingDraft() = default;
  virtual ~ReadingDraft() = default;
  ReadingDraft(const ReadingDraft&) = default;
  ReadingDraft& operator=(const ReadingDraft&) = default;

  std::set<std::string> open;  // fields that names and shapes leave undetermined
  // What a person should know of an open field that is rarely asked for: the end of a message.
  std::map<std::string, std::string> reasons;
  std::vector<Provenance> sources;
  nlohmann::json preprocess;  // null: unknown
  PreprocessKind preprocess_kind = PreprocessKind::none;
  bool preprocess_by_hand = false;      // made of --set alone
  std::vector<std::string> candidates;  // published architectures that fit names and shapes
  std::string unsettled;                // why the config's architecture settles nothing
  std::string architecture_said;        // with --set architecture; "": nothing

  virtual ClassAnswer class_answer() const = 0;
  virtual void set_class_answer(const ClassAnswer& answer) = 0;
  virtual nlohmann::json fields() const = 0;  // of the configuration, by name

  bool is_open(const std::string& field) const { return open.contains(field); }
  void add_preprocess(PreprocessKind kind, nlohmann::json block, const std::string& source);
  // Who settled a field, with the value that it has.
  void record(const std::string& field, const std::string& source);
};

// With the configuration of a network of any type.
struct NetworkDraft : ReadingDraft {
  explicit NetworkDraft(NetworkConfig of) : config(std::move(of)) {}
  NetworkConfig config;

  ClassAnswer class_answer() const override { return config.class_answer(); }
  void set_class_answer(const ClassAnswer& answer) override { config.set_class_answer(answer); }
  nlohmann::json fields() const override { return to_json(config); }
};

// With that of a plain Vision Transformer.
struct ConfigDraft : ReadingDraft {
  VitConfig config;
  int64_t attention_width = 0;  // heads times head size: a third of the rows of attn.qkv
  int64_t position_rows = 0;    // of pos_embed, prefix tokens included; 0: none
  // Of those, how many are prefix tokens', where the definition says so.
  std::optional<int64_t> position_prefix;
  int64_t relative_rows = 0;  // of a table by relative position; 0: there is none
  int64_t patch_columns = 0;  // of a linear patch embedding: height times width times channels

  ClassAnswer class_answer() const override { return config.class_answer(); }
  void set_class_answer(const ClassAnswer& answer) override { config.set_class_answer(answer); }
  nlohmann::json fields() const override { return to_json(config); }

  // Sets a field of config that is still open; the first to know wins.
  template <typename T>
  void settle(const std::string& name, T& field, const std::type_identity_t<T>& value,
              const std::string& source) {
    if (open.erase(name) == 0) return;
    field = value;
    record(name, source);
  }
  void settle_image(int64_t height, int64_t width, const std::string& source);
};

// What names and shapes say; the rest is left open.
ConfigDraft draft_from_shapes(const TensorSource& tensors, const Spelling& spelling);

// Channels and sides of patches that a matrix embeds, from what is said of them and from its
// columns.
void settle_patches(ConfigDraft& draft);

// The picture's size, and which rows of pos_embed belong to prefix tokens: as the draft says, or of
// one of the likely numbers of them. Tables by relative position say the size, too.
void settle_positions(ConfigDraft& draft, const std::vector<int64_t>& likely_prefixes,
                      const std::string& place);

// --set: fields of the configuration (heads, eps, image_size, patch_size, channels are understood
// too), `architecture`, and of the preprocessing mean, std, interpolation, crop_pct, crop_mode.
void apply_settings(ConfigDraft& draft, const Settings& settings);
// The same of a network of any type, whose pictures' size is set with the other fields. `defined`:
// `architecture` chooses among definitions, and is not a field.
void apply_settings(NetworkDraft& draft, const Settings& settings, bool defined = false);
// The pictures' size, of a file that does not say it: image_size, or image_height and image_width.
// They describe the table of positions; what stretches it to other pictures is --size. Error: the
// file says another.
void apply_size_settings(ConfigDraft& draft, const Settings& settings);

// What was read, with --set's preprocessing. Error naming everything that is still open, and how to
// say it; the preprocessing only counts when it is required.
ReadModel finished(ReadingDraft& draft, NetworkConfig config, const FileReading& file);

}  // namespace vitrail
