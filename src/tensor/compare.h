// How far two tensors are from each other.
#pragma once

#include <string>

#include "base/status.h"
#include "tensor/tensor.h"

namespace oriel {

struct Tolerance {
  double absolute = 1e-6;
  // Of the largest absolute value of the first tensor: a sum's rounding errors are as
  // large as its summands, not as what is left of them.
  double relative = 1e-4;
};

struct TensorDifference {
  // Empty: types and shapes are the same. Otherwise both in words, and nothing else
  // below is set.
  std::string mismatch;
  Shape shape;           // of both
  double scale = 0;      // the largest absolute value of the first that is finite
  double largest = 0;    // |a - b|; infinity where only one is finite, or a NaN
  double rms = 0;        // root of the mean of (a - b)^2 where both are finite
  int64_t position = 0;  // of the largest, row-major
  double a = 0, b = 0;   // there
  int64_t outside = 0;   // elements beyond the tolerance

  bool within_tolerance() const { return mismatch.empty() && outside == 0; }
};

// Numbers of every type; strings are compared as they are, where `largest` is 0 or 1.
// NaN equals NaN, infinity equals infinity of the same sign.
TensorDifference CompareTensors(const Tensor& a, const Tensor& b,
                                const Tolerance& tolerance);

}  // namespace oriel
