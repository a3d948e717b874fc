// `oriel classify`: images in, labels out.

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <memory>

#include "base/interrupt.h"
#include "base/progress.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/engine_flags.h"
#include "cli/image_inputs.h"
#include "cli/score_table.h"
#include "model/classify_images.h"
#include "model/graph_classifier.h"
#include "model/model_directory.h"
#include "model/session.h"

namespace oriel::cli {
namespace {

using model::ImageInput;
using model::ImageResult;

struct Flags {
  std::vector<std::string> images;
  std::string model;
  std::string model_dir = "models";
  int top_k = 5;
  bool json = false;
  int batch = 8;
  bool no_exif = false;
  int threads = 0;
  engine::Backend backend = engine::Backend::kAuto;
  engine::Precision precision = engine::Precision::kF32;
  model::PlanCacheOptions plan_cache;
  bool verbose = false;
};

// The message without the name of the image before it: that is printed already.
std::string Reason(const absl::Status& status, const std::string& name) {
  std::string_view text = Message(status);
  if (text.starts_with(name + ": ")) text.remove_prefix(name.size() + 2);
  return Printable(text);
}

// One line: {"file": ..., "top": [...]} or {"file": ..., "error": ...}.
std::string FormatJson(const std::string& name, const ImageResult& result) {
  const auto quoted = [](std::string_view text) {
    return boost::json::serialize(boost::json::string_view(text.data(), text.size()));
  };
  // JSON can say all but bytes that are no text.
  const std::string text = FindInvalidUtf8(name) ? Printable(name) : name;
  std::string line = fmt::format("{{\"file\":{}", quoted(text));
  if (!result.status.ok()) {
    return line + fmt::format(",\"error\":{}}}", quoted(Reason(result.status, name)));
  }
  line += ",\"top\":[";
  for (size_t i = 0; i < result.top.size(); ++i) {
    const model::ScoredLabel& label = result.top[i];
    // Floats as short as they can be read back, which Boost's doubles are not.
    line += fmt::format("{}{{\"index\":{},\"wnid\":{},\"label\":{},\"probability\":{}}}",
                        i == 0 ? "" : ",", label.index, quoted(label.wnid),
                        quoted(label.label), label.probability);
  }
  return line + "]}";
}

// Prints results as they come.
class Printer {
 public:
  Printer(const Flags& flags, const std::vector<ImageInput>& inputs)
      : flags_(flags),
        inputs_(inputs),
        // Results on a terminal are progress enough, and the two would mix.
        progress_("classifying", ProgressUnit::kItems, inputs.size(),
                  inputs.size() < 2 || table_.columns > 0) {}

  void Print(const ImageResult& result) {
    const std::string& name = inputs_[result.index].name;
    if (!result.status.ok()) ++failed_;
    if (flags_.json) {
      fmt::print("{}\n", FormatJson(name, result));
    } else if (result.status.ok()) {
      fmt::print("{}\n{}", Printable(name), FormatScoreTable(result.top, table_));
    } else {
      std::fflush(stdout);
      fmt::print(stderr, "{}: {}\n", Printable(name), Reason(result.status, name));
    }
    std::fflush(stdout);
    progress_.Update(result.index + 1);
  }

  void Finish() { progress_.Finish(); }

  // The exit code, and a line when there were failures among several images.
  int Conclude() const {
    if (failed_ > 0 && inputs_.size() > 1) {
      fmt::print(stderr, "{} of {} images could not be classified\n", failed_,
                 inputs_.size());
    }
    return failed_ == 0 ? 0 : 1;
  }

