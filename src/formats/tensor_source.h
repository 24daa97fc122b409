// TensorSource: named tensors, wherever they are stored: one file, shards, or memory.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace vitrail {

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

struct TensorInfo {
  DType dtype = DType::f32;
  Shape shape;
  size_t bytes() const { return static_cast<size_t>(shape.numel()) * size_of(dtype); }
};

// Rows of integers, each with a scale: x[n, ...] = scales[n] * values[n, ...].
struct QuantizedTensor {
  Tensor values;  // i8 [N, ...]
  Tensor scales;  // f32 [N]
};

class TensorSource {
 public:
  virtual ~TensorSource() = default;

  virtual std::vector<std::string> names() const = 0;                      // ascending
  virtual const TensorInfo* find(std::string_view name) const = 0;         // nullptr: not there
  virtual Tensor tensor(std::string_view name) const = 0;                  // Error: not there
  virtual const std::map<std::string, std::string>& metadata() const = 0;  // may be empty
  // A tensor that is stored as integers with scales, as it is stored: tensor() gives the floats
  // that they stand for. Nothing: it is stored in another way, or is not there.
  virtual std::optional<QuantizedTensor> quantized(std::string_view name) const;
  // What messages call it: the file's path, or "memory".
  virtual const std::string& place() const = 0;
  // What the reader had to choose or leave out, in words.
  virtual const std::vector<std::string>& notes() const;
  // The Python class of a module that was saved whole, "timm.models.eva.Eva"; else empty. Names and
  // shapes of tensors may agree where classes differ in what they compute.
  virtual const std::string& module_class() const;
  // What such a module says of itself, as JSON (formats/module_fields.h); else empty.
  virtual const std::string& module_fields() const;

  bool contains(std::string_view name) const { return find(name) != nullptr; }
  // Error: not there.
  const TensorInfo& info(std::string_view name) const;
};

// Tensors that live in memory already. Error: a name twice, or a tensor that holds nothing.
class MemoryTensors : public TensorSource {
 public:
  explicit MemoryTensors(const NamedTensors& tensors,
                         std::map<std::string, std::string> metadata = {},
                         std::string place = "memory");
  std::vector<std::string> names() const override;
  const TensorInfo* find(std::string_view name) const override;
  Tensor tensor(std::string_view name) const override;
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }
  const std::string& place() const override { return place_; }

 private:
  struct Entry {
    TensorInfo info;
    Tensor tensor;
  };
  std::map<std::string, Entry, std::less<>> entries_;
  std::map<std::string, std::string> metadata_;
  std::string place_;
};

}  // namespace vitrail
