#include "apps/cli/model_export.h"

namespace vitrail::cli {

nlohmann::json preprocess_for(Family target, const Preprocess& preprocess,
                              std::vector<std::string>& differences) {
  const auto take = [&](TranslatedPreprocess translated) {
    differences = std::move(translated.differences);
    return nlohmann::json(translated.config);
  };
  switch (target) {
    case Family::timm:
      return take(to_timm(preprocess));
    case Family::hf_vit:
    case Family::hf_deit:
    case Family::hf_dinov2:
      return take(to_hf(preprocess));
    case Family::dinov2:
    case Family::vit_pytorch:
    case Family::vitrail:
      return to_json(preprocess);
  }
  return nullptr;
}

}  // namespace vitrail::cli
