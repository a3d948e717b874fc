// Depthwise convolutions that our own kernels compute together with the pointwise ones
// around them.
#pragma once

#include <string_view>

#include "engine/ir.h"

namespace oriel::engine::onednn {

constexpr std::string_view kDepthwiseBlock = "DepthwiseBlock";  // the OpType's name

// Makes one operation of a depthwise convolution and the pointwise ones before and
// after it, where nothing else reads the values between and kernels::ChooseDepthwiseBlock
// says that it pays. As it is where this CPU has no kernels of ours.
Ir FuseDepthwiseBlocks(const Ir& ir, int threads);

}  // namespace oriel::engine::onednn
