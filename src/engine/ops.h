// The table of operations: all that the engine can run.
//
// To add one: its shape rule and attributes in ops/, its kernel in ref/, where it
// is worth it a lowering in onednn/, one line in ops.cc, cases in
// testdata/engine/generators.
#pragma once

#include <span>
#include <string_view>

#include "base/status.h"
#include "engine/array_view.h"
#include "engine/ir.h"

namespace oriel::engine {

class OpSetup;
namespace onednn {
class Lowering;
}

// Reads a node's attributes, checks its inputs, says what comes out.
using SetupFn = absl::Status (*)(OpSetup& setup);

// Computes `out` from `in`, all row-major, without the epilogue. Allocates
// nothing, cannot fail: setup has checked everything.
using RefFn = void (*)(const Op& op, std::span<const ConstArray> in,
                       std::span<const Array> out);

// Adds the steps that compute the operation, epilogue included. False: not in
// this form (the reference kernel is taken; only where there is no epilogue).
using OneDnnFn = absl::StatusOr<bool> (*)(onednn::Lowering& lowering, const Op& op);

struct OpType {
  const char* name;  // TensorFlow's
  SetupFn setup;
  RefFn ref;        // null where setup forwards inputs and no work remains
  OneDnnFn onednn;  // null: the reference kernel serves
  // Worth computing at compile time when all inputs are constant. Operations with a
  // kernel that are not make a network: DynamicPlan leaves them to a Plan.
  bool foldable;
  const char* limits = "";  // what is not supported, for docs/supported_ops.md
};

// By name.
std::span<const OpType> OpTable();
// nullptr when the engine does not have it.
const OpType* FindOp(std::string_view name);

}  // namespace oriel::engine
