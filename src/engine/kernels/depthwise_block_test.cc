#include "engine/kernels/depthwise_block.h"

#include "engine/kernels/testing/conv_testing.h"

namespace oriel::engine::kernels {
namespace {

struct Case {
  int64_t batch, h, w;
  int64_t in, between, out;  // channels; 0: no such layer
  int64_t kernel, stride;
  int64_t dilation = 1;
  bool same = true;
  bool slices = false;  // of wider images
  bool residual = false;
  bool clamp = true;

  std::string Describe() const {
    return fmt::format("{}x{}x{}, {} -> {} -> {}, {}x{} stride {} dilation {}{}", batch,
                       h, w, in, between, out, kernel, kernel, stride, dilation,
                       same ? "" : " valid");
  }

  DepthwiseBlockShape Shape() const {
    DepthwiseBlockShape shape;
    shape.depthwise = DenseShape(batch, h, w, between, between, kernel, kernel, stride,
                                 same, dilation, dilation);
    const ConvShape& dw = shape.depthwise;
    if (in > 0) shape.expand = DenseShape(batch, h, w, in, between, 1, 1, 1, true);
    if (out > 0) {
      shape.project = DenseShape(batch, dw.dst_h, dw.dst_w, between, out, 1, 1, 1, true);
    }
    if (slices) {
      (in > 0 ? *shape.expand : shape.depthwise).src_pitch += 3;
      ConvShape& last = out > 0 ? *shape.project : shape.depthwise;
      last.dst_pitch += 5;
      last.residual_pitch += 2;
    }
    return shape;
  }
};

class DepthwiseBlockTest : public KernelTest {
 protected:
  // The largest difference from double precision, in standard deviations.
  double BlockError(const Case& c, const DepthwiseBlockWay& way, int threads) {
    const DepthwiseBlockShape shape = c.Shape();
    const auto block = MakeDepthwiseBlock(shape, way, threads, *table_);
    const ConvShape& dw = shape.depthwise;
    const ConvShape& first = shape.expand ? *shape.expand : dw;
    const ConvShape& last = shape.project ? *shape.project : dw;
    std::mt19937 random(7);
    const auto src = RandomFloats(c.batch * c.h * c.w * first.src_pitch, random);
    const int64_t pixels = c.batch * dw.dst_h * dw.dst_w;
    std::vector<float> residual;
    if (c.residual) residual = RandomFloats(pixels * last.residual_pitch, random);
    struct Layer {
      std::vector<float> weights, bias;
    } layers[3];
    const int64_t ins[] = {c.in, 1, c.between}, outs[] = {c.between, c.between, c.out};
    for (int i = 0; i < 3; ++i) {
      const int64_t taps = i == 1 ? c.kernel * c.kernel : 1;
      layers[i] = {RandomFloats(taps * ins[i] * outs[i], random),
                   RandomFloats(outs[i], random)};
    }
    const Bounds clamps[] = {{0.0f, 1.5f}, {-1.0f, 2.0f}, {0.0f, 3.0f}};
    const Bounds clamp = c.clamp ? clamps[2] : Bounds{};

    std::vector<float> packed(block->packed_floats(), NAN);
    const auto layer = [&](int i, bool there) {
      return there ? DepthwiseBlock::LayerWeights{layers[i].weights, layers[i].bias}
                   : DepthwiseBlock::LayerWeights{};
    };
    block->Pack(layer(0, c.in > 0), layer(1, true), layer(2, c.out > 0), packed);
    std::vector<float> dst(pixels * last.dst_pitch, kUntouched);
    RunAll(*block,
           DepthwiseBlockArgs{.src = src.data(),
                              .weights = packed.data(),
                              .residual = c.residual ? residual.data() : nullptr,
                              .dst = dst.data(),
                              .expand = clamps[0],
                              .depthwise = c.out > 0 ? clamps[1] : clamp,
                              .project = clamp},
           threads);

    std::vector<double> at(src.begin(), src.end());
    ConvShape dense = dw;
    if (c.in > 0) {
      at = DoubleConv<double>(*shape.expand, false, at, layers[0].weights, layers[0].bias,
                              {}, clamps[0].low, clamps[0].high);
      dense.src_pitch = c.between;
    }
    if (c.out > 0) {
      at = DoubleConv<double>(dense, true, at, layers[1].weights, layers[1].bias, {},
                              clamps[1].low, clamps[1].high);
      at = DoubleConv<double>(last, false, at, layers[2].weights, layers[2].bias,
                              residual, clamp.low, clamp.high);
    } else {
      at = DoubleConv<double>(dense, true, at, layers[1].weights, layers[1].bias,
                              residual, clamp.low, clamp.high);
    }
    return Error(last, dst, at, -INFINITY, INFINITY);
  }

