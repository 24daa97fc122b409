// Family: a way of naming weights and of saying what they are, as a library writes it to files. All
// that Vitrail knows of one stands in the file of its class; registry.h lists them.
#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tensor_source.h"
#include "models/families/names.h"
#include "models/network_config.h"

namespace vitrail {

class ConfigForm;
class FileEvidence;
struct Adapted;
struct Claim;
struct ConversionOptions;
struct FileReading;
struct ReadModel;

// Which library's rule a preprocessing block is written in.
enum class PreprocessKind : uint8_t { none, timm, hf, vitrail };

// A model that people know by name: its configuration, and how pictures are prepared for its
// published weights, in the family's form (null: not known).
struct PublishedModel {
  NetworkConfig config;
  nlohmann::json preprocess;
};

class Family {
 public:
  Family() = default;
  virtual ~Family() = default;
  Family(const Family&) = delete;
  Family& operator=(const Family&) = delete;

  // ---- What it is ----
  virtual const char* name() const = 0;    // "hf_vit": of --to, --set family and our config.json
  virtual const char* models() const = 0;  // "transformers' ViT": what the messages list
  // A name for several families of one library, of which suits() chooses: "hf". Empty: none.
  virtual std::string_view group() const { return ""; }
  virtual bool suits(const NetworkConfig& config) const;
  // The form of config.json beside its files.
  virtual const ConfigForm& config_form() const = 0;
  // Python classes of modules saved whole (torch.save(model)) whose forward pass is one of
  // Vitrail's. One of another name may have tensors of the same names and compute something else.
  virtual std::span<const std::string_view> module_classes() const { return {}; }

  // ---- Models by name ----
  // The published models that it knows by name ("pvt_v2_b0"); those of plain Vision Transformers
  // stand in published.h.
  virtual std::vector<std::string_view> model_names() const { return {}; }
  // One of them.
  virtual PublishedModel published_model(std::string_view name) const;

  // ---- Whose file it is (recognise.h) ----
  // Whether the file is its own, and what says so; nothing: it is not.
  virtual std::optional<Claim> recognise(const FileEvidence& file) const = 0;
  // The family whose names these are with some of its own: what both claim by names is this one's.
  virtual const Family* refines() const { return nullptr; }
  // Of a file that is its own and has the spelling's prefix: generation and chunks. Error: names
  // that contradict each other.
  virtual void read_spelling(const FileEvidence& file, Spelling& spelling) const;

  // ---- Names, in both directions ----
  virtual NameTables tables(const Spelling& spelling) const = 0;
  // A canonical name with the library's numbers of stages and layers, for the tables. By default as
  // it is.
  virtual std::string numbered(const Spelling& spelling, std::string_view canonical) const;
  // The file's tensors, with those that hold several of the model's under the names that tables()
  // has. Error: one that does not.
  virtual std::shared_ptr<TensorSource> presented(std::shared_ptr<TensorSource> tensors,
                                                  const Spelling&) const {
    return tensors;
  }
  // A tensor, by its name without the prefix, that no answer of a model depends on.
  virtual bool is_left_out(std::string_view name) const;
  // The same of a whole name, of what training has put beside the model or in the place of its
  // head: a decoder of masked pictures, a tower of texts.
  virtual bool is_training_part(const Spelling& spelling, std::string_view name) const;

  // ---- Reading ----
  // What the tensors and what stands beside them say of the model. Error: what is not known, what
  // contradicts itself and what nobody says, by name.
  virtual ReadModel read(const FileReading& file) const = 0;
  // The rule by which the library answers a head of one number by sigmoid whatever it has learned,
  // in words; null: it has none.
  virtual const char* single_label_rule() const { return nullptr; }
  // Whether a head may read class token and mean of the patches, side by side.
  virtual bool reads_class_and_mean() const { return false; }

  // ---- Writing (convert.h) ----
  // The names that the family gives to a model of this configuration today.
  virtual Spelling spelling_for(const NetworkConfig& config) const;
  // The model as the family can say it, with equal answers. Error naming what it cannot.
  virtual Adapted express(const NetworkConfig& config, const TensorSource& canonical) const = 0;
  // config.json; `folds` gets what the family's own library does not read of it.
  virtual nlohmann::json config_for(const NetworkConfig& config, const ConversionOptions& options,
                                    std::vector<std::string>& folds) const;
  // The form of the preprocessing in its files, and the file that holds it where it is not
  // config.json.
  virtual PreprocessKind preprocess_kind() const { return PreprocessKind::vitrail; }
  virtual const char* preprocess_file() const { return nullptr; }
  // The families in whose form a classifier is written that was trained from one of its models; the
  // first that can express it.
  virtual std::vector<const Family*> classifier_forms() const { return {this}; }
};

const char* name_of(const Family* family);
// Error listing the families.
const Family* family_from_name(const std::string& name);
// Vitrail's own: canonical names, every field of the config.
const Family* own_family();

}  // namespace vitrail
