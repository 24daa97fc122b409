#include "core/advice.h"

#include <atomic>

namespace vitrail {
namespace {

std::atomic<Speaker> current{Speaker::library};

struct Names {
  const char* command;
  const char* library;
};

Names names_of(Option option) {
  switch (option) {
    case Option::model:
      return {"--model", "the path given to vit::Model"};
    case Option::settings:
      return {"--set", "ModelOptions::settings"};
    case Option::labels:
      return {"--labels", "ModelOptions::labels"};
    case Option::size:
      return {"--size", "ModelOptions::size"};
    case Option::batch:
      return {"--batch", "SessionOptions::batch"};
    case Option::memory:
      return {"--memory", "SessionOptions::memory"};
    case Option::slow:
      return {"--slow", "SessionOptions::slow"};
    case Option::layer:
      return {"--layer", "FeatureOptions::layer"};
    case Option::max_broken:
      return {"--max-broken", "TrainOptions::max_broken"};
    case Option::architecture:
      return {"--arch", "TrainOptions::architecture"};
    case Option::method:
      return {"--method", "the method in TrainOptions::settings:"};
    case Option::output:
      return {"--out", "TrainOptions::output"};
    case Option::resume:
      return {"--resume", "TrainOptions::resume"};
    case Option::learning_rate:
      return {"--lr", "learning_rate in TrainOptions::settings"};
    case Option::val:
      return {"--val", "the val in TrainOptions::settings:"};
  }
  return {"", ""};
}

Names names_of(Deed deed) {
  switch (deed) {
    case Deed::embed:
      return {"vitrail embed", "Session::features()"};
    case Deed::doctor:
      return {"vitrail doctor", "the weights, which a sound checkpoint has finite"};
    case Deed::inspect:
      return {"vitrail inspect", "Model::layers()"};
    case Deed::quantize:
      return {"vitrail quantize", "the command's quantize"};
  }
  return {"", ""};
}

std::string chosen(const Names& names) {
  return speaker() == Speaker::command ? names.command : names.library;
}

}  // namespace

void set_speaker(Speaker speaker) {
  current.store(speaker, std::memory_order_relaxed);
}
Speaker speaker() {
  return current.load(std::memory_order_relaxed);
}

std::string said(Option option) {
  return chosen(names_of(option));
}
std::string said(Option option, std::string_view value) {
  return said(option) + " " + std::string(value);
}
std::string said_gigabytes(Option option, int64_t gigabytes) {
  return said(option,
              std::to_string(gigabytes) + (speaker() == Speaker::command ? "GB" : "000000000"));
}
std::string said(Deed deed) {
  return chosen(names_of(deed));
}

std::string said_settings(const NamedValues& values) {
  std::string list;
  for (const auto& [field, value] : values) {
    if (!list.empty()) list += speaker() == Speaker::command ? " " : ", ";
    list += speaker() == Speaker::command ? "--set " + field + "=" + value
                                          : "{\"" + field + "\", \"" + value + "\"}";
  }
  return speaker() == Speaker::command ? list : said(Option::settings) + " {" + list + "}";
}

std::string said_setting(const std::string& field, const std::string& value) {
  return said_settings({{field, value}});
}

}  // namespace vitrail
