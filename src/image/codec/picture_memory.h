// The memory that decoding takes, bounded for each picture by its file and for all pictures
// together: whoever would go beyond the budget waits until others are done.
//
// Rows that are decoded, shrunk and forgotten are not counted. What is counted holds a whole
// picture: interlaced, progressive, turned, or of a codec that gives nothing less.
#pragma once

#include <cstdint>

namespace vitrail {

// Taken by a picture however small its file is: 44 million pixels in colour.
inline constexpr uint64_t kFreePictureBytes = uint64_t{128} << 20;
// Beyond that, decoded bytes for each byte of the file. A photograph takes 3 to 60, a drawing up to
// 200; a file that announces more holds one colour, or an attack.
inline constexpr uint64_t kPictureBytesPerFileByte = 256;

// What a picture of a file of this size may take to decode.
uint64_t picture_memory_limit(uint64_t file_bytes);

// What all pictures may take at once: a quarter of the machine's memory, from 256 MiB to 2 GiB.
uint64_t picture_memory_budget();
// What they take now.
uint64_t picture_memory_in_use();

// A share of the budget, given back at the end. A thread that holds a share already gets another
// without waiting, so no two wait for each other.
class PictureMemory {
 public:
  PictureMemory() = default;
  // Waits until the budget has room. `bytes` at most the budget.
  explicit PictureMemory(uint64_t bytes);
  PictureMemory(PictureMemory&& other) noexcept : bytes_(other.bytes_) { other.bytes_ = 0; }
  PictureMemory& operator=(PictureMemory&& other) noexcept;
  ~PictureMemory();

 private:
  uint64_t bytes_ = 0;
};

}  // namespace vitrail
