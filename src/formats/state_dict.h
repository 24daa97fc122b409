// Finding a model's weights among what a training script saved. Internal to the .pth reader.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "formats/pickle.h"
#include "formats/pth.h"

namespace vitrail {

struct StateDict {
  std::map<std::string, uint32_t> tensors;  // name to index of Pickle::tensors
  std::vector<std::string> notes;
  std::string module_class;   // of a module saved whole, in Python's words: "timm.models.eva.Eva"
  std::string module_fields;  // of the same, formats/module_fields.h
};

// The dictionary of weights at the chosen path ("ckpt.model_ema"), or by default the one that the
// field's own loaders would take; names lose the prefixes that wrappers add ("module."). Of a
// module saved whole the tensors that its state_dict() has, under the same names.
// Error: no weights, none of that name, or several with nothing to tell them apart.
StateDict choose_state_dict(const Pickle& pickle, const PthOptions& options,
                            const std::string& place);

// Of a TorchScript archive (torch.jit.save): the tensors that the module and those within it keep
// as attributes, under the names of its state_dict(). Its program is not read. Error: the module is
// in no part of a model, or its weights have no names (torch.jit.freeze).
StateDict script_state_dict(const Pickle& pickle, const PthOptions& options,
                            const std::string& place);

// Bytes of an element of a legacy storage. Error: of a type that cannot be skipped.
size_t legacy_width(const PickleStorage& storage, const std::string& place);

}  // namespace vitrail
