// --set, and what is still open after it.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/advice.h"
#include "core/error.h"
#include "core/printable.h"
#include "models/families/reading/draft.h"
#include "models/setting_names.h"

namespace vitrail {
namespace {

constexpr std::array<const char*, 5> kPreprocessSettings = {"mean", "std", "interpolation",
                                                            "crop_pct", "crop_mode"};
// Without these no picture can be prepared; a crop is centred unless crop_mode says otherwise.
constexpr std::array<const char*, 4> kNeededPreprocess = {"mean", "std", "interpolation",
                                                          "crop_pct"};

bool is_preprocess_setting(const std::string& name) {
  return std::ranges::find(kPreprocessSettings, name) != kPreprocessSettings.end();
}

bool is_size_setting(const std::string& name) {
  return name == "image_size" || name == "image_height" || name == "image_width";
}

double parse_number(const std::string& name, std::string_view text) {
  double value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || !std::isfinite(value))
    fail(said(Option::settings), "{} takes numbers, not '{}'", name, printable(text));
  return value;
}

// "0.5" or "0.485,0.456,0.406"; one number stands for every channel.
std::vector<double> parse_channels(const std::string& name, std::string_view text,
                                   int64_t channels) {
  std::vector<double> values;
  while (true) {
    const size_t comma = text.find(',');
    values.push_back(parse_number(name, text.substr(0, comma)));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (values.size() == 1) values.resize(static_cast<size_t>(channels), values[0]);
  if (static_cast<int64_t>(values.size()) != channels)
    fail(said(Option::settings), "{} has {} numbers for {} channels", name, values.size(),
         channels);
  return values;
}

}  // namespace

void apply_settings(NetworkDraft& draft, const Settings& settings, bool defined) {
  for (const auto& [name, value] : settings) {
    if (is_preprocess_setting(name) || name == "family") continue;
    if (defined && name == "architecture") {
      draft.architecture_said = value;
      continue;
    }
    for (const std::string& field : fields_of_setting(name)) {
      draft.config.set(field, value);
      draft.open.erase(field);
      draft.sources.push_back({field, value, said(Option::settings)});
    }
  }
}

void apply_settings(ConfigDraft& draft, const Settings& settings) {
  for (const auto& [name, value] : settings) {
    if (is_preprocess_setting(name) || is_size_setting(name) || name == "family") continue;
    // Our own files have no open field that a name could settle.
    if (name == "architecture" && draft.attention_width > 0) {
      draft.architecture_said = value;
      continue;
    }
    for (const std::string& field : fields_of_setting(name)) {
      set_field(draft.config, field, value);
      draft.open.erase(field);
      draft.sources.push_back({field, value, said(Option::settings)});
    }
  }
}

namespace {

// Whether positions alone have said the size, and this one makes as many cells of a feature map.
bool is_of_same_grid(const ConfigDraft& draft, const VitConfig& said) {
  const VitConfig& c = draft.config;
  const bool of_shapes = std::ranges::any_of(draft.sources, [](const auto& each) {
    return each.field == "image_height" && each.source.starts_with("shapes");
  });
  return of_shapes && c.has_feature_map() &&
         said.grid_height(said.image_height) == c.grid_height(c.image_height) &&
         said.grid_width(said.image_width) == c.grid_width(c.image_width);
}

}  // namespace

void apply_size_settings(ConfigDraft& draft, const Settings& settings) {
  VitConfig said = draft.config;
  bool height = false, width = false;
  for (const auto& [name, value] : settings) {
    if (!is_size_setting(name)) continue;
    for (const std::string& field : fields_of_setting(name)) {
      set_field(said, field, value);
      draft.sources.push_back({field, value, vitrail::said(Option::settings)});
    }
    height |= name != "image_width";
    width |= name != "image_height";
  }
  VitConfig& c = draft.config;
  if (!draft.is_open("image_size") && !is_of_same_grid(draft, said)) {
    check(said.image_height == c.image_height && said.image_width == c.image_width,
          vitrail::said(Option::settings).c_str(),
          "image_size: this model is made for pictures of {0}x{1}; {4} {2}x{3} runs it at another "
          "size",
          c.image_height, c.image_width, said.image_height, said.image_width,
          vitrail::said(Option::size));
    return;
  }
  c.image_height = said.image_height;
  c.image_width = said.image_width;
  if (height && width) draft.open.erase("image_size");  // one side alone leaves the other open
}

namespace {

void apply_preprocess_settings(ReadingDraft& draft, const PictureInput& pictures,
                               const Settings& settings) {
  const nlohmann::json size = {pictures.channels, pictures.height, pictures.width};
  const bool resized =
      std::ranges::any_of(settings, [](const auto& s) { return is_size_setting(s.first); });
  if (resized && draft.preprocess_kind == PreprocessKind::timm)
    draft.preprocess["input_size"] = size;
  for (const auto& [name, value] : settings) {
    if (!is_preprocess_setting(name)) continue;
    const bool moments = name == "mean" || name == "std";
    std::string key = name;
    if (draft.preprocess_kind == PreprocessKind::none) {
      draft.preprocess_kind = PreprocessKind::timm;
      draft.preprocess = {{"input_size", size}};
      draft.preprocess_by_hand = true;
    } else if (draft.preprocess_kind == PreprocessKind::hf) {
      key = "image_" + name;
    }
    if (!moments && draft.preprocess_kind != PreprocessKind::timm)
      fail(said(Option::settings),
           "{} is a field of timm's preprocessing; this model's stands in its own file", name);
    if (moments) {
      draft.preprocess[key] = parse_channels(name, value, pictures.channels);
    } else if (name == "crop_pct") {
      draft.preprocess[key] = parse_number(name, value);
    } else {
      draft.preprocess[key] = value;
    }
    draft.sources.push_back({name, value, said(Option::settings)});
  }
}

void refuse_open_fields(const ReadingDraft& draft, const std::string& place,
                        bool require_preprocess) {
  std::vector<std::string> missing(draft.open.begin(), draft.open.end());
  if (require_preprocess) {
    if (draft.preprocess_kind == PreprocessKind::none || draft.preprocess_by_hand)
      for (const char* field : kNeededPreprocess)
        if (!draft.preprocess_by_hand || !draft.preprocess.contains(field))
          missing.emplace_back(field);
  }
  if (missing.empty()) return;
  std::string list, reasons;
  NamedValues values;
  for (const std::string& field : missing) {
    list += (list.empty() ? "" : ", ") + field;
    values.emplace_back(field, "...");
    if (const auto reason = draft.reasons.find(field); reason != draft.reasons.end())
      reasons += "; " + reason->second;
  }
  std::string names;
  for (const std::string& name : draft.candidates) names += (names.empty() ? "" : ", ") + name;
  fail("model", "{}: names, shapes and configuration do not determine {}{}; say {}{}{}", place,
       list, draft.unsettled.empty() ? "" : fmt::format(" ({})", draft.unsettled),
       said_settings(values),
       names.empty() ? ""
                     : fmt::format(", or, of one of these, {}: {}",
                                   said_setting("architecture", "its name"), names),
       reasons);
}

}  // namespace

ReadModel finished(ReadingDraft& draft, NetworkConfig config, const FileReading& file) {
  apply_preprocess_settings(draft, config.pictures(), file.settings);
  refuse_open_fields(draft, file.tensors.place(), file.require_preprocess);
  return {.config = std::move(config),
          .sources = std::move(draft.sources),
          .preprocess_kind = draft.preprocess_kind,
          .preprocess = std::move(draft.preprocess)};
}

}  // namespace vitrail
