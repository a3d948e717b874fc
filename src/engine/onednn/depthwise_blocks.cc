#include "engine/onednn/depthwise_blocks.h"

#include <algorithm>
#include <utility>

#include "engine/kernels/depthwise_block.h"
#include "engine/onednn/lowering.h"
#include "engine/onednn/own_kernels.h"
#include "engine/ops.h"
#include "engine/ops/conv.h"

namespace oriel::engine::onednn {
namespace {

using kernels::Bounds;
using kernels::ConvShape;
using kernels::DepthwiseBlock;
using kernels::DepthwiseBlockArgs;
using kernels::DepthwiseBlockShape;
using kernels::DepthwiseBlockWay;

struct DepthwiseBlockAttrs : FusedAttrs {
  bool expand = false, project = false;  // of `ops`: the first, the last
  DepthwiseBlockWay way;

  const Op* expand_op() const { return expand ? &ops.front() : nullptr; }
  const Op& depthwise_op() const { return ops[expand ? 1 : 0]; }
  const Op* project_op() const { return project ? &ops.back() : nullptr; }
};

// Inputs: image, packed weights, residual if there is one.
class DepthwiseBlockKernel : public Kernel {
 public:
  DepthwiseBlockKernel(std::unique_ptr<const DepthwiseBlock> block,
                       const DepthwiseBlockArgs& clamps, const ImageView& src,
                       const std::optional<ImageView>& residual, const ImageView& dst)
      : block_(std::move(block)), clamps_(clamps), src_(src.offset), dst_(dst.offset) {
    if (residual) residual_ = residual->offset;
  }

  std::string_view implementation() const override { return block_->name(); }
  size_t scratch_bytes() const override { return block_->scratch_bytes(); }
  const void* FirstRead(std::span<void* const> inputs, int /*thread*/) const override {
    return inputs[1];
  }

  absl::Status Run(const KernelArgs& args) const override {
    DepthwiseBlockArgs block_args = clamps_;
    block_args.src = At<const float>(args.inputs[0], src_);
    block_args.weights = static_cast<const float*>(args.inputs[1]);
    if (residual_) block_args.residual = At<const float>(args.inputs[2], *residual_);
    block_args.dst = At<float>(args.outputs[0], dst_);
    block_args.scratch = static_cast<std::byte*>(args.scratch);
    RunOnThreads(*block_, block_args, *args.threads);
    return absl::OkStatus();
  }