  void Check(Case c) {
    for (const bool variant : {false, true}) {
      if (variant) {
        c.slices = c.residual = true;
        c.clamp = !c.clamp;
      }
      for (const int threads : {1, 2, 3, 4}) {
        for (const int64_t lines : {1, 2, 3, 100}) {
          SCOPED_TRACE(
              fmt::format("{}, {} threads, {} lines", c.Describe(), threads, lines));
          EXPECT_LT(BlockError(c, {.lines = lines}, threads), 1e-5);
          if (c.out == 0) {
            EXPECT_LT(BlockError(c, {.by_channels = true, .lines = lines}, threads),
                      1e-5);
          }
        }
      }
    }
  }
};

class QuickBlock : public DepthwiseBlockTest {};

TEST_F(QuickBlock, EachKind) {
  for (const auto& [in, out] : {std::pair(3, 20), std::pair(0, 37), std::pair(5, 0)}) {
    for (const int64_t kernel : {3, 5}) {
      for (const int64_t stride : {1, 2}) {
        Check({.batch = 1,
               .h = 5,
               .w = 6,
               .in = in,
               .between = 53,
               .out = out,
               .kernel = kernel,
               .stride = stride});
      }
    }
  }
}

TEST_F(DepthwiseBlockTest, IsTheSum) {
  for (const int64_t kernel : {3, 5}) {
    for (const int64_t stride : {1, 2}) {
      for (const bool same : {true, false}) {
        for (const int64_t between : {24, 53}) {
          for (const auto& [in, out] :
               {std::pair(9, 20), std::pair(0, 20), std::pair(9, 0)}) {
            Check({.batch = 2,
                   .h = 9,
                   .w = 11,
                   .in = in,
                   .between = between,
                   .out = out,
                   .kernel = kernel,
                   .stride = stride,
                   .same = same});
          }
        }
      }
    }
  }
}

TEST_F(DepthwiseBlockTest, OddShapes) {
  for (const auto& [in, out] : {std::pair(5, 7), std::pair(0, 7), std::pair(5, 0)}) {
    const Case base{.batch = 1,
                    .h = 1,
                    .w = 1,
                    .in = in,
                    .between = 131,
                    .out = out,
                    .kernel = 3,
                    .stride = 1};
    Check(base);  // of one pixel
    Case c = base;
    c.between = 3;
    c.h = 2;
    c.w = 3;
    c.kernel = 5;
    Check(c);  // smaller than the filter
    c = base;
    c.between = 20;
    c.h = c.w = 12;
    c.dilation = 2;
    Check(c);
    c.dilation = 20;  // only the middle of the filter is inside
    Check(c);
    c = base;
    c.batch = 3;
    c.between = 40;
    c.h = 7;
    c.w = 6;
    c.kernel = 1;
    c.stride = 3;  // lines that nothing reads
    Check(c);
    c.kernel = 2;
    c.stride = 1;
    Check(c);
  }
}

TEST_F(DepthwiseBlockTest, ResidualMayBeTheResultItself) {
  const Case c{.batch = 1,
               .h = 6,
               .w = 6,
               .in = 8,
               .between = 16,
               .out = 8,
               .kernel = 3,
               .stride = 1};
  const auto block = MakeDepthwiseBlock(c.Shape(), {}, 1, *table_);
  std::mt19937 random(3);
  const auto src = RandomFloats(6 * 6 * 8, random);
  const auto expand = RandomFloats(8 * 16, random),
             depthwise = RandomFloats(9 * 16, random);
  const auto project = RandomFloats(16 * 8, random);
  std::vector<float> packed(block->packed_floats());
  block->Pack({expand, {}}, {depthwise, {}}, {project, {}}, packed);
  AlignedBytes scratch(block->scratch_bytes());
  const auto residual = RandomFloats(6 * 6 * 8, random);
  std::vector<float> apart(6 * 6 * 8), in_place = residual;
  DepthwiseBlockArgs args{.src = src.data(),
                          .weights = packed.data(),
                          .residual = residual.data(),
                          .dst = apart.data(),
                          .scratch = scratch.get()};
  block->Run(args, 0);
  args.residual = args.dst = in_place.data();
  block->Run(args, 0);
  EXPECT_EQ(apart, in_place);
}

// The layers of known networks, for caches of the usual sizes.
TEST_F(DepthwiseBlockTest, WideThinBlocksAreOne) {
  const Case wide{.batch = 1,
                  .h = 65,
                  .w = 65,
                  .in = 24,
                  .between = 144,
                  .out = 24,
                  .kernel = 3,
                  .stride = 1};
  const auto way = ChooseDepthwiseBlock(wide.Shape(), 2, *table_);
  ASSERT_TRUE(way);
  EXPECT_FALSE(way->by_channels);
  Case deep = wide;  // two megabytes of weights
  deep.h = deep.w = 9;
  deep.in = deep.out = 208;
  deep.between = 1248;
  deep.kernel = 5;
  EXPECT_FALSE(ChooseDepthwiseBlock(deep.Shape(), 2, *table_) &&
               SecondLevelCache() < 4 << 20);
  deep.out = 0;
  const auto deep_way = ChooseDepthwiseBlock(deep.Shape(), 2, *table_);
  ASSERT_TRUE(deep_way);
  EXPECT_TRUE(deep_way->by_channels);
}

}  // namespace
}  // namespace oriel::engine::kernels
