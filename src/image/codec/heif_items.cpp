#include "image/codec/heif_items.h"

#include <utility>

namespace vitrail {
namespace {

// A photograph of 100 million pixels has 400 tiles.
constexpr size_t kMaxItems = 4096;

bool says_alpha(std::string_view auxiliary) {
  for (const std::string_view name : {"urn:mpeg:avc:2015:auxid:1", "urn:mpeg:hevc:2015:auxid:1",
                                      "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"})
    if (auxiliary.substr(0, auxiliary.find('\0')) == name) return true;
  return false;
}

}  // namespace

std::string HeifItem::data() const {
  std::string all;
  for (const std::string_view piece : pieces) all += piece;
  return all;
}

const HeifBox* HeifItem::property(std::string_view wanted) const {
  for (const HeifBox& box : properties)
    if (box.kind == wanted) return &box;
  return nullptr;
}

HeifItems::HeifItems(const PictureSource& picture)
    : picture_(picture),
      file_(reinterpret_cast<const char*>(picture.bytes.data()), picture.bytes.size()) {
  read_meta(only_box(picture, heif_boxes(picture, file_, ""), "meta", true));
}

const HeifItem& HeifItems::item(uint32_t number) const {
  const auto found = items_.find(number);
  if (found == items_.end())
    picture_.refuse("not a readable HEIF: it speaks of an item {}, which is not there", number);
  return found->second;
}

void HeifItems::read_meta(std::string_view meta) {
  HeifFullBox box(picture_, meta, "meta");
  const auto boxes = heif_boxes(picture_, box.numbers.rest(), "meta");
  const auto need = [&](std::string_view kind) { return only_box(picture_, boxes, kind, true); };
  HeifFullBox pitm(picture_, need("pitm"), "pitm");
  primary_ = static_cast<uint32_t>(pitm.numbers.number(pitm.version == 0 ? 2 : 4));
  read_names(need("iinf"));
  read_places(need("iloc"), only_box(picture_, boxes, "idat", false));
  read_properties(need("iprp"));
  read_references(only_box(picture_, boxes, "iref", false));
}

void HeifItems::read_names(std::string_view iinf) {
  HeifFullBox box(picture_, iinf, "iinf");
  box.numbers.number(box.version == 0 ? 2 : 4);  // as many as there are boxes
  for (const HeifBox& entry : heif_boxes(picture_, box.numbers.rest(), "iinf")) {
    if (entry.kind != "infe") continue;
    HeifFullBox infe(picture_, entry.body, "infe");
    const auto number = static_cast<uint32_t>(infe.numbers.number(infe.version >= 3 ? 4 : 2));
    infe.numbers.number(2);  // protection
    HeifItem item;
    if (infe.version >= 2) item.kind = infe.numbers.take(4);
    if (!items_.emplace(number, item).second)
      picture_.refuse("not a readable HEIF: its item {} stands twice", number);
    if (items_.size() > kMaxItems) picture_.refuse("a HEIF of more than {} items", kMaxItems);
  }
}

void HeifItems::read_places(std::string_view iloc, std::string_view idat) {
  HeifFullBox box(picture_, iloc, "iloc");
  HeifNumbers& numbers = box.numbers;
  if (box.version > 2) picture_.refuse("a HEIF whose iloc is of version {}", box.version);
  const auto sizes = static_cast<unsigned>(numbers.number(2));
  const size_t offset_size = sizes >> 12, length_size = sizes >> 8 & 15,
               base_size = sizes >> 4 & 15;
  const size_t index_size = box.version > 0 ? sizes & 15 : 0;
  for (const size_t size : {offset_size, length_size, base_size, index_size})
    if (size != 0 && size != 4 && size != 8)
      picture_.refuse("not a readable HEIF: its iloc has numbers of {} bytes", size);
  const uint64_t count = numbers.number(box.version == 2 ? 4 : 2);
  std::map<uint32_t, bool> placed;
  for (uint64_t i = 0; i < count; ++i) {
    const auto number = static_cast<uint32_t>(numbers.number(box.version == 2 ? 4 : 2));
    const uint64_t method = box.version > 0 ? numbers.number(2) & 15 : 0;
    numbers.number(2);  // which file: this one
    const uint64_t base = numbers.number(base_size);
    const uint64_t extents = numbers.number(2);
    if (!placed.emplace(number, true).second)
      picture_.refuse("not a readable HEIF: its item {} lies in two places", number);
    if (extents > 0 && length_size == 0)
      picture_.refuse("not a readable HEIF: its item {} has no length", number);
    const auto item = items_.find(number);
    for (uint64_t extent = 0; extent < extents; ++extent) {
      numbers.number(index_size);
      const uint64_t offset = numbers.number(offset_size), length = numbers.number(length_size);
      if (item == items_.end()) continue;
      if (method > 1)
        picture_.refuse("a HEIF whose item {} is made by construction method {}", number, method);
      const std::string_view whole = method == 0 ? file_ : idat;
      if (base > whole.size() || offset > whole.size() - base ||
          length > whole.size() - base - offset)
        picture_.refuse("the HEIF is truncated: its item {} lies beyond the end", number);
      // By the standard all of the file, by libheif nothing.
      if (length == 0 && item->second.is_picture())
        picture_.refuse("not a readable HEIF: its item {} has no length", number);
      item->second.pieces.push_back(whole.substr(base + offset, length));
    }
  }
}

void HeifItems::read_properties(std::string_view iprp) {
  const auto boxes = heif_boxes(picture_, iprp, "iprp");
  const auto properties = heif_boxes(picture_, only_box(picture_, boxes, "ipco", true), "ipco");
  for (const HeifBox& box : boxes)
    if (box.kind == "ipma") read_associations(box.body, properties);
}

void HeifItems::read_associations(std::string_view ipma, const std::vector<HeifBox>& properties) {
  HeifFullBox box(picture_, ipma, "ipma");
  const uint64_t entries = box.numbers.number(4);
  for (uint64_t i = 0; i < entries; ++i) {
    const auto number = static_cast<uint32_t>(box.numbers.number(box.version == 0 ? 2 : 4));
    const uint64_t count = box.numbers.number(1);
    const auto item = items_.find(number);
    if (item != items_.end() && !item->second.properties.empty())
      picture_.refuse("not a readable HEIF: the properties of its item {} stand twice", number);
    for (uint64_t k = 0; k < count; ++k) {
      const bool wide = (box.flags & 1) != 0;
      const uint64_t index = box.numbers.number(wide ? 2 : 1) & (wide ? 0x7FFF : 0x7F);
      if (index > properties.size())
        picture_.refuse("not a readable HEIF: its item {} has a property that is not there",
                        number);
      if (index > 0 && item != items_.end())
        item->second.properties.push_back(properties[index - 1]);
    }
  }
}

void HeifItems::read_references(std::string_view iref) {
  if (iref.empty()) return;
  HeifFullBox box(picture_, iref, "iref");
  const size_t bytes = box.version == 0 ? 2 : 4;
  std::map<uint32_t, uint32_t> auxiliary;
  for (const HeifBox& entry : heif_boxes(picture_, box.numbers.rest(), "iref")) {
    HeifNumbers numbers(picture_, entry.body, "iref");
    const auto from = static_cast<uint32_t>(numbers.number(bytes));
    const uint64_t count = numbers.number(2);
    std::vector<uint32_t> to;
    for (uint64_t i = 0; i < count; ++i) to.push_back(static_cast<uint32_t>(numbers.number(bytes)));
    const auto item = items_.find(from);
    if (item == items_.end()) continue;
    if (entry.kind == "dimg") {
      if (!item->second.made_of.empty())
        picture_.refuse("not a readable HEIF: its item {} says twice what it is made of", from);
      item->second.made_of = std::move(to);
    } else if (entry.kind == "auxl" && to.size() == 1) {
      auxiliary[from] = to[0];
    } else if (entry.kind == "prem") {
      item->second.premultiplied = true;
    }
  }
  find_alphas(auxiliary);
}

void HeifItems::find_alphas(const std::map<uint32_t, uint32_t>& auxiliary) {
  for (const auto& [number, of] : auxiliary) {
    const HeifBox* kind = item(number).property("auxC");
    const auto main = items_.find(of);
    if (kind == nullptr || main == items_.end() || of == number) continue;
    if (says_alpha(HeifFullBox(picture_, kind->body, "auxC").numbers.rest()))
      main->second.alpha = number;
  }
}

}  // namespace vitrail
