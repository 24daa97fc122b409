// Fine-tuning: from a checkpoint of any family and pictures in folders to a model of their classes,
// with every choice made and said.
//
// It begins with a linear probe: features computed once, a classifier fitted to them. The other
// methods start from the probe's head, so that the first steps do not spoil the backbone (Kumar et
// al., "Fine-tuning can distort pretrained features", 2022), and are kept only where they do better
// on validation pictures.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "image/preprocess/preprocess.h"
#include "models/lora.h"
#include "models/transfer.h"
#include "train/run/run_data.h"
#include "train/run/trainer.h"

namespace vitrail {

enum class FinetuneMethod : uint8_t {
  automatic,  // by the number of pictures, the size of the model and what the probe answers
  probe,      // the head alone
  lora,       // low-rank adapters and the head
  partial,    // the last blocks and the head
  full,
};
const char* name_of(FinetuneMethod method);
FinetuneMethod finetune_method_from_name(const std::string& name);  // Error: lists the names

struct FinetuneOptions {
  std::string data;       // a data set's spec
  Preprocess preprocess;  // the checkpoint's
  std::string base_name;  // of the checkpoint, for people
  FinetuneMethod method = FinetuneMethod::automatic;
  double minutes = 10;  // training may take, on the machine of kNominalRate (finetune_plan.h)
  std::string group;    // data/held_out.h, when validation pictures are split off
  double val_fraction = 0.2;
  int64_t seed = 0;
  std::optional<int64_t> epochs, batch_size, blocks, rank;
  std::optional<double> learning_rate, layer_decay;
  std::vector<std::pair<std::string, std::string>> settings;  // of TrainConfig
  const SplitRecord* base_split = nullptr;  // what the checkpoint learned from, where that is known
  std::string resume_command;               // that continues the run, for its page
  // run.out is the folder; with run.resume an interrupted run goes on; run.stop is asked within the
  // probe, too.
  RunOptions run;
};

struct Measured {
  int64_t correct = 0, pictures = 0;         // of several classes a picture: exact matches
  std::optional<double> map = std::nullopt;  // then: the mean average precision
  // What chooses between models; only compared with others of the same pictures.
  double score() const { return map.value_or(static_cast<double>(correct)); }
  std::string text() const;  // "91.2% ...", "mAP 71.3%, exact match 40.1% ..."
};
// The right answers of an evaluation, as counts.
Measured measured(const Evaluation& evaluation);

struct FinetuneResult {
  bool interrupted = false;  // run.resume goes on, or begins again with the probe
  FinetuneMethod method = FinetuneMethod::probe;  // that made the model
  // What would have been tried, had the probe not won (finetune_plan.h).
  std::optional<FinetuneMethod> spared;
  Measured probe, validation;
  std::optional<Measured> test;
  // Of the validation pictures, those that are copies of training pictures, or that the checkpoint
  // or a teacher learned from.
  int64_t validation_learned = 0;
  int64_t parameters = 0, trained_parameters = 0;
  std::vector<std::string> classes;
  double seconds = 0;
  RunData data;  // the pictures, for who goes on with them
};

// The set's own validation pictures, or a part of the training ones; never its test pictures. With
// run.resume as the run in run.out divided them. Error: as open_pictures; a rule that is not the
// run's; training pictures of one class.
RunData open_finetune_data(const FinetuneOptions& options);

// Writes the run (train/run/trainer.h), finetune.json (what was chosen and measured), the model in
// our own form and, of lora, adapter/ in PEFT's. on_message is told each choice. Errors: those of
// the data and of training.
FinetuneResult finetune(const Checkpoint& checkpoint, const FinetuneOptions& options);

}  // namespace vitrail
