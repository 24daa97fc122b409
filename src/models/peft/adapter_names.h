// Whose parameter an adapter's tensor is about: PEFT names modules as they stand in the model that
// was adapted, which may be of another generation of the library, or under another prefix, than the
// base's file.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "models/families/names.h"
#include "models/network_config.h"

namespace vitrail {

// What stands before the modules' names in PEFT's files.
inline constexpr std::string_view kPeftPrefix = "base_model.model.";

// One of the equal pieces, along the first axis, that a canonical parameter is stacked of: q, k and
// v of attn.qkv where they are three modules of the library, else the whole.
struct ParameterPiece {
  std::string canonical;
  int64_t index = 0, count = 1;
};

class AdapterNames {
 public:
  // The spelling that knows the most of `wanted`, which are names of parameters as PEFT writes them
  // without "base_model.model.": the base's own, of any generation and prefix, or canonical names.
  static AdapterNames choose(const Spelling& base, const NetworkConfig& config,
                             const std::vector<std::string>& wanted);

  const ParameterPiece* find(const std::string& name) const;  // null: no parameter of the model
  // A tensor that no answer of such a model depends on.
  bool is_left_out(const std::string& name) const;
  // The modules with a weight of two or more axes, which are those that PEFT may adapt.
  const std::vector<std::string>& projections() const { return projections_; }

 private:
  AdapterNames(Spelling spelling, const NetworkConfig& config);

  Spelling spelling_;
  std::map<std::string, ParameterPiece, std::less<>> pieces_;
  std::vector<std::string> projections_;
};

}  // namespace vitrail
