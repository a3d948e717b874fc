#include "engine/ops/fused_conv.h"

#include <fmt/ranges.h>

#include "engine/op_setup.h"
#include "engine/ops.h"
#include "engine/ops/setups.h"

namespace oriel::engine {
namespace {

// The operations that the fused one stands for, set up one after the other on values of
// their own.
class Parts {
 public:
  explicit Parts(const OpSetup& setup) : setup_(setup) {}

  ValueId AddValue(DType dtype, const Shape& shape) {
    return ir_.AddValue({.name = setup_.node().name(), .dtype = dtype, .shape = shape});
  }

  ValueId AddIntegers(const Shape& shape, std::span<const int64_t> values) {
    const std::vector<int32_t> narrow(values.begin(), values.end());
    const ValueId id = AddValue(DType::kInt32, shape);
    ir_.values[id].constant = std::make_shared<const Constant>(
        setup_.node().name(), Tensor::Of<int32_t>(shape, narrow));
    return id;
  }

  // What `node` makes of the inputs.
  absl::StatusOr<OpSetup> Run(SetupFn function, const tensorflow::NodeDef& node,
                              std::vector<ValueId> inputs) {
    OpSetup part(node, ir_, std::move(inputs), nullptr);
    RETURN_IF_ERROR(function(part));
    return part;
  }

 private:
  const OpSetup& setup_;
  Ir ir_;
};

// ResizeBilinear as a node, from the attributes of the fused one.
absl::StatusOr<tensorflow::NodeDef> ResizeNode(const OpSetup& setup) {
  ASSIGN_OR_RETURN(const bool align,
                   graph::GetBoolOr(setup.node(), "resize_align_corners", false));
  tensorflow::NodeDef node;
  node.set_name(setup.node().name());
  node.set_op("ResizeBilinear");
  graph::SetType(node, "T", DType::kFloat32);
  graph::SetBool(node, "align_corners", align);
  graph::SetBool(node, "half_pixel_centers", false);
  return node;
}

absl::Status SetUpResize(const OpSetup& setup, Parts& parts, FusedConvAttrs& attrs) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> size, setup.Integers(1, "the size"));
  const Shape& image = setup.shape(0);
  if (setup.shape(1) != Shape{2} || size[0] < 1 || size[1] < 1 || image.dim(1) < 1 ||
      image.dim(2) < 1) {
    return setup.Invalid("cannot resize {} to [{}]", image.ToString(),
                         fmt::join(size, ","));
  }
  attrs.resizes = true;
  attrs.resized = {image.dim(0), size[0], size[1], image.dim(3)};
  ASSIGN_OR_RETURN(const tensorflow::NodeDef node, ResizeNode(setup));
  ASSIGN_OR_RETURN(attrs.align_corners, graph::GetBool(node, "align_corners"));
  if (const OpType* const resize = FindOp("ResizeBilinear"); resize != nullptr) {
    ASSIGN_OR_RETURN(const OpSetup part, parts.Run(resize->setup, node,
                                                   {parts.AddValue(setup.dtype(0), image),
                                                    parts.AddIntegers({2}, size)}));
    attrs.resize = part.attrs();
  }
  return absl::OkStatus();
}

// `paddings` and `filter` are inputs.
absl::Status SetUpFused(OpSetup& setup, int paddings) {
  const int filter = paddings + 1;
  RETURN_IF_ERROR(setup.WantInputs(filter + 1));
  RETURN_IF_ERROR(setup.WantFloat(0));
  RETURN_IF_ERROR(setup.WantFloat(filter));
  RETURN_IF_ERROR(setup.WantRank(0, 4, "the image"));
  Parts parts(setup);
  FusedConvAttrs attrs;
  attrs.resized = setup.shape(0);
  if (paddings == 2) RETURN_IF_ERROR(SetUpResize(setup, parts, attrs));

  ASSIGN_OR_RETURN(const std::vector<int64_t> pads,
                   setup.Integers(paddings, "the paddings"));
  if (pads.size() == 8 &&
      (pads[0] != 0 || pads[1] != 0 || pads[6] != 0 || pads[7] != 0)) {
    return setup.Unsupported("paddings of batch and channels are not supported");
  }
  ASSIGN_OR_RETURN(const OpSetup pad,
                   parts.Run(SetupMirrorPad, setup.node(),
                             {parts.AddValue(DType::kFloat32, attrs.resized),
                              parts.AddIntegers(setup.shape(paddings), pads)}));
  attrs.padded = pad.outputs()[0].shape;
  attrs.pad = static_cast<const PadAttrs&>(*pad.attrs());

  ASSIGN_OR_RETURN(const OpSetup conv,
                   parts.Run(SetupConv2D, setup.node(),
                             {parts.AddValue(DType::kFloat32, attrs.padded),
                              parts.AddValue(DType::kFloat32, setup.shape(filter))}));
  attrs.conv = static_cast<const ConvAttrs&>(*conv.attrs());
  const Shape dst = conv.outputs()[0].shape;
  setup.KeepInputs({0, filter});
  setup.SetAttrs(std::move(attrs));
  return setup.AddOutput(DType::kFloat32, dst);
}

}  // namespace

absl::Status SetupFusedPadConv2D(OpSetup& setup) { return SetUpFused(setup, 1); }
absl::Status SetupFusedResizeAndPadConv2D(OpSetup& setup) { return SetUpFused(setup, 2); }

void SplitFusedConvolutions(Ir& ir) {
  std::vector<Op> ops;
  for (Op& op : ir.ops) {
    const auto attrs = std::dynamic_pointer_cast<const FusedConvAttrs>(op.attrs);
    if (attrs == nullptr || (attrs->resizes && attrs->resize == nullptr)) {
      ops.push_back(std::move(op));
      continue;
    }
    ValueId image = op.inputs[0];
    const auto add = [&](const char* type, std::shared_ptr<const OpAttrs> part,
                         const Shape& shape, const char* suffix) {
      const std::string name = op.name + suffix;
      const ValueId made =
          ir.AddValue({.name = name, .dtype = DType::kFloat32, .shape = shape});
      ops.push_back({.type = FindOp(type),
                     .name = name,
                     .attrs = std::move(part),
                     .inputs = {image},
                     .outputs = {made}});
      image = made;
    };
    if (attrs->resizes) add("ResizeBilinear", attrs->resize, attrs->resized, "/resized");
    if (attrs->padded != attrs->resized) {
      add("MirrorPad", std::make_shared<PadAttrs>(attrs->pad), attrs->padded, "/padded");
    }
    op.type = FindOp("Conv2D");
    op.attrs = std::make_shared<ConvAttrs>(attrs->conv);
    op.inputs[0] = image;
    ops.push_back(std::move(op));
  }
  ir.ops = std::move(ops);
}

}  // namespace oriel::engine
