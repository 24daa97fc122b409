#include "models/families/timm/timm_network.h"

#include <algorithm>
#include <array>

#include "core/advice.h"
#include "core/error.h"
#include "core/nearest.h"
#include "core/printable.h"
#include "models/families/answer_rules.h"
#include "models/families/published.h"
#include "models/families/recognise.h"
#include "models/families/registry.h"
#include "models/families/timm/timm.h"
#include "models/families/timm/timm_form.h"
#include "models/network.h"

namespace vitrail {
namespace {

// Of every timm model: what its factory takes, and rates that no answer depends on.
constexpr FieldRule kEveryModel[] = {
    {"in_chans"},
    {"num_classes"},
    {"img_size"},
    {"features_only", FieldRule::kOnly, "[false]"},
    {"drop_rate", FieldRule::kNumber},
    {"proj_drop_rate", FieldRule::kNumber},
    {"attn_drop_rate", FieldRule::kNumber},
    {"drop_path_rate", FieldRule::kNumber},
    {"pos_drop_rate", FieldRule::kNumber},
    {"drop_block_rate", FieldRule::kOnly, "[]"},
    {"norm_layer", FieldRule::kOnly, "[]"},
    {"weight_init", FieldRule::kIdle},
    {"device", FieldRule::kIdle},
    {"dtype", FieldRule::kIdle},
};

void apply_pictures(const TimmNetwork& family, NetworkDraft& draft, const TimmConfig& parts,
                    const TimmArguments& arguments) {
  PictureInput pictures = draft.config.pictures();
  arguments.read("in_chans", pictures.channels);
  const auto input =
      get_optional<std::vector<int64_t>>(parts.pretrained, "input_size", arguments.place());
  if (input) {
    check(input->size() == 3, "timm", "{}: input_size takes channels, height and width",
          arguments.place());
    pictures.height = (*input)[1];
    pictures.width = (*input)[2];
  }
  arguments.read_sides("img_size", pictures.height, pictures.width);
  if (pictures == draft.config.pictures()) return;
  draft.config.set_pictures(
      {pictures.channels, draft.config.pictures().height, draft.config.pictures().width});
  family.make_for(draft.config, pictures.height, pictures.width);
}

}  // namespace

const ConfigForm& TimmNetwork::config_form() const {
  return timm_form();
}

const Family* TimmNetwork::refines() const {
  return timm_family();
}

std::optional<Claim> TimmNetwork::recognise(const FileEvidence& file) const {
  auto claim = NetworkFamily::recognise(file);
  if (!claim || !file.has_form(timm_form())) return claim;
  const std::string said = timm_architecture_of(file.config());
  const Family* known = family_of_model(said);
  if (known == this) return Claim{claim->prefix, "config.json's architecture " + said, true};
  if (known != nullptr || find_published(said) != nullptr) return std::nullopt;
  return Claim{claim->prefix, claim->because, true};  // a name of one's own
}

NetworkDraft TimmNetwork::begin(const FileReading& file) const {
  TimmConfig parts;
  std::string place = "config.json";
  if (file.has_config()) {
    place = file.files.config_name;
    const std::array<std::span<const FieldRule>, 2> rules = {kEveryModel, arguments()};
    parts = read_timm_parts(file.files.config, place, {place + "'s model_args", models(), rules});
  }
  const std::string said = said_architecture(file.settings);
  const std::string& name = said.empty() ? parts.architecture : said;
  if (name.empty()) {
    std::string list;
    for (const std::string& fitting : models_with_tensors(file))
      list += (list.empty() ? "" : ", ") + fitting;
    fail("model", "{}: has tensors of {}, and names and shapes do not say which; say {}{}{}",
         file.tensors.place(), models(), said_setting("architecture", "its name"),
         list.empty() ? "" : "; these have such tensors: ", list);
  }
  const std::vector<std::string_view> known = model_names();
  if (std::ranges::find(known, name) == known.end())
    fail("family", "'{}' is not a definition of {} that Vitrail knows{}", printable(name), models(),
         did_you_mean_or_all(name, std::vector<std::string>(known.begin(), known.end())));
  PublishedModel published = published_model(name);
  const std::string source = said.empty() ? fmt::format("{} (timm's {})", place, name)
                                          : vitrail::said(Option::settings, "architecture");
  NetworkDraft draft(std::move(published.config));
  draft.sources.push_back({"architecture", name, source});
  if (parts.arguments.is_null()) parts.arguments = nlohmann::json::object();
  if (parts.pretrained.is_null()) parts.pretrained = nlohmann::json::object();
  const std::string arguments_place = place + "'s model_args";
  const TimmArguments arguments(parts.arguments, arguments_place);
  apply_arguments(draft.config, arguments);
  apply_pictures(*this, draft, parts, arguments);
  if (file.has_config())
    add_timm_preprocess(draft, {draft.config.pictures(), parts.pretrained, parts.arguments, place});
  if (!published.preprocess.is_null() && draft.config.pictures().channels == 3)
    draft.add_preprocess(PreprocessKind::timm, std::move(published.preprocess),
                         source + " (of " + name + "'s published weights)");
  return draft;
}

void TimmNetwork::make_for(NetworkConfig& config, int64_t height, int64_t width) const {
  config.set_image_size(height, width);
  config.fit_positions();  // what the model stores is of the size that it was made for
}

void TimmNetwork::settle(NetworkDraft& draft, const FileReading& file) const {
  if (!file.has_config()) return;
  const int64_t classes = draft.class_answer().classes;
  const auto said = get_optional<int64_t>(file.files.config, "num_classes", file.files.config_name);
  if (said && *said != classes)
    fail("timm", "{}: says num_classes {}, and the tensors have {}", file.files.config_name, *said,
         classes);
  settle_timm_answer(draft, file.files.config, file.files.config_name);
}

std::string_view TimmNetwork::written_architecture(const NetworkConfig& config) const {
  const std::vector<std::string_view> names = model_names();
  const auto own = std::ranges::find(names, config.architecture());
  return own != names.end() ? *own : names.front();
}

nlohmann::json TimmNetwork::config_for(const NetworkConfig& config,
                                       const ConversionOptions& options,
                                       std::vector<std::string>& folds) const {
  nlohmann::json arguments = arguments_for(config);
  arguments["in_chans"] = config.pictures().channels;
  arguments["num_classes"] = config.class_answer().classes;
  return timm_config_json({.architecture = std::string(written_architecture(config)),
                           .arguments = std::move(arguments),
                           .global_pool = global_pool(config),
                           .features = config.make()->backbone().embed_dim(),
                           .first_convolution = first_convolution(),
                           .classifier = std::string(head())},
                          config, options, folds);
}

int64_t timm_hidden(int64_t dim, double ratio) {
  constexpr double kMostRatio = 1024;
  check(ratio > 0 && ratio < kMostRatio, "timm", "mlp_ratio is {}; it must lie between 0 and {}",
        ratio, kMostRatio);
  return static_cast<int64_t>(static_cast<double>(dim) * ratio);
}

Pooling timm_token_pooling(const std::string& global_pool, const std::string& place) {
  if (global_pool == "token") return Pooling::class_token;
  if (global_pool == "avg") return Pooling::mean;
  fail("timm", "{}: global_pool '{}' is not supported; token and avg are", place,
       printable(global_pool));
}

nlohmann::json timm_preprocess(const TimmPreprocess& p) {
  struct Values {
    std::array<double, 3> mean, std;
  };
  static constexpr std::array<Values, 4> kMoments = {
      {{{0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}},
       {{0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}},
       {{0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}},
       {{0, 0, 0}, {1, 1, 1}}}};
  const Values& moments = kMoments[p.moments];
  return {{"input_size", {3, p.side, p.side}},
          {"mean", moments.mean},
          {"std", moments.std},
          {"crop_pct", p.crop_permille / 1000.0},
          {"crop_mode", p.crop_mode},
          {"interpolation", p.interpolation}};
}

}  // namespace vitrail
