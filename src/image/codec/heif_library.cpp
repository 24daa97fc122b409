#include "image/codec/heif_library.h"

#ifdef VITRAIL_HEIF
#include "core/lazy_library.h"

namespace vitrail {

const HeifLibrary& HeifLibrary::get() {
  static const HeifLibrary library;
  return library;
}

HeifLibrary::HeifLibrary() {
  const LazyLibrary library(VITRAIL_HEIF, "picture", "HEIF needs it (Debian: libheif1)");
  library.find(context_alloc, "heif_context_alloc");
  library.find(context_free, "heif_context_free");
  library.find(read, "heif_context_read_from_memory_without_copy");
  library.find(set_limit, "heif_context_set_maximum_image_size_limit");
  library.find(set_threads, "heif_context_set_max_decoding_threads");
  library.find(primary, "heif_context_get_primary_image_handle");
  library.find(handle_release, "heif_image_handle_release");
  library.find(width, "heif_image_handle_get_width");
  library.find(height, "heif_image_handle_get_height");
  library.find(bits, "heif_image_handle_get_luma_bits_per_pixel");
  library.find(options_alloc, "heif_decoding_options_alloc");
  library.find(options_free, "heif_decoding_options_free");
  library.find(decode, "heif_decode_image");
  library.find(image_release, "heif_image_release");
  library.find(colorspace, "heif_image_get_colorspace");
  library.find(plane_width, "heif_image_get_width");
  library.find(plane_height, "heif_image_get_height");
  library.find(plane_bits, "heif_image_get_bits_per_pixel_range");
  library.find(plane, "heif_image_get_plane_readonly");
  library.find(color_profile, "heif_image_get_nclx_color_profile");
  library.find(handle_color_profile, "heif_image_handle_get_nclx_color_profile");
  library.find(color_profile_free, "heif_nclx_color_profile_free");
}

}  // namespace vitrail
#endif
