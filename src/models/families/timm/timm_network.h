// TimmNetwork: timm's models other than plain Vision Transformers. config.json names a definition
// (`architecture`), and model_args change what the definition says; a file without one is told by
// --set architecture.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/families/network_family.h"
#include "models/families/reading/fields.h"
#include "models/families/timm/timm_arguments.h"
#include "models/pooling.h"

namespace vitrail {

class TimmNetwork : public NetworkFamily {
 public:
  std::string_view group() const override { return "timm"; }
  const ConfigForm& config_form() const final;
  // timm's own names are those of a plain Vision Transformer with others.
  const Family* refines() const override;
  // By the mark and, where config.json names an architecture, by that name.
  std::optional<Claim> recognise(const FileEvidence& file) const override;
  NameTables tables(const Spelling&) const override { return {{}, 0, true}; }

  nlohmann::json config_for(const NetworkConfig& config, const ConversionOptions& options,
                            std::vector<std::string>& folds) const final;
  PreprocessKind preprocess_kind() const final { return PreprocessKind::timm; }

  // ---- The family's own ----
  // The constructor's arguments beside those of every model (input channels, classes, rates of
  // dropout, img_size), as a closed list.
  virtual std::span<const FieldRule> arguments() const = 0;
  // Sets what the arguments say. Error: a value that Vitrail does not implement.
  virtual void apply_arguments(NetworkConfig& config, const TimmArguments& arguments) const = 0;
  // Makes the definition for pictures of another size, as timm's constructor does with img_size. By
  // default a size to which the configuration can be set later, too.
  virtual void make_for(NetworkConfig& config, int64_t height, int64_t width) const;
  // model_args from which timm makes this model, beside input channels and classes: of the
  // definition `architecture`.
  virtual nlohmann::json arguments_for(const NetworkConfig& config) const = 0;
  // The definition to start from. By default the configuration's own architecture, where it is one
  // of model_names(), else the first of them: what arguments cannot say must be equal in it.
  virtual std::string_view written_architecture(const NetworkConfig& config) const;
  // What timm calls the pooling of its classifiers.
  virtual const char* global_pool(const NetworkConfig&) const { return "avg"; }
  // timm's names of the first convolution and of the head, for its pretrained_cfg.
  virtual const char* first_convolution() const { return "patch_embed.proj"; }

 protected:
  NetworkDraft begin(const FileReading& file) const final;
  void settle(NetworkDraft& draft, const FileReading& file) const final;
};

// Units of a hidden layer, as timm computes them: int(dim * ratio). Error: no such layer.
int64_t timm_hidden(int64_t dim, double ratio);
// The global_pool of a model with a class token that has no other: token or avg. Error: another.
Pooling timm_token_pooling(const std::string& global_pool, const std::string& place);

// How timm prepares pictures for a definition's published weights, as its pretrained_cfg. The
// defaults are those of most of its models.
struct TimmPreprocess {
  enum Moments : uint8_t { imagenet, half, openai, unit };
  int side = 224;
  int crop_permille = 900;  // of the resized short side that the centre crop keeps
  Moments moments = imagenet;
  const char* interpolation = "bicubic";
  const char* crop_mode = "center";
};
nlohmann::json timm_preprocess(const TimmPreprocess& preprocess);

}  // namespace vitrail
