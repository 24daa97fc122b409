// What a module saved whole says of itself beside its weights: the plain values among its
// attributes, and of the objects and modules in it. Internal to the .pth reader.
#pragma once

#include <string>
#include <string_view>

#include "formats/pickle.h"

namespace vitrail {

// "module name" as Python writes it.
std::string dotted_name(std::string_view global);

// JSON: {"class": "timm.layers.mlp.Mlp", "fields": {...}, "modules": {"fc1": {...}}}. Fields are
// numbers, texts, true, false, null, lists, dictionaries of them, and objects of classes, which are
// again {"class": ..., "fields": ...}. Left out are tensors and names that begin with "_". Empty:
// it says more than a module has to say, or goes round in a circle.
std::string module_fields(const Pickle& pickle, const PickleValue& module);

}  // namespace vitrail
