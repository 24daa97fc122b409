// How a message calls what a user may set. The same refusal reaches people by the command, where
// advice is a flag, and programs by include/vitrail, where it is the name of a member. Messages ask
// here for the name, so they advise what whoever reads them can do.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrail {

enum class Speaker : uint8_t {
  library,  // until a program says otherwise
  command,
};
// By a program that speaks for itself, before it does anything else.
void set_speaker(Speaker speaker);
Speaker speaker();

enum class Option : uint8_t {
  model,
  settings,
  labels,
  size,
  batch,
  memory,
  slow,
  layer,
  max_broken,
  // of training
  architecture,
  method,
  output,
  resume,
  learning_rate,
  val,
};

// "--size", or "ModelOptions::size".
std::string said(Option option);
// "--size 32x32", or "ModelOptions::size 32x32".
std::string said(Option option, std::string_view value);
// "--memory 3GB", or "SessionOptions::memory 3000000000".
std::string said_gigabytes(Option option, int64_t gigabytes);

using NamedValues = std::vector<std::pair<std::string, std::string>>;
// Fields of a model that its file leaves open: "--set num_heads=... --set mean=...", or
// R"(ModelOptions::settings {{"num_heads", "..."}, {"mean", "..."}})".
std::string said_settings(const NamedValues& values);
std::string said_setting(const std::string& field, const std::string& value);

// What else can be done with a model: "vitrail embed", or "Session::features()".
enum class Deed : uint8_t { embed, doctor, inspect, quantize };
std::string said(Deed deed);

}  // namespace vitrail