 private:
  const Flags& flags_;
  const std::vector<ImageInput>& inputs_;
  const ScoreTableOptions table_ = StdoutTableOptions();
  Progress progress_;
  size_t failed_ = 0;
};

// With a graph that decodes images itself, one after the other.
absl::StatusOr<int> RunGraph(const Flags& flags) {
  const std::vector<ImageInput> inputs = CollectInputs(flags.images);
  model::GraphClassifierOptions options;
  options.backend = flags.backend;
  options.precision = flags.precision;
  options.threads = flags.threads;
  ASSIGN_OR_RETURN(const auto classifier,
                   model::GraphClassifier::Open(flags.model, options));
  WarnOfPrecision(flags.precision);
  Printer printer(flags, inputs);
  for (size_t i = 0; i < inputs.size(); ++i) {
    ImageResult result{i, absl::OkStatus(), {}};
    const absl::StatusOr<std::string> bytes = inputs[i].read();
    result.status = bytes.status();
    if (bytes.ok()) {
      auto top = classifier->Classify(AsBytes(*bytes), flags.top_k);
      result.status = top.status();
      if (top.ok()) result.top = *std::move(top);
    }
    printer.Print(result);
    RETURN_IF_ERROR(CheckInterrupted());
  }
  printer.Finish();
  return printer.Conclude();
}

absl::StatusOr<int> Run(const Flags& flags) {
  std::error_code error;
  if (std::filesystem::is_regular_file(flags.model, error)) return RunGraph(flags);
  ASSIGN_OR_RETURN(const auto directory,
                   flags.model.empty() ? model::FindDefaultModel(flags.model_dir)
                                       : model::FindModel(flags.model, flags.model_dir));
  const std::vector<ImageInput> inputs = CollectInputs(flags.images);

  model::SessionOptions options;
  options.backend = flags.backend;
  options.precision = flags.precision;
  options.threads = flags.threads;
  options.plan_cache = flags.plan_cache;
  options.max_batch =
      static_cast<int>(std::min<size_t>(flags.batch, std::max<size_t>(inputs.size(), 1)));
  ASSIGN_OR_RETURN(const auto session, model::Session::Open(directory.path, options));
  WarnOfPrecision(flags.precision);
  if (flags.verbose) {
    fmt::print(stderr, "{} version {}, {}\n{}\n", session->name(), session->version(),
               DescribePrecision(session->precision()), session->plan_cache_report());
  }

  Printer printer(flags, inputs);
  const auto on_result = [&](const ImageResult& result) { printer.Print(result); };
  model::ClassifyImagesOptions classify;
  classify.top_k = flags.top_k;
  classify.honor_exif = !flags.no_exif;
  classify.decode_threads = flags.threads;
  RETURN_IF_ERROR(model::ClassifyImages(*session, inputs, classify, on_result));
  printer.Finish();
  const absl::Status saved = session->SavePlanCache();
  if (!saved.ok() && flags.verbose) {
    fmt::print(stderr, "no plan cache was written: {}\n", Message(saved));
  }
  return printer.Conclude();
}

}  // namespace

Action SetupClassify(CLI::App& command) {
  auto flags = std::make_shared<Flags>();
  command
      .add_option("images", flags->images,
                  "Image files, folders of them (with all below), '-' for "
                  "stdin")
      ->required();
  command.add_option("--model", flags->model,
                     "Name of an exported model, the path of its directory, or a frozen "
                     "graph that decodes images itself; without it: inception_resnet_v2 "
                     "if exported, else efficientnet_lite2");
  command.add_option("--model-dir", flags->model_dir, "Where models are exported to")
      ->capture_default_str();
  command.add_option("--top-k", flags->top_k, "Labels to show of each image")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000000));
  command.add_flag("--json", flags->json, "A line of JSON for each image");
  command
      .add_option("--batch", flags->batch, "Images that run through the network at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  command.add_flag("--no-exif", flags->no_exif,
                   "Do not turn photos as their EXIF orientation says; TensorFlow does "
                   "not");
  AddPrecisionOption(command, flags->precision);
  command.add_flag("--verbose", flags->verbose, "Tell which model runs, and how");
  AddThreadsOption(command, flags->threads);
  AddBackendOption(command, flags->backend);
  AddPlanCacheOption(command, flags->plan_cache);
  return [flags] { return Run(*flags); };
}

}  // namespace oriel::cli
