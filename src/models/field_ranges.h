// The range of each integer field of a model's configuration.
#pragma once

#include <cstdint>
#include <string_view>

namespace vitrail {

// To be asked as soon as a stranger's number is read: what is computed from it then overflows
// nothing. Error, naming the field of VitConfig: outside its range.
void check_field_range(std::string_view name, int64_t value);

}  // namespace vitrail
