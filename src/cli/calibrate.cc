// `oriel calibrate`: how to run a model in int8 and bf16, from images like those it will
// see.

#include "model/calibrate.h"

#include <boost/json.hpp>
#include <memory>

#include "base/files.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/engine_flags.h"
#include "cli/image_inputs.h"
#include "cli/validators.h"
#include "model/model_directory.h"

namespace oriel::cli {
namespace {

namespace json = boost::json;

constexpr size_t kShownSensitivities = 8;

struct Flags {
  std::string model;
  std::vector<std::string> images;
  std::string model_dir = "models";
  std::string output;
  model::CalibrateOptions options;
  bool no_exif = false;
  bool json = false;
};

json::object AgreementJson(const engine::Agreement& agreement) {
  return {{"images", agreement.images},
          {"top1", agreement.top1},
          {"logits_rms", agreement.logits_rms}};
}

void PrintJson(const model::Calibrated& calibrated, const std::string& path) {
  const engine::Calibration& calibration = calibrated.file.calibration;
  json::array agreements, wider, sensitivities;
  for (const engine::Int8Agreement& agreement : calibration.agreements) {
    agreements.push_back(AgreementJson(agreement));
    agreements.back().get_object()["activation_bits"] = agreement.activation_bits;
  }
  for (const std::string& name : calibration.wider) wider.emplace_back(name);
  for (const engine::Sensitivity& sensitivity : calibration.sensitivities) {
    sensitivities.push_back(
        json::object({{"op", sensitivity.op}, {"logits_rms", sensitivity.logits_rms}}));
  }
  fmt::print("{}\n", json::serialize(
                         json::object({{"file", Printable(path)},
                                       {"method", calibrated.file.method},
                                       {"images", calibrated.file.images},
                                       {"operations", calibrated.quantizable},
                                       {"quantized", calibrated.quantized},
                                       {"agreements", std::move(agreements)},
                                       {"bf16", AgreementJson(*calibration.bf16)},
                                       {"wider", std::move(wider)},
                                       {"sensitivities", std::move(sensitivities)}})));
}

void PrintAgreement(std::string_view what, const engine::Agreement& agreement,
                    double guard) {
  fmt::print(
      "{}: same first answer as f32 on {:.1f} % of {} images{}, logits differ by {:.4f} "
      "standard deviations (rms)\n",
      what, agreement.top1 * 100, agreement.images,
      agreement.top1 < guard ? fmt::format(" (below the guard of {:.1f} %)", guard * 100)
                             : "",
      agreement.logits_rms);
}

void PrintSummary(const model::Calibrated& calibrated, const std::string& path,
                  double guard) {
  const engine::Calibration& calibration = calibrated.file.calibration;
  fmt::print("ranges by {} from {} images\n", calibrated.file.method,
             calibrated.file.images);
  fmt::print("{} of {} operations in int8; float32: {}\n", calibrated.quantized,
             calibrated.quantizable, fmt::join(calibration.wider, ", "));
  if (!calibration.sensitivities.empty()) {
    fmt::print("most sensitive (error of the logits with it alone in int8):\n");
  }
  for (size_t i = 0; i < std::min(kShownSensitivities, calibration.sensitivities.size());
       ++i) {
    const engine::Sensitivity& sensitivity = calibration.sensitivities[i];
    fmt::print("  {:.4f}  {}\n", sensitivity.logits_rms, sensitivity.op);
  }
  for (const engine::Int8Agreement& agreement : calibration.agreements) {
    PrintAgreement(
        fmt::format("int8 with activations of {} bits", agreement.activation_bits),
        agreement, guard);
  }
  PrintAgreement("bf16", *calibration.bf16, guard);
  fmt::print("wrote {}\n", Printable(path));
}

absl::StatusOr<int> Run(const Flags& flags) {
  ASSIGN_OR_RETURN(const model::ModelDirectory directory,
                   model::FindModel(flags.model, flags.model_dir));
  const std::filesystem::path path = flags.output.empty()
                                         ? directory.path / model::kCalibrationFile
                                         : std::filesystem::path(flags.output);
  RETURN_IF_ERROR(AtomicFile::Create(path).status());  // before the work
  const std::vector<model::ImageInput> inputs = CollectInputs(flags.images);
  model::CalibrateOptions options = flags.options;
  options.honor_exif = !flags.no_exif;
  ASSIGN_OR_RETURN(
      const model::Calibrated calibrated,
      model::Calibrate(directory.path, inputs, options, [](std::string_view line) {
        fmt::print(stderr, "{}\n", Printable(line));
      }));
  RETURN_IF_ERROR(WriteFileAtomically(path, model::FormatCalibration(calibrated.file)));
  if (flags.json) {
    PrintJson(calibrated, path.string());
  } else {
    PrintSummary(calibrated, path.string(), options.guard);
  }
  return 0;
}

}  // namespace

Action SetupCalibrate(CLI::App& command) {
  auto flags = std::make_shared<Flags>();
  AddModelOptions(command, flags->model, flags->model_dir);
  command
      .add_option("images", flags->images,
                  "Image files and folders of them (with all below), like those that the "
                  "model will see; some hundred are enough")
      ->required();
  command.add_option("--output", flags->output,
                     "The file to write (default: calibration.json of the model)");
  model::CalibrateOptions& options = flags->options;
  command
      .add_option_function<std::string>(
          "--method",
          [&options](const std::string& name) {
            options.method = name == "minmax"       ? model::RangeMethod::kMinMax
                             : name == "percentile" ? model::RangeMethod::kPercentile
                                                    : model::RangeMethod::kMse;
          },
          "Ranges of activations: minmax, percentile, or mse, the least mean square "
          "error")
      ->default_str("mse")
      ->check(CLI::IsMember({"minmax", "percentile", "mse"}));
  command
      .add_option("--percentile", options.percentile,
                  "With --method percentile: the part that is kept")
      ->capture_default_str()
      ->check(FiniteRange(50.0, 100.0));
  command
      .add_option("--images", options.max_images,
                  "Images to use at most, evenly spaced over those that are named")
      ->capture_default_str()
      ->check(CLI::Range(1, 100'000));
  command
      .add_option("--keep-wider", options.keep_wider,
                  "Keep so many of the most sensitive operations in float32, beside the "
                  "first and the last")
      ->capture_default_str()
      ->check(CLI::Range(0, 100'000));
  command.add_flag("--bias-correction,!--no-bias-correction", options.bias_correction,
                   "Put back what quantization takes from the mean of each channel "
                   "(default: on)");
  command
      .add_option("--guard", options.guard,
                  "Keep more operations in float32 until int8 gives the same first "
                  "answer as f32 on this part of the images")
      ->capture_default_str()
      ->check(FiniteRange(0.0, 1.0));
  command
      .add_option("--scan-images", options.scan_images,
                  "Images of the sensitivity scan, which quantizes one operation at a "
                  "time; 0: scan only where the guard needs it")
      ->capture_default_str()
      ->check(CLI::Range(0, 100'000));
  command.add_flag("--no-exif", flags->no_exif,
                   "Do not turn photos as their EXIF orientation says");
  command.add_flag("--json", flags->json, "Print the result as a line of JSON");
  AddThreadsOption(command, options.threads);
  return [flags] { return Run(*flags); };
}

}  // namespace oriel::cli
