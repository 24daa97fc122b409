#include "autograd/checkpoint.h"

namespace vitrail {

Variable checkpoint(const Context& context, const Variable& input,
                    std::function<Variable(const Context&, const Variable&)> segment) {
  if (context.tape == nullptr) return segment(context, input);
  // A tape that is thrown away: what is recorded may round otherwise than what is not, and the
  // second run must repeat the first to the bit.
  Tensor output;
  {
    Tape discarded;
    Context first = context;
    first.tape = &discarded;
    output = segment(first, Variable::leaf(input.value())).value();
  }
  Context replay = context;  // the nested tape replaces the tape; what listens saw it once
  replay.tape = nullptr;
  replay.probe = nullptr;
  replay.running = nullptr;
  replay.observer = nullptr;
  return context.tape->record(
      "checkpoint", std::move(output), {input},
      [replay, input, segment = std::move(segment), saved = SavedTensor(input.value())](
          Queue& queue, const Tensor& gradient) {
        Tape nested;
        Context inner = replay;
        inner.tape = &nested;
        const Variable leaf = Variable::leaf(saved.get());
        const Variable output_again = segment(inner, leaf);
        nested.backward(queue, output_again, gradient);
        if (input.needs_gradient() && leaf.slot()->has_gradient())
          input.slot()->accumulate(queue, leaf.slot()->take());
      });
}

}  // namespace vitrail
