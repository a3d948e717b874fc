#include "engine/testing/run_graph.h"

namespace oriel::engine::testing {

absl::StatusOr<std::vector<Tensor>> RunPlan(const Plan& plan,
                                            const std::vector<Tensor>& inputs) {
  std::vector<Tensor> outputs = MakeTensors(plan.outputs());
  const auto context = plan.NewContext();
  RETURN_IF_ERROR(plan.Run(*context, inputs, outputs));
  return outputs;
}

absl::StatusOr<std::vector<Tensor>> RunGraph(
    const tensorflow::GraphDef& graph,
    const std::vector<std::pair<std::string, Tensor>>& inputs, PlanOptions options) {
  std::vector<Tensor> values;
  for (const auto& [name, value] : inputs) {
    options.inputs.emplace_back(name, value.shape());
    values.push_back(value);
  }
  ASSIGN_OR_RETURN(const auto plan, Plan::Compile(graph, options));
  return RunPlan(*plan, values);
}

}  // namespace oriel::engine::testing
