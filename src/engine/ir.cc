#include "engine/ir.h"

#include <algorithm>

namespace oriel::engine {

Constant::Constant(std::string key, Tensor tensor)
    : key_(std::move(key)), tensor_(std::move(tensor)) {}

Constant::Constant(std::string key, std::function<Tensor()> make)
    : key_(std::move(key)), make_(std::move(make)) {}

Constant::Constant(std::string key, std::shared_ptr<const Constant> of, Shape shape)
    : key_(std::move(key)),
      of_(of->of_ != nullptr ? of->of_ : std::move(of)),
      shape_(std::move(shape)) {}

const Tensor& Constant::tensor() const {
  if (!tensor_) {
    tensor_ = of_ != nullptr ? of_->tensor().Reshaped(shape_) : make_();
    make_ = nullptr;
  }
  return *tensor_;
}

Tensor Constant::MakeTensor() const {
  if (tensor_) return *tensor_;
  return of_ != nullptr ? of_->MakeTensor().Reshaped(shape_) : make_();
}

std::string DerivedKey(std::string_view what, std::span<const std::string> keys) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  const auto mix = [&hash](std::string_view text) {
    for (const char c : text) {
      hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
    }
    hash = (hash ^ 0xff) * 0x100000001b3;  // never in UTF-8: ends the text
  };
  for (const std::string& key : keys) mix(key);
  return fmt::format("{}#{:016x}", what, hash);
}

std::vector<int> Ir::CountUses() const {
  std::vector<int> uses(values.size(), 0);
  for (const Op& op : ops) {
    for (const ValueId input : op.inputs) ++uses[input];
  }
  for (const ValueId output : outputs) ++uses[output];
  return uses;
}

void Ir::RemoveDeadOps() {
  std::vector<bool> needed(values.size(), false);
  for (const ValueId output : outputs) needed[output] = true;
  std::vector<bool> keep(ops.size(), false);
  for (size_t i = ops.size(); i-- > 0;) {
    keep[i] = std::any_of(ops[i].outputs.begin(), ops[i].outputs.end(),
                          [&](ValueId v) { return needed[v]; });
    if (!keep[i]) continue;
    for (const ValueId input : ops[i].inputs) needed[input] = true;
  }
  size_t next = 0;
  for (size_t i = 0; i < ops.size(); ++i) {
    if (!keep[i]) continue;
    if (next != i) ops[next] = std::move(ops[i]);
    ++next;
  }
  ops.resize(next);
}

}  // namespace oriel::engine
