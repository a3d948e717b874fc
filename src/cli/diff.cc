// `oriel diff`: where two graphs differ, as they are written and by what they compute.

#include "engine/diff.h"

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <memory>
#include <set>

#include "base/interrupt.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/engine_flags.h"
#include "cli/json_text.h"
#include "cli/named_file.h"
#include "cli/table.h"
#include "cli/validators.h"
#include "graph/diff.h"
#include "graph/ends.h"
#include "graph/graph_util.h"
#include "tensor/npy.h"

namespace oriel::cli {
namespace {

namespace json = boost::json;
using engine::ValueDifference;

struct Flags {
  std::string a, b;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  Tolerance tolerance;
  engine::Backend backend = engine::Backend::kAuto;
  int threads = 0;
  bool all = false;
  bool json = false;
};

// Lines of each table unless --all.
constexpr size_t kLines = 10;

struct Report {
  graph::GraphDifference graphs;
  int nodes_a = 0, nodes_b = 0;
  std::optional<engine::GraphValues> values;  // null: nothing was fed

  bool same() const {
    if (values) {
      return std::all_of(
          values->outputs.begin(), values->outputs.end(),
          [](const auto& value) { return value.difference.within_tolerance(); });
    }
    return graphs.only_a.empty() && graphs.only_b.empty() && graphs.changed.empty();
  }
};

absl::StatusOr<engine::GraphValues> CompareValues(const Flags& flags,
                                                  const tensorflow::GraphDef& a,
                                                  const tensorflow::GraphDef& b) {
  const graph::GraphEnds ends = graph::FindEnds(a);
  engine::DiffOptions options;
  options.tolerance = flags.tolerance;
  options.backend = flags.backend;
  options.threads = flags.threads;
  for (const std::string& text : flags.inputs) {
    ASSIGN_OR_RETURN(const NamedFile input, ParseNamedFile(text, "--input", ends.inputs));
    ASSIGN_OR_RETURN(Tensor value, ReadNpy(input.file));
    options.inputs.emplace_back(input.name, std::move(value));
  }
  options.outputs = flags.outputs;
  if (options.outputs.empty()) {
    const graph::GraphEnds others = graph::FindEnds(b);
    for (const std::string& name : ends.outputs) {
      if (std::find(others.outputs.begin(), others.outputs.end(), name) !=
          others.outputs.end()) {
        options.outputs.push_back(name);
      }
    }
  }
  if (options.outputs.empty() && ends.outputs.empty()) {
    return Annotate(graph::NoOutputs(a), flags.a);
  }
  if (options.outputs.empty()) {
    return InvalidArgument(
        "the graphs have no outputs of the same name ({} has {}, {} has {}): name one "
        "that both have with --output",
        flags.a, fmt::join(ends.outputs, ", "), flags.b,
        fmt::join(graph::FindEnds(b).outputs, ", "));
  }
  Progress progress("comparing values", ProgressUnit::kItems, 0, flags.json);
  options.on_progress = [&](int done, int total) {
    progress.set_total(total);
    progress.Update(done);
    return CheckInterrupted();
  };
  return engine::CompareValues(a, b, options);
}

// The element at a row-major position: "[0,12,7,3]".
std::string IndexOf(const Shape& shape, int64_t position) {
  std::vector<int64_t> index(shape.rank());
  for (int i = shape.rank() - 1; i >= 0; --i) {
    index[i] = position % shape.dim(i);
    position /= shape.dim(i);
  }
  return Shape(std::move(index)).ToString();
}

json::object ToJson(const ValueDifference& value) {
  const TensorDifference& d = value.difference;
  json::object line{{"name", JsonText(value.name)},
                    {"ops", {JsonText(value.op_a), JsonText(value.op_b)}},
                    {"within_tolerance", d.within_tolerance()}};
  if (!d.mismatch.empty()) {
    line["mismatch"] = JsonText(d.mismatch);
    return line;
  }
  // JSON has no infinity.
  line["largest"] = std::isfinite(d.largest) ? json::value(d.largest) : json::value();
  line["rms"] = d.rms;
  line["scale"] = d.scale;
  line["shape"] = JsonShape(d.shape);
  line["position"] = d.position;
  line["outside"] = d.outside;
  return line;
}

json::array ToJson(const std::vector<ValueDifference>& values) {
  json::array lines;
  for (const ValueDifference& value : values) lines.push_back(ToJson(value));
  return lines;
}

json::array ToJson(const std::vector<std::string>& names) {
  json::array list;
  for (const std::string& name : names) list.push_back(JsonText(name));
  return list;
}

void PrintJson(const Flags& flags, const Report& report) {
  json::array changed;
  for (const auto& [node, what] : report.graphs.changed) {
    changed.push_back({{"node", JsonText(node)}, {"what", JsonText(what)}});
  }
  json::object line{{"a", JsonText(flags.a)},
                    {"b", JsonText(flags.b)},
                    {"same", report.same()},
                    {"nodes", {report.nodes_a, report.nodes_b}},
                    {"in_both", report.graphs.in_both},
                    {"only_a", ToJson(report.graphs.only_a)},
                    {"only_b", ToJson(report.graphs.only_b)},
                    {"changed", std::move(changed)}};
  if (report.values) {
    line["values"] = ToJson(report.values->values);
    line["outputs"] = ToJson(report.values->outputs);
  }
  fmt::print("{}\n", json::serialize(line));
}

// "first 10 of 200 shown" where a table was cut.
void PrintRest(size_t shown, size_t total) {
  if (shown < total) fmt::print("  ... and {} more (--all)\n", total - shown);
}

void PrintNames(const std::string& file, const std::vector<std::string>& names,
                size_t most) {
  if (names.empty()) return;
  fmt::print("\nonly in {}: {}\n", Printable(file), names.size());
  const size_t shown = std::min(names.size(), most);
  for (size_t i = 0; i < shown; ++i) fmt::print("  {}\n", Printable(names[i]));
  PrintRest(shown, names.size());
}

void PrintValues(const std::vector<const ValueDifference*>& values, size_t most) {
  Table table({false, false, true, true, true, false});
  table.Add({"  NODE", "OP", "LARGEST", "RMS", "OF SCALE", "WHERE"});
  const size_t shown = std::min(values.size(), most);
  for (size_t i = 0; i < shown; ++i) {
    const TensorDifference& d = values[i]->difference;
    const std::string op = values[i]->op_a == values[i]->op_b
                               ? values[i]->op_a
                               : fmt::format("{}, {}", values[i]->op_a, values[i]->op_b);
    std::vector<std::string> row{"  " + values[i]->name, op};
    if (!d.mismatch.empty()) {
      row.insert(row.end(), {"", "", "", d.mismatch});
    } else {
      row.insert(row.end(),
                 {fmt::format("{:.3g}", d.largest), fmt::format("{:.3g}", d.rms),
                  fmt::format("{:.3g}", d.scale),
                  d.largest == 0 ? "equal"
                                 : fmt::format("{}: {:.7g}, {:.7g}",
                                               IndexOf(d.shape, d.position), d.a, d.b)});
    }
    table.Add(std::move(row));
  }
  table.Print();
  PrintRest(shown, values.size());
}

void PrintValueReport(const Flags& flags, const engine::GraphValues& values,
                      size_t most) {
  std::vector<const ValueDifference*> differing, outputs;
  for (const ValueDifference& value : values.values) {
    if (!value.difference.within_tolerance()) differing.push_back(&value);
  }
  for (const ValueDifference& value : values.outputs) outputs.push_back(&value);
  fmt::print(
      "\nvalues of {} nodes compared, {} differ by more than {:g} + {:g} of the "
      "largest\n",
      values.values.size(), differing.size(), flags.tolerance.absolute,
      flags.tolerance.relative);
  if (!differing.empty()) {
    fmt::print("the first that differs: {}\n", Printable(differing[0]->name));
    PrintValues(differing, most);
  }
  fmt::print("\noutputs\n");
  PrintValues(outputs, outputs.size());
}

void PrintReport(const Flags& flags, const Report& report) {
  const size_t most = flags.all ? std::string::npos : kLines;
  std::set<std::string_view> changed;
  for (const auto& [node, what] : report.graphs.changed) changed.insert(node);
  fmt::print("{}: {} nodes; {}: {}; {} in both, {} of them written differently\n",
             Printable(flags.a), Grouped(report.nodes_a), Printable(flags.b),
             Grouped(report.nodes_b), Grouped(report.graphs.in_both),
             Grouped(static_cast<int64_t>(changed.size())));
  PrintNames(flags.a, report.graphs.only_a, most);
  PrintNames(flags.b, report.graphs.only_b, most);
  if (!report.graphs.changed.empty()) {
    fmt::print("\nwritten differently\n");
    const size_t shown = std::min(report.graphs.changed.size(), most);
    for (size_t i = 0; i < shown; ++i) {
      const auto& [node, what] = report.graphs.changed[i];
      fmt::print("  {}: {}\n", Printable(node), Printable(what));
    }
    PrintRest(shown, report.graphs.changed.size());
  }
  if (report.values) PrintValueReport(flags, *report.values, most);
}

absl::StatusOr<int> Diff(const Flags& flags) {
  ASSIGN_OR_RETURN(const auto a, graph::ReadGraphDefOfEitherEncoding(flags.a));
  ASSIGN_OR_RETURN(const auto b, graph::ReadGraphDefOfEitherEncoding(flags.b));
  Report report;
  report.nodes_a = a.graph.node_size();
  report.nodes_b = b.graph.node_size();
  report.graphs = graph::CompareGraphs(a.graph, b.graph, flags.tolerance);
  if (!flags.inputs.empty()) {
    ASSIGN_OR_RETURN(report.values, CompareValues(flags, a.graph, b.graph));
  }
  if (flags.json) {
    PrintJson(flags, report);
  } else {
    PrintReport(flags, report);
  }
  return report.same() ? 0 : 1;
}

}  // namespace

Action SetupDiff(CLI::App& command) {
  auto flags = std::make_shared<Flags>();
  command.add_option("A", flags->a, "A GraphDef, binary or text")->required();
  command.add_option("B", flags->b, "Another one")->required();
  command
      .add_option("--input", flags->inputs,
                  "NAME=FILE.npy: run both graphs on this and compare the values of all "
                  "nodes of the same name; the name may be left out where there is one "
                  "input")
      ->allow_extra_args(false);
  command
      .add_option("--output", flags->outputs,
                  "With --input: compute this node; any number of times (default: the "
                  "values that nobody reads)")
      ->allow_extra_args(false);
  command
      .add_option("--absolute", flags->tolerance.absolute,
                  "Differences up to this are none")
      ->capture_default_str()
      ->check(FiniteRange(0.0, 1e300));
  command
      .add_option("--relative", flags->tolerance.relative,
                  "The same, as a part of the largest absolute value of the tensor")
      ->capture_default_str()
      ->check(FiniteRange(0.0, 1e300));
  AddBackendOption(command, flags->backend);
  AddThreadsOption(command, flags->threads);
  command.add_flag("--all", flags->all, "Print all differences, not only the first");
  command.add_flag("--json", flags->json, "Print one line of JSON, with all of them");
  command.footer(
      "Exit code: 0 when the outputs agree (without --input: when the graphs are the "
      "same), "
      "1 when not, 2 for an error.");
  return [flags] { return Diff(*flags); };
}

}  // namespace oriel::cli
