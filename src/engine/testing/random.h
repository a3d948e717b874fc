// Random choices and tensors. For tests.
#pragma once

#include <initializer_list>
#include <random>

#include "tensor/tensor.h"

namespace oriel::engine::testing {

class Random {
 public:
  explicit Random(uint32_t seed) : generator_(seed) {}

  int Int(int least, int most) {
    return std::uniform_int_distribution<int>(least, most)(generator_);
  }
  bool Bool() { return Int(0, 1) == 1; }
  template <typename T>
  T Pick(std::initializer_list<T> list) {
    return list.begin()[Int(0, static_cast<int>(list.size()) - 1)];
  }
  Tensor Floats(const Shape& shape, float least = -1, float most = 1) {
    Tensor tensor(DType::kFloat32, shape);
    std::uniform_real_distribution<float> values(least, most);
    for (float& v : tensor.mutable_data<float>()) v = values(generator_);
    return tensor;
  }

 private:
  std::mt19937 generator_;
};

}  // namespace oriel::engine::testing
