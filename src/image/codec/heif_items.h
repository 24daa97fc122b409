// The items of a HEIF (ISO/IEC 14496-12 and 23008-12): what its boxes say of coded pictures and of
// those that are made of others. Nothing is decoded here, and nothing allocated that the file has
// not bytes for.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "image/codec/heif_boxes.h"

namespace vitrail {

struct HeifItem {
  std::string_view kind;                 // hvc1: coded; grid, iovl, iden: made of others
  std::vector<HeifBox> properties;       // in their order
  std::vector<std::string_view> pieces;  // its data
  std::vector<uint32_t> made_of;         // items, in their order
  uint32_t alpha = 0;                    // the item of its transparency; 0: none
  bool premultiplied = false;            // its colours are, by that

  bool is_coded() const { return kind == "hvc1"; }
  bool is_picture() const {
    return is_coded() || kind == "grid" || kind == "iovl" || kind == "iden";
  }
  std::string data() const;
  // The first of this kind; nullptr: none.
  const HeifBox* property(std::string_view wanted) const;
};

class HeifItems {
 public:
  // Error: boxes that contradict each other, are cut, or stand twice where one is meant; what lies
  // outside of the file.
  explicit HeifItems(const PictureSource& picture);

  uint32_t primary() const { return primary_; }
  // Error: no such item.
  const HeifItem& item(uint32_t number) const;

 private:
  void read_meta(std::string_view meta);
  void read_names(std::string_view iinf);
  void read_places(std::string_view iloc, std::string_view idat);
  void read_references(std::string_view iref);
  void read_properties(std::string_view iprp);
  void read_associations(std::string_view ipma, const std::vector<HeifBox>& properties);
  void find_alphas(const std::map<uint32_t, uint32_t>& auxiliary);

  const PictureSource& picture_;
  std::string_view file_;
  std::map<uint32_t, HeifItem> items_;
  uint32_t primary_ = 0;
};

}  // namespace vitrail
