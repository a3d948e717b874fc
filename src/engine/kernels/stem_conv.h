// Convolutions of images of few channels, such as a network's first.
#pragma once

#include <memory>

#include "engine/kernels/conv.h"

namespace oriel::engine::kernels {

// Whether MakeStemConv serves, and is the faster way.
bool IsStem(const ConvShape& shape);
std::unique_ptr<Conv> MakeStemConv(const ConvShape& shape, int threads,
                                   const KernelTable& table);

}  // namespace oriel::engine::kernels
