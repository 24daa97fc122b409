#include "autograd/tape.h"

#include <algorithm>

#include "kernels/elementwise.h"

namespace vitrail {

void GradientSlot::accumulate(Queue& queue, Tensor contribution) {
  if (!gradient_.defined()) {
    gradient_ = std::move(contribution);
    return;
  }
  check(gradient_.shape() == contribution.shape(), "autograd",
        "a gradient of {} was added to one of {}", contribution.shape().str(),
        gradient_.shape().str());
  kernels::add(queue, {.count = gradient_.numel(),
                       .a = gradient_.f32(),
                       .b = contribution.f32(),
                       .out = gradient_.f32()});
  gradient_.storage()->bump_version();
}

Tensor GradientSlot::accumulator(const Shape& shape) {
  if (!gradient_.defined()) gradient_ = Tensor::zeros(shape);
  gradient_.storage()->bump_version();
  return gradient_;
}

void GradientSlot::finish_use() {
  if (--pending_uses_ == 0 && on_ready) on_ready();
}

const Tensor& SavedTensor::get() const {
  check(!tensor_.defined() || tensor_.storage()->version() == version_, "autograd",
        "a tensor {} saved for the backward pass was changed in place since",
        tensor_.shape().str());
  return tensor_;
}

Tape::~Tape() {
  if (walked_) return;
  for (const Node& node : nodes_)
    for (const auto& input : node.inputs) input->forget_use();
}

Variable Tape::record(const char* operation, Tensor output, std::span<const Variable> inputs,
                      Backward backward) {
  Node node{.operation = operation,
            .output = std::make_shared<GradientSlot>(),
            .output_shape = output.shape(),
            .inputs = {},
            .backward = std::move(backward)};
  for (const Variable& input : inputs) {
    if (!input.needs_gradient()) continue;
    input.slot()->add_use();
    node.inputs.push_back(input.slot());
  }
  nodes_.push_back(std::move(node));
  return {std::move(output), nodes_.back().output};
}

bool Tape::recorded(const Variable& variable) const {
  return variable.needs_gradient() &&
         std::ranges::find(nodes_, variable.slot(), &Node::output) != nodes_.end();
}

void Tape::backward(Queue& queue, const Variable& output, Tensor seed) {
  const Seed one{output, std::move(seed)};
  backward(queue, std::span(&one, 1));
}

void Tape::backward(Queue& queue, std::span<const Seed> seeds) {
  check(!walked_, "autograd", "this tape was already walked: record a new forward pass");
  for (const Seed& seed : seeds) {
    check(recorded(seed.output), "autograd", "backward needs an output that this tape recorded");
    check(!seed.gradient.defined() || seed.gradient.shape() == seed.output.shape(), "autograd",
          "a seed of {} does not fit an output of {}", seed.gradient.shape().str(),
          seed.output.shape().str());
  }
  walked_ = true;
  for (const auto& [output, gradient] : seeds)
    output.slot()->accumulate(queue,
                              gradient.defined() ? gradient : Tensor::full(output.shape(), 1.0f));
  for (auto node = nodes_.rbegin(); node != nodes_.rend(); ++node) {
    const Tensor gradient = node->output->take();
    if (gradient.defined()) {
      check(gradient.shape() == node->output_shape, "autograd",
            "{} received a gradient of {} for an output of {}", node->operation,
            gradient.shape().str(), node->output_shape.str());
      node->backward(queue, gradient);
    }
    node->backward = nullptr;
    for (const auto& input : node->inputs) input->finish_use();
    node->inputs.clear();
  }
  nodes_.clear();
}

}  // namespace vitrail
