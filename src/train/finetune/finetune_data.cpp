// What a fine-tuning learns from, and how its methods and measures are called.
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "core/error.h"
#include "train/finetune/finetune.h"
#include "train/judge/accuracy_text.h"

namespace vitrail {
namespace {

using How = FinetuneMethod;

constexpr std::array<std::pair<How, const char*>, 5> kMethods = {{{How::automatic, "auto"},
                                                                  {How::probe, "probe"},
                                                                  {How::lora, "lora"},
                                                                  {How::partial, "partial"},
                                                                  {How::full, "full"}}};

}  // namespace

Measured measured(const Evaluation& evaluation) {
  return {std::llround(evaluation.accuracy * static_cast<double>(evaluation.pictures)),
          evaluation.pictures, evaluation.map};
}

std::string Measured::text() const {
  const std::string exact = accuracy_text(correct, pictures);
  return map ? fmt::format("mAP {:.2f}%, exact match {}", 100 * *map, exact) : exact;
}

const char* name_of(FinetuneMethod method) {
  for (const auto& [value, name] : kMethods)
    if (value == method) return name;
  return "?";
}

FinetuneMethod finetune_method_from_name(const std::string& name) {
  for (const auto& [value, text] : kMethods)
    if (name == text) return value;
  fail("finetune", "'{}' is not a method; there are auto, probe, lora, partial and full", name);
}

RunData open_finetune_data(const FinetuneOptions& options) {
  const auto record =
      options.run.resume ? read_split_record(options.run.out) : std::optional<SplitRecord>();
  OpenOptions open;
  open.decode = options.preprocess.decode_options();
  open.val_fraction = options.val_fraction;
  open.split_seed = static_cast<uint64_t>(options.seed);
  open.group = options.group;
  if (record && record->held_out)
    check(record->fraction == open.val_fraction && record->seed == open.split_seed &&
              record->group == open.group,
          "resume",
          "the run held out {}, and this command says another --val-fraction, --seed or --group",
          record->rule());
  RunData data = open_pictures({.data = options.data,
                                .val = "",
                                .open = open,
                                .validate_beside_test = true,
                                .record = record ? &*record : nullptr});
  check(data.split.held_out || options.group.empty(), "--group",
        "{} has validation pictures of its own", options.data);
  check_classes(*data.train, "finetune");
  // What an older version began has no list yet; it gets one when its checkpoint has been compared.
  data.split_is_kept = record.has_value() || !options.run.resume;
  return data;
}

}  // namespace vitrail