 private:
  std::unique_ptr<const DepthwiseBlock> block_;
  DepthwiseBlockArgs clamps_;
  size_t src_, dst_;  // offsets
  std::optional<size_t> residual_;
};

// Of images that lie dense.
ConvShape DenseShape(const Ir& ir, const Op& op) {
  const Shape& src = ir.values[op.inputs[0]].shape;
  const int64_t channels = ir.values[op.outputs[0]].shape.dim(3);
  ConvShape shape = ShapeOf(src, op.attrs_as<ConvAttrs>().window, channels,
                            {.pitch = src.dim(3)}, {.pitch = channels});
  shape.residual_pitch = channels;
  return shape;
}

DepthwiseBlockShape ShapeOfBlock(const Ir& ir, const Op* expand, const Op& depthwise,
                                 const Op* project) {
  DepthwiseBlockShape shape;
  if (expand != nullptr) shape.expand = DenseShape(ir, *expand);
  shape.depthwise = DenseShape(ir, depthwise);
  if (project != nullptr) shape.project = DenseShape(ir, *project);
  return shape;
}

absl::StatusOr<bool> LowerDepthwiseBlock(Lowering& lowering, const Op& op) {
  const auto& attrs = op.attrs_as<DepthwiseBlockAttrs>();
  const Op *expand = attrs.expand_op(), *project = attrs.project_op();
  const Op& depthwise = attrs.depthwise_op();
  ASSIGN_OR_RETURN(const ImageView src, lowering.GetImage(op.inputs[0]));
  std::optional<ImageView> residual;
  if (op.inputs.size() > 1) {
    ASSIGN_OR_RETURN(residual, lowering.GetImage(op.inputs[1]));
  }
  const ImageView dst =
      lowering.DefineImage(op.outputs[0], residual ? &*residual : nullptr);

  DepthwiseBlockShape shape = ShapeOfBlock(lowering.ir(), expand, depthwise, project);
  (expand ? *shape.expand : shape.depthwise).src_pitch = src.pitch;
  ConvShape& last = project ? *shape.project : shape.depthwise;
  last.dst_pitch = dst.pitch;
  if (residual) last.residual_pitch = residual->pitch;
  auto block = kernels::MakeDepthwiseBlock(shape, attrs.way, lowering.threads(),
                                           *lowering.own_kernels());

  std::string key = block->weights_form();
  for (const Op& part : attrs.ops) {
    for (const int input : {1, part.epilogue.bias}) {
      key += " ";
      if (input >= 0) key += lowering.value(part.inputs[input]).constant->key();
    }
  }
  const auto pack = [&](std::span<uint8_t> bytes) {
    std::vector<Tensor> tensors;
    const auto floats = [&](const Op& part, int input) {
      if (input < 0) return std::span<const float>();
      tensors.push_back(lowering.value(part.inputs[input]).constant->MakeTensor());
      return tensors.back().data<float>();
    };
    tensors.reserve(2 * attrs.ops.size());
    const auto layer = [&](const Op* part) {
      if (part == nullptr) return DepthwiseBlock::LayerWeights{};
      return DepthwiseBlock::LayerWeights{floats(*part, 1),
                                          floats(*part, part->epilogue.bias)};
    };
    block->Pack(layer(expand), layer(&depthwise), layer(project),
                {reinterpret_cast<float*>(bytes.data()), block->packed_floats()});
    return absl::OkStatus();
  };
  ASSIGN_OR_RETURN(const SlotId weights,
                   lowering.AddPacked(key, block->packed_floats() * sizeof(float), pack));

  const auto bounds = [](const Op* part) {
    return part == nullptr ? Bounds{} : *BoundsOf(part->epilogue);
  };
  DepthwiseBlockArgs clamps;
  clamps.expand = bounds(expand);
  clamps.depthwise = bounds(&depthwise);
  clamps.project = bounds(project);
  std::vector<SlotId> inputs = {src.slot, weights};
  if (residual) inputs.push_back(residual->slot);
  lowering.AddKernel(op,
                     std::make_shared<DepthwiseBlockKernel>(std::move(block), clamps, src,
                                                            residual, dst),
                     std::move(inputs), {dst.slot});
  return true;
}

// Never called: the lowering serves every block that FuseDepthwiseBlocks makes.
void NoReference(const Op&, std::span<const ConstArray>, std::span<const Array>) {}

constexpr OpType kBlockType{kDepthwiseBlock.data(), nullptr, NoReference,
                            LowerDepthwiseBlock, false};

class BlockFuser {
 public:
  BlockFuser(const Ir& ir, int threads, const kernels::KernelTable& table)
      : ir_(ir), threads_(threads), table_(table), uses_(ir.CountUses()) {
    maker_.assign(ir.values.size(), -1);
    reader_.assign(ir.values.size(), -1);
    for (size_t i = 0; i < ir.ops.size(); ++i) {
      for (const ValueId id : ir.ops[i].outputs) maker_[id] = static_cast<int>(i);
      for (const ValueId id : ir.ops[i].inputs) reader_[id] = static_cast<int>(i);
    }
  }

