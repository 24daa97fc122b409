// What Vitrail lacks for a model of transformers that it does not load, for the message that
// refuses it.
#pragma once

#include <string_view>

namespace vitrail {

// "a decoder of texts"; null: a model_type that is not known.
const char* missing_of_hf(std::string_view model_type);

}  // namespace vitrail
