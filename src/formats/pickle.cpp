#include "formats/pickle.h"

#include <bit>

#include "formats/pickle_reader.h"

namespace vitrail {
namespace {

// Python's pickletools names them so.
enum Opcode : uint8_t {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kDup = '2',
  kBinFloat = 'G',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kNone = 'N',
  kBinPersId = 'Q',
  kReduce = 'R',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinUnicode = 'X',
  kAppend = 'a',
  kBuild = 'b',
  kGlobal = 'c',
  kDict = 'd',
  kEmptyDict = '}',
  kAppends = 'e',
  kBinGet = 'h',
  kInst = 'i',
  kLongBinGet = 'j',
  kList = 'l',
  kEmptyList = ']',
  kObj = 'o',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kSetItem = 's',
  kTuple = 't',
  kEmptyTuple = ')',
  kSetItems = 'u',
  kProto = 0x80,
  kNewObj = 0x81,
  kExt1 = 0x82,
  kExt2 = 0x83,
  kExt4 = 0x84,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kLong4 = 0x8b,
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kEmptySet = 0x8f,
  kAddItems = 0x90,
  kFrozenSet = 0x91,
  kNewObjEx = 0x92,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
  kByteArray8 = 0x96,
};

}  // namespace

void PickleReader::step(uint8_t opcode) {
  switch (opcode) {
    case kProto:
      if (const int protocol = take<uint8_t>(); protocol < 2 || protocol > 5)
        refuse("has protocol {}; 2 to 5 are read", protocol);
      return;
    case kFrame:
      take<uint64_t>();
      return;
    case kStop:
      if (!marks_.empty()) refuse("ends within a group");
      stopped_ = true;
      return;

    case kMark:
      if (marks_.size() >= kMaxPickleDepth) refuse("is nested deeper than {}", kMaxPickleDepth);
      marks_.push_back(stack_.size());
      return;
    case kPop:
      pop();
      return;
    case kPopMark:
      pop_to_mark();
      return;
    case kDup:
      stack_.push_back(top());
      if (stack_.size() > kMaxPickleValues) refuse("holds more than {} values", kMaxPickleValues);
      return;

    case kNone:
      return push({});
    case kNewTrue:
      return push_integer(Kind::boolean, 1);
    case kNewFalse:
      return push_integer(Kind::boolean, 0);
    case kBinInt:
      return push_integer(Kind::integer, take<int32_t>());
    case kBinInt1:
      return push_integer(Kind::integer, take<uint8_t>());
    case kBinInt2:
      return push_integer(Kind::integer, take<uint16_t>());
    case kLong1:
      return push_long(take_bytes(take<uint8_t>()));
    case kLong4:
      return push_long(take_bytes(take<uint32_t>()));
    case kBinFloat:  // big-endian
      return push_integer(Kind::real, std::bit_cast<int64_t>(__builtin_bswap64(take<uint64_t>())));

    case kBinString:
    case kBinUnicode:
      return push_text(Kind::text, take_bytes(take<uint32_t>()));
    case kShortBinString:
    case kShortBinUnicode:
      return push_text(Kind::text, take_bytes(take<uint8_t>()));
    case kBinUnicode8:
      return push_text(Kind::text, take_bytes(take<uint64_t>()));
    case kBinBytes:
      return push_text(Kind::bytes, take_bytes(take<uint32_t>()));
    case kShortBinBytes:
      return push_text(Kind::bytes, take_bytes(take<uint8_t>()));
    case kBinBytes8:
    case kByteArray8:
      return push_text(Kind::bytes, take_bytes(take<uint64_t>()));

    case kEmptyTuple:
      return push_container(Kind::tuple, {});
    case kTuple1:
      return push_container(Kind::tuple, pop_several(1));
    case kTuple2:
      return push_container(Kind::tuple, pop_several(2));
    case kTuple3:
      return push_container(Kind::tuple, pop_several(3));
    case kTuple:
      return push_container(Kind::tuple, pop_to_mark());
    case kEmptyList:
      return push_container(Kind::list, {});
    case kList:
      return push_container(Kind::list, pop_to_mark());
    case kEmptyDict:
      return push_container(Kind::dict, {});
    case kDict:
      return push_container(Kind::dict, pop_to_mark());
    case kEmptySet:
      return push_container(Kind::set, {});
    case kFrozenSet:
      return push_container(Kind::set, pop_to_mark());
    case kAppend:
      return extend(Kind::list, pop_several(1));
    case kAppends:
      return extend(Kind::list, pop_to_mark());
    case kSetItem:
      return extend(Kind::dict, pop_several(2));
    case kSetItems:
      return extend(Kind::dict, pop_to_mark());
    case kAddItems:
      return extend(Kind::set, pop_to_mark());

    case kBinPut:
      return memoize(take<uint8_t>());
    case kLongBinPut:
      return memoize(take<uint32_t>());
    case kMemoize:
      return memoize(memo_.size());
    case kBinGet:
      return recall(take<uint8_t>());
    case kLongBinGet:
      return recall(take<uint32_t>());

    case kGlobal: {
      const std::string_view module = take_line();
      return push_global(module, take_line());
    }
    case kStackGlobal: {
      const uint32_t name = pop(), module = pop();
      if (value(name).kind != Kind::text || value(module).kind != Kind::text)
        refuse("names a global by something else than text");
      return push_global(value(module).text, value(name).text);
    }
    case kBinPersId:
      return push_storage();
    case kReduce:
      return reduce();
    case kNewObj: {
      pop();  // the constructor's arguments
      return new_object(pop());
    }
    case kNewObjEx: {
      pop();
      pop();
      return new_object(pop());
    }
    case kBuild:
      return build();

    case kInst: {
      const std::string_view module = take_line();
      refuse_call(std::string(module) + " " + std::string(take_line()));
    }
    case kObj: {
      const std::vector<uint32_t> items = pop_to_mark();
      if (items.empty() || value(items[0]).kind != Kind::global) refuse_code("a value");
      refuse_call(value(items[0]).text);
    }
    case kExt1:
    case kExt2:
    case kExt4:
      refuse_code("an entry of copyreg's extension registry");
    default:
      refuse("has the opcode 0x{:02x} at byte {}, which no torch.save writes", opcode, at_ - 1);
  }
}

Pickle parse_pickle(std::span<const std::byte> bytes, const std::string& place) {
  if (bytes.size() > kMaxPickleBytes) bytes = bytes.first(kMaxPickleBytes);
  return PickleReader(bytes, place).read();
}

}  // namespace vitrail