  Ir Run() {
    Ir fused = ir_;
    std::vector<bool> taken(ir_.ops.size(), false);
    for (size_t i = 0; i < ir_.ops.size(); ++i) {
      if (!IsConv(ir_.ops[i], /*depthwise=*/true)) continue;
      const int expand = ExpandOf(ir_.ops[i]), project = ProjectOf(ir_.ops[i]);
      const auto at = [&](int op) {
        return op >= 0 && !taken[op] ? &ir_.ops[op] : nullptr;
      };
      auto attrs = Choose(at(expand), ir_.ops[i], at(project));
      if (attrs == nullptr) continue;
      // It runs where its last operation stood.
      const size_t last = attrs->project ? project : i;
      if (attrs->expand) taken[expand] = true;
      taken[i] = true;
      taken[last] = true;
      Op& op = fused.ops[last];
      const Op& end = attrs->ops.back();
      Op block{.type = &kBlockType,
               .name = end.name,
               .inputs = {attrs->ops.front().inputs[0]},
               .outputs = end.outputs};
      if (end.epilogue.residual >= 0) {
        block.inputs.push_back(end.inputs[end.epilogue.residual]);
      }
      block.attrs = std::move(attrs);
      op = std::move(block);
    }
    std::vector<Op> kept;
    for (size_t i = 0; i < fused.ops.size(); ++i) {
      if (!taken[i] || fused.ops[i].type == &kBlockType) {
        kept.push_back(std::move(fused.ops[i]));
      }
    }
    fused.ops = std::move(kept);
    return fused;
  }

 private:
  // One of float32 that our own kernels compute.
  bool IsConv(const Op& op, bool depthwise) const {
    if (!IsOwnConv(ir_, op) || op.attrs_as<ConvAttrs>().depthwise != depthwise ||
        op.quantization != nullptr) {
      return false;
    }
    const Value &src = ir_.values[op.inputs[0]], &dst = ir_.values[op.outputs[0]];
    return ir_.values[op.inputs[1]].constant != nullptr && src.constant == nullptr &&
           src.dtype == DType::kFloat32 && src.shape.elements() > 0 &&
           dst.shape.elements() > 0;
  }

  bool IsPointwise(const Op& op) const {
    if (!IsConv(op, /*depthwise=*/false)) return false;
    const Window& window = op.attrs_as<ConvAttrs>().window;
    return std::ranges::all_of(std::array{window.h, window.w}, [](const WindowAxis& a) {
      return a.size == 1 && a.stride == 1 && a.pad_before == 0 && a.src == a.dst;
    });
  }

  int ExpandOf(const Op& depthwise) const {
    const ValueId between = depthwise.inputs[0];
    const int maker = maker_[between];
    const bool fits = maker >= 0 && uses_[between] == 1 && IsPointwise(ir_.ops[maker]) &&
                      ir_.ops[maker].epilogue.residual < 0;
    return fits ? maker : -1;
  }

  int ProjectOf(const Op& depthwise) const {
    const ValueId between = depthwise.outputs[0];
    const int reader = reader_[between];
    const bool fits = reader >= 0 && uses_[between] == 1 &&
                      ir_.ops[reader].inputs[0] == between &&
                      IsPointwise(ir_.ops[reader]) && depthwise.epilogue.residual < 0;
    return fits ? reader : -1;
  }

  // Null: it does not pay. The operations may be null but for the second.
  std::shared_ptr<DepthwiseBlockAttrs> Choose(const Op* expand, const Op& depthwise,
                                              const Op* project) const {
    const std::pair<const Op*, const Op*> parts[] = {
        {expand, project}, {expand, nullptr}, {nullptr, project}};
    for (const auto& [before, after] : parts) {
      if (before == nullptr && after == nullptr) continue;
      const auto way = kernels::ChooseDepthwiseBlock(
          ShapeOfBlock(ir_, before, depthwise, after), threads_, table_);
      if (!way) continue;
      auto attrs = std::make_shared<DepthwiseBlockAttrs>();
      attrs->expand = before != nullptr;
      attrs->project = after != nullptr;
      attrs->way = *way;
      if (before != nullptr) attrs->ops.push_back(*before);
      attrs->ops.push_back(depthwise);
      if (after != nullptr) attrs->ops.push_back(*after);
      return attrs;
    }
    return nullptr;
  }

  const Ir& ir_;
  int threads_;
  const kernels::KernelTable& table_;
  std::vector<int> uses_;            // by value
  std::vector<int> maker_, reader_;  // by value: operations; -1: none
};

}  // namespace

Ir FuseDepthwiseBlocks(const Ir& ir, int threads) {
  const kernels::KernelTable* table = kernels::FindKernelTable();
  if (table == nullptr) return ir;
  return BlockFuser(ir, threads, *table).Run();
}

}  // namespace oriel::engine::onednn
