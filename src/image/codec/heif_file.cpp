#include "image/codec/heif_file.h"

namespace vitrail {
namespace {

std::string big_endian(uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i) & 255);
  return text;
}

std::string box(std::string_view kind, const std::string& body) {
  return big_endian(8 + body.size(), 4) + std::string(kind) + body;
}

std::string full_box(std::string_view kind, const std::string& body, int version = 0,
                     uint32_t flags = 0) {
  return box(kind, big_endian(static_cast<uint64_t>(version), 1) + big_endian(flags, 3) + body);
}

}  // namespace

std::string heif_of(const HeifItem& item) {
  std::string properties, associations;
  uint64_t count = 0;
  for (const HeifBox& property : item.properties)
    for (const std::string_view kind : {"hvcC", "ispe", "colr", "pixi", "irot", "imir", "clap"})
      if (property.kind == kind) {
        properties += box(property.kind, std::string(property.body));
        associations += big_endian(++count, 2);
      }
  const std::string data = item.data();
  const auto meta = [&](uint64_t data_at) {
    return full_box(
        "meta",
        full_box("hdlr", std::string(4, '\0') + "pict" + std::string(13, '\0')) +
            full_box("pitm", big_endian(1, 2)) +
            full_box("iloc", big_endian(0x4400, 2) + big_endian(1, 2) + big_endian(1, 2) +
                                 big_endian(0, 2) + big_endian(1, 2) + big_endian(data_at, 4) +
                                 big_endian(data.size(), 4)) +
            full_box("iinf", big_endian(1, 2) + full_box("infe",
                                                         big_endian(1, 2) + big_endian(0, 2) +
                                                             "hvc1" + std::string(1, '\0'),
                                                         2)) +
            box("iprp", box("ipco", properties) + full_box("ipma",
                                                           big_endian(1, 4) + big_endian(1, 2) +
                                                               big_endian(count, 1) + associations,
                                                           0, 1)));
  };
  const std::string start = box("ftyp", std::string("heic") + big_endian(0, 4) + "mif1heic");
  return start + meta(start.size() + meta(0).size() + 8) + box("mdat", data);
}

}  // namespace vitrail
