// A checkpoint of any family as the start of another training: new classes, another picture size.
#pragma once

#include <string>
#include <vector>

#include "models/families/checkpoint.h"
#include "models/network.h"

namespace vitrail {

// Whether a parameter belongs to the head, or to that of distillation.
bool is_head(const Parameter& parameter);

struct TransferOptions {
  // In the order of the new logits. When they are the checkpoint's own, its head is kept.
  std::vector<std::string> classes;
  bool multi_label = false;  // a picture may show several of them
  uint64_t seed = 0;         // of what is new
  double drop_path = 0;      // of the last block while training
};

// What became of the checkpoint's weights.
struct TransferReport {
  int64_t loaded = 0;                 // parameters taken as they are
  std::vector<std::string> resized;   // "pos_embed from 14x14 to 24x24"
  std::vector<std::string> fresh;     // new ones with their initial values
  std::vector<std::string> left_out;  // the checkpoint's that have no place
  std::string summary() const;        // one line
};

// The configuration to train: the checkpoint's with these classes, and a position table of the
// picture's own grid; its answer is softmax, of several classes a picture sigmoid, whatever the
// checkpoint's is. Error: fewer than two classes, or none of several a picture.
NetworkConfig transfer_config(const Checkpoint& checkpoint, const TransferOptions& options);

// Gives a model of that configuration its values, each in memory of its own (the file's is
// read-only); positions are resized by the family's rule. Error: a weight that is not finite.
TransferReport load_for_transfer(Network& model, const Checkpoint& checkpoint,
                                 const TransferOptions& options);

// Freezes everything but the heads, the last norms and the last `blocks` blocks.
void freeze_all_but_last(Network& model, int64_t blocks);

}  // namespace vitrail
