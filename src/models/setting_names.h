// The names that --set takes of a model, and which fields each stands for.
#pragma once

#include <string>
#include <vector>

namespace vitrail {

// The fields of a configuration that a name stands for: "image_size" is height and width,
// "heads" num_heads; a field's own name is itself.
std::vector<std::string> fields_of_setting(const std::string& name);

// The fields of every type of network, and the other names for some of them.
const std::vector<std::string>& model_setting_names();

// Those, and what else a checkpoint may leave open: its preprocessing (mean, crop_pct, ...), its
// family, which dictionary of a file counts, an adapter on top.
const std::vector<std::string>& checkpoint_setting_names();

}  // namespace vitrail
