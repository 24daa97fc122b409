// libheif, loaded when a HEIF comes.
#pragma once

#ifdef VITRAIL_HEIF
#include <libheif/heif.h>

namespace vitrail {

struct HeifLibrary {
  decltype(heif_context_alloc)* context_alloc;
  decltype(heif_context_free)* context_free;
  decltype(heif_context_read_from_memory_without_copy)* read;
  decltype(heif_context_set_maximum_image_size_limit)* set_limit;
  decltype(heif_context_set_max_decoding_threads)* set_threads;
  decltype(heif_context_get_primary_image_handle)* primary;
  decltype(heif_image_handle_release)* handle_release;
  decltype(heif_image_handle_get_width)* width;
  decltype(heif_image_handle_get_height)* height;
  decltype(heif_image_handle_get_luma_bits_per_pixel)* bits;
  decltype(heif_decoding_options_alloc)* options_alloc;
  decltype(heif_decoding_options_free)* options_free;
  decltype(heif_decode_image)* decode;
  decltype(heif_image_release)* image_release;
  decltype(heif_image_get_colorspace)* colorspace;
  decltype(heif_image_get_width)* plane_width;
  decltype(heif_image_get_height)* plane_height;
  decltype(heif_image_get_bits_per_pixel_range)* plane_bits;
  decltype(heif_image_get_plane_readonly)* plane;
  decltype(heif_image_get_nclx_color_profile)* color_profile;
  decltype(heif_image_handle_get_nclx_color_profile)* handle_color_profile;
  decltype(heif_nclx_color_profile_free)* color_profile_free;

  // Error: not installed.
  static const HeifLibrary& get();

 private:
  HeifLibrary();
};

}  // namespace vitrail
#endif
