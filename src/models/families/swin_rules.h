// What the families of Swin share, whichever library's they are.
#pragma once

#include <string>
#include <string_view>

#include "models/backbones/swin_config.h"

namespace vitrail {

class FileEvidence;

// A tensor that timm's and the original files of this version have.
std::string_view swin_mark(int64_t version);
// Whether the file's stages end with their merging, as the original files have it, or its head is
// called as theirs.
bool has_original_names(const FileEvidence& file, const std::string& prefix);
// What follows from the window's size alone: masks, indices and coordinates.
bool is_swin_buffer(std::string_view tensor);

// A canonical name with the numbers of a library whose stages end with their merging: what is
// layers.1.downsample here is layers.0.downsample there.
std::string merging_at_end(std::string_view canonical);

// Error, in a family's name: the model is of the other version.
void check_swin_version(const char* family, const SwinConfig& config, int64_t version);
// Error, in a family's name: by its library's rule this model would have other windows, or other
// padding, on pictures of its own size.
void check_windows_fit(const char* family, const SwinConfig& config, WindowRule rule);

}  // namespace vitrail
