// Names of tensors without what wrappers add to them: DataParallel and DDP ("module."),
// torch.compile ("_orig_mod."), FSDP, activation checkpointing, Lightning ("model."), training
// scripts ("net.", "encoder.").
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "formats/tensor_source.h"

namespace vitrail {

struct UnwrappedNames {
  std::map<std::string, std::string> original;  // by the name without wrappers
  std::string prefix;                           // that was taken off every name
  std::vector<std::string> notes;               // what was taken off or left out, in words
};

// A prefix comes off where every name has it; of a backbone with other heads beside it, the
// backbone is kept. torch.compile's, FSDP's and checkpointing's own part comes off wherever it
// stands in a name, unless two names would become one.
UnwrappedNames unwrapped_names(const std::vector<std::string>& names);

// The tensors under the names without wrappers; the source itself when there are none.
std::shared_ptr<TensorSource> unwrapped(std::shared_ptr<TensorSource> tensors);

}  // namespace vitrail
