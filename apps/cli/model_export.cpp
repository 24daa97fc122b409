#include "apps/cli/model_export.h"

namespace vitrail::cli {

nlohmann::json preprocess_for(const Family* target, const Preprocess& preprocess,
                              std::vector<std::string>& differences) {
  const auto take = [&](TranslatedPreprocess translated) {
    differences = std::move(translated.differences);
    return nlohmann::json(translated.config);
  };
  switch (target->preprocess_kind()) {
    case PreprocessKind::timm:
      return take(to_timm(preprocess));
    case PreprocessKind::hf:
      return take(to_hf(preprocess));
    case PreprocessKind::vitrail:
      return to_json(preprocess);
    case PreprocessKind::none:
      break;
  }
  return nullptr;
}

}  // namespace vitrail::cli
