#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include "core/error.h"
#include "core/printable.h"
#include "models/peft/adapted_tensors.h"

namespace vitrail {
namespace {

constexpr std::string_view kAEnding = ".lora_A.weight";
constexpr std::string_view kBEnding = ".lora_B.weight";
constexpr std::string_view kBias = ".lora_B.bias";
constexpr std::array<std::string_view, 2> kMagnitudes = {".lora_magnitude_vector",
                                                         ".lora_magnitude_vector.weight"};

// The name without a part that PEFT's wrappers put in.
std::string without(std::string name, std::string_view part) {
  if (const size_t at = name.find(part); at != std::string::npos) name.erase(at, part.size());
  return name;
}

class Planner {
 public:
  Planner(const TensorSource& adapter, const AdapterConfig& config, const AdapterNames& names)
      : adapter_(adapter), config_(config), names_(names) {}

  AdapterPlan run() {
    for (const std::string& name : adapter_.names()) assign(name);
    for (const std::string& module : modules_) add_product(module);
    refuse_missing();
    return std::move(plan_);
  }

 private:
  [[noreturn]] void refuse(const std::string& name, const std::string& why) const {
    fail("adapter", "{}: '{}' {}", adapter_.place(), printable(name), why);
  }

  PieceEdit& edit_of(const ParameterPiece& piece) {
    std::vector<PieceEdit>& edits = plan_.edits[piece.canonical];
    edits.resize(static_cast<size_t>(piece.count));
    return edits[static_cast<size_t>(piece.index)];
  }
  const ParameterPiece& piece_of(const std::string& parameter, const std::string& name) const {
    const ParameterPiece* piece = names_.find(parameter);
    if (piece == nullptr) refuse(name, "belongs to no parameter of the model");
    return *piece;
  }

  void assign(const std::string& name) {
    if (!name.starts_with(kPeftPrefix)) refuse(name, "is not a name that PEFT gives");
    const std::string own = name.substr(kPeftPrefix.size());
    for (const std::string_view ending :
         {kAEnding, kBEnding, kBias, kMagnitudes[0], kMagnitudes[1]})
      if (own.ends_with(ending)) {
        modules_.insert(own.substr(0, own.size() - ending.size()));
        return;
      }
    if (own.find(".lora_") != std::string::npos)
      refuse(name, "is a part of an adapter that is not read");
    // The copies that bias="all" leaves of a module that is saved whole.
    if (own.find(".original_module.") != std::string::npos) {
      plan_.left_out.push_back(name);
      return;
    }
    const std::string parameter = without(without(own, ".base_layer"), ".modules_to_save");
    if (names_.find(parameter) == nullptr && names_.is_left_out(parameter)) {
      plan_.left_out.push_back(name);
      return;
    }
    replace(edit_of(piece_of(parameter, name)), name);
  }

  void replace(PieceEdit& edit, const std::string& name) {
    if (!edit.replacement.empty()) {
      const Tensor one = adapter_.tensor(edit.replacement), other = adapter_.tensor(name);
      if (one.dtype() != other.dtype() || one.shape() != other.shape() ||
          std::memcmp(one.raw(), other.raw(), one.bytes()) != 0)
        refuse(name, "and '" + printable(edit.replacement) + "' are the same parameter and differ");
    }
    edit.replacement = name;
  }

  void add_product(const std::string& module) {
    const std::string base = std::string(kPeftPrefix) + module;
    const auto named = [&](std::string_view ending) { return base + std::string(ending); };
    for (const std::string_view half : {kAEnding, kBEnding})
      if (!adapter_.contains(named(half))) refuse(module, "has no " + std::string(half.substr(1)));
    const ParameterPiece& piece = piece_of(module + ".weight", named(kAEnding));
    if (!config_.adapts(module))
      refuse(named(kAEnding), "is of a module that target_modules does not ask for");
    const int64_t rank = config_.rank_of(module),
                  rows = adapter_.info(named(kAEnding)).shape.rank() > 0
                             ? adapter_.info(named(kAEnding)).shape[0]
                             : 0;
    if (rows != rank)
      refuse(named(kAEnding),
             fmt::format("has a rank of {}, and the configuration says {}", rows, rank));
    LowRankProduct product{named(kAEnding), named(kBEnding), "", config_.scale_of(module)};
    for (const std::string_view ending : kMagnitudes)
      if (adapter_.contains(named(ending))) product.magnitude = named(ending);
    if (config_.magnitudes && product.magnitude.empty())
      refuse(module, "has no lora_magnitude_vector, which use_dora asks for");
    if (!config_.magnitudes && !product.magnitude.empty())
      refuse(product.magnitude, "is there without use_dora");
    if (config_.product_bias != adapter_.contains(named(kBias)))
      refuse(named(kBias), config_.product_bias ? "is missing, which lora_bias asks for"
                                                : "is there without lora_bias");
    if (config_.product_bias) {
      PieceEdit& bias = edit_of(piece_of(module + ".bias", named(kBias)));
      bias.bias = named(kBias);
      bias.bias_scale = product.scale;
    }
    edit_of(piece).product = std::move(product);
  }

  // What the configuration says is there.
  void refuse_missing() const {
    for (const std::string& module : names_.projections())
      if (config_.adapts(module) && !modules_.contains(module))
        fail("adapter", "{}: has no lora_A and lora_B of '{}', which target_modules asks for",
             adapter_.place(), printable(module));
    for (const std::string& saved : config_.saved_modules) {
      const std::vector<std::string> names = adapter_.names();
      const bool there = std::ranges::any_of(names, [&](const std::string& name) {
        return name.find("." + saved + ".") != std::string::npos;
      });
      if (!there)
        fail("adapter", "{}: has no tensor of '{}', which modules_to_save names", adapter_.place(),
             printable(saved));
    }
  }

  const TensorSource& adapter_;
  const AdapterConfig& config_;
  const AdapterNames& names_;
  std::set<std::string> modules_;  // that have an adapter, without PEFT's prefix
  AdapterPlan plan_;
};

}  // namespace

AdapterPlan plan_adapter(const TensorSource& adapter, const AdapterConfig& config,
                         const AdapterNames& names) {
  return Planner(adapter, config, names).run();
}

}  // namespace vitrail
