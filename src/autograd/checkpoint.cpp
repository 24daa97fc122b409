#include "autograd/checkpoint.h"

#include <algorithm>
#include <memory>

namespace vitrail {
namespace {

// What the second run needs, for all outputs together.
struct Replay {
  Context context;  // the nested tape replaces the tape; what listens saw it once
  Segment segment;
  std::vector<Variable> inputs;
  std::vector<SavedTensor> saved;
  std::vector<Tensor> gradients;  // of each output; undefined where none came
};

std::shared_ptr<Replay> replay_of(const Context& context, std::span<const Variable> inputs,
                                  Segment segment, size_t outputs) {
  auto replay = std::make_shared<Replay>(Replay{context,
                                                std::move(segment),
                                                {inputs.begin(), inputs.end()},
                                                {},
                                                std::vector<Tensor>(outputs)});
  replay->context.tape = nullptr;
  replay->context.probe = nullptr;
  replay->context.running = nullptr;
  replay->context.observer = nullptr;
  for (const Variable& input : inputs) replay->saved.emplace_back(input.value());
  return replay;
}

// Inputs that begin a tape of their own.
std::vector<Variable> leaves_of(std::span<const Variable> inputs) {
  std::vector<Variable> leaves;
  for (const Variable& input : inputs)
    leaves.push_back(input.needs_gradient() ? Variable::leaf(input.value()) : input);
  return leaves;
}

void run_again(Queue& queue, const Replay& replay) {
  Tape nested;
  Context inner = replay.context;
  inner.tape = &nested;
  for (const SavedTensor& saved : replay.saved) (void)saved.get();  // throws if one was changed
  const std::vector<Variable> leaves = leaves_of(replay.inputs);
  const std::vector<Variable> outputs = replay.segment(inner, leaves);
  std::vector<Tape::Seed> seeds;
  for (size_t i = 0; i < outputs.size(); ++i)
    if (replay.gradients[i].defined()) seeds.push_back({outputs[i], replay.gradients[i]});
  nested.backward(queue, seeds);
  for (size_t i = 0; i < leaves.size(); ++i)
    if (replay.inputs[i].needs_gradient() && leaves[i].slot()->has_gradient())
      replay.inputs[i].slot()->accumulate(queue, leaves[i].slot()->take());
}

// The outputs of a first run, on a tape that is thrown away: what is recorded may round otherwise
// than what is not, and the second run must repeat the first to the bit.
struct FirstRun {
  std::vector<Variable> outputs;  // an input that is handed through is that input
  std::vector<bool> recorded;
};

FirstRun run_first(const Context& context, std::span<const Variable> inputs,
                   const Segment& segment) {
  Tape discarded;
  Context inner = context;
  inner.tape = &discarded;
  const std::vector<Variable> leaves = leaves_of(inputs);
  FirstRun run{.outputs = segment(inner, leaves), .recorded = {}};
  for (Variable& output : run.outputs) {
    run.recorded.push_back(discarded.recorded(output));
    if (run.recorded.back()) output = output.value();
    for (size_t i = 0; i < leaves.size(); ++i)
      if (output.needs_gradient() && output.slot() == leaves[i].slot()) output = inputs[i];
  }
  return run;
}

}  // namespace

std::vector<Variable> checkpoint(const Context& context, std::span<const Variable> inputs,
                                 Segment segment) {
  if (context.tape == nullptr) return segment(context, inputs);
  FirstRun run = run_first(context, inputs, segment);
  const auto count = std::ranges::count(run.recorded, true);
  if (count == 0) return run.outputs;
  const auto replay = replay_of(context, inputs, std::move(segment), run.outputs.size());
  const auto first =
      static_cast<size_t>(std::ranges::find(run.recorded, true) - run.recorded.begin());
  if (count == 1) {
    Variable& output = run.outputs[first];
    output = context.tape->record("checkpoint", output.value(), inputs,
                                  [replay, first](Queue& queue, const Tensor& gradient) {
                                    replay->gradients[first] = gradient;
                                    run_again(queue, *replay);
                                  });
    return run.outputs;
  }
  // An operation of the tape has one output. So each output is one, which keeps its gradient; they
  // all hang on one more, without elements, that is walked after them and runs the segment.
  const Variable joint =
      context.tape->record("checkpoint", Tensor::empty({0}), inputs,
                           [replay](Queue& queue, const Tensor&) { run_again(queue, *replay); });
  for (size_t i = 0; i < run.outputs.size(); ++i) {
    if (!run.recorded[i]) continue;
    run.outputs[i] = context.tape->record(
        "checkpoint", run.outputs[i].value(), {joint},
        [replay, i, slot = joint.slot()](Queue& queue, const Tensor& gradient) {
          replay->gradients[i] = gradient;
          slot->accumulate(queue, Tensor::empty({0}));
        });
  }
  return run.outputs;
}

Variable checkpoint(const Context& context, const Variable& input,
                    std::function<Variable(const Context&, const Variable&)> segment) {
  return checkpoint(
      context, std::span(&input, 1),
      [segment = std::move(segment)](const Context& inner, std::span<const Variable> inputs) {
        return std::vector<Variable>{segment(inner, inputs[0])};
      })[0];
}

}  // namespace vitrail
