// `oriel preprocess`: images in, network inputs out, as TensorFlow's slim prepares them
// for training or evaluation.

#include "preprocessing/preprocess.h"

#include <malloc.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <new>
#include <optional>

#include "base/cpus.h"
#include "base/files.h"
#include "base/ordered_work.h"
#include "base/progress.h"
#include "base/random_permutation.h"
#include "base/utf8.h"
#include "cli/commands.h"
#include "cli/contact_sheet.h"
#include "cli/dataset_images.h"
#include "cli/engine_flags.h"
#include "cli/preprocess_output.h"
#include "cli/preprocess_work.h"
#include "cli/validators.h"
#include "model/model_directory.h"

namespace oriel::cli {
namespace {

using preprocessing::Augmentation;

struct Flags {
  std::vector<std::string> images;
  std::string output;
  std::string format;
  std::string record_pixels = "float";
  int shards = 1;
  std::string manifest;
  std::string sheet;
  int sheet_rows = 8;

  std::string model;
  std::string model_dir = "models";
  std::string preset;
  std::string size;
  std::optional<double> central_fraction;
  bool no_crop = false;
  bool exif = false;

  bool train = false;
  uint64_t seed = 0;
  bool fast_mode = true;
  bool slim_2016 = false;
  std::string boxes;
  preprocessing::DistortedBoxOptions box;
  int repeat = 1;
  bool shuffle = false;

  LabelOptions labels;
  int threads = 0;
  bool quiet = false;
};

absl::Status ParseSize(const std::string& text, int& height, int& width) {
  const auto parse = [](std::string_view part, int& side) {
    const auto [next, error] =
        std::from_chars(part.data(), part.data() + part.size(), side);
    return error == std::errc() && next == part.data() + part.size() && side >= 1;
  };
  // Before an image is read, and memory taken for results.
  const auto fits = [&] {
    return std::max(height, width) <= preprocessing::kLargestSide;
  };
  const size_t cross = text.find('x');
  const std::string_view rows = std::string_view(text).substr(0, cross);
  const std::string_view columns =
      cross == std::string::npos ? rows : std::string_view(text).substr(cross + 1);
  if (parse(rows, height) && parse(columns, width) && fits()) return absl::OkStatus();
  return InvalidArgument("--size {}: want pixels, or HEIGHTxWIDTH, each 1 to {}",
                         Printable(text), preprocessing::kLargestSide);
}

// Preset and size: the flags', the model's, or those of Inception-ResNet-v2.
absl::StatusOr<preprocessing::EvalOptions> ChooseEval(const Flags& flags) {
  preprocessing::EvalOptions eval;
  if (!flags.model.empty()) {
    ASSIGN_OR_RETURN(const auto directory,
                     model::FindModel(flags.model, flags.model_dir));
    ASSIGN_OR_RETURN(const auto config,
                     model::ReadModelConfig(directory.path / model::kConfigFile));
    ASSIGN_OR_RETURN(eval.preset,
                     preprocessing::PresetFromName(config.preprocessing.preset));
    eval.height = config.height;
    eval.width = config.width;
    eval.central_fraction = config.preprocessing.central_fraction;
  }
  if (!flags.preset.empty()) {
    ASSIGN_OR_RETURN(eval.preset, preprocessing::PresetFromName(flags.preset));
  }
  if (!flags.size.empty()) {
    RETURN_IF_ERROR(ParseSize(flags.size, eval.height, eval.width));
  } else if (eval.height == 0) {
    if (eval.preset == preprocessing::Preset::kEfficientNetLite) {
      return InvalidArgument(
          "--preset efficientnet_lite wants a --size: 224, 240 or 260");
    }
    eval.height = eval.width = 299;
  }
  if (flags.central_fraction) eval.central_fraction = *flags.central_fraction;
  if (flags.no_crop) eval.central_fraction = 1;
  return eval;
}

absl::StatusOr<PreprocessOptions> ChooseWork(const Flags& flags) {
  PreprocessOptions options;
  ASSIGN_OR_RETURN(options.eval, ChooseEval(flags));
  options.seed = flags.seed;
  options.honor_exif = flags.exif;
  if (!flags.train) {
    if (!flags.boxes.empty()) {
      return InvalidArgument("--boxes are for random parts: it wants --train");
    }
    if (flags.repeat > 1) {
      return InvalidArgument("--repeat without --train would give the same {} times",
                             flags.repeat);
    }
    return options;
  }
  if (options.eval.preset != preprocessing::Preset::kInception) {
    return InvalidArgument("--train is known for the preset inception, not for {}",
                           preprocessing::PresetName(options.eval.preset));
  }
  preprocessing::TrainOptions& train = options.train.emplace();
  train.height = options.eval.height;
  train.width = options.eval.width;
  train.fast_mode = flags.fast_mode;
  train.random_crop = !flags.no_crop;
  train.one_ordering_when_fast = !flags.slim_2016;
  train.box = flags.box;
  RETURN_IF_ERROR(preprocessing::CheckDistortedBoxOptions(train.box));
  if (!flags.boxes.empty()) {
    ASSIGN_OR_RETURN(preprocessing::ObjectBoxes boxes,
                     preprocessing::ReadObjectBoxes(flags.boxes));
    options.objects =
        std::make_shared<const preprocessing::ObjectBoxes>(std::move(boxes));
  }
  return options;
}

absl::StatusOr<OutputOptions> ChooseOutput(const Flags& flags,
                                           const preprocessing::EvalOptions& eval,
                                           size_t images) {
  OutputOptions options;
  options.path = flags.output;
  options.shards = flags.shards;
  options.preset = eval.preset;
  options.height = eval.height;
  options.width = eval.width;
  options.repeat = flags.repeat;
  options.items = images * flags.repeat;
  if (flags.record_pixels == "raw") options.record_pixels = RecordPixels::kRaw;
  if (flags.record_pixels == "png") options.record_pixels = RecordPixels::kPng;
  const bool one_npy = options.path.ends_with(".npy");
  if (flags.format == "tfrecord") {
    options.format = OutputFormat::kTfRecord;
  } else if (flags.format == "png") {
    options.format = OutputFormat::kPng;
  } else if (flags.format == "npy" || (flags.format.empty() && one_npy)) {
    options.format = one_npy ? OutputFormat::kNpyStack : OutputFormat::kNpyFiles;
  } else {
    return InvalidArgument("--output {}: what is it? --format npy, tfrecord or png says",
                           Printable(options.path));
  }
  return options;
}

// What a thread makes of an item.
struct Made {
  absl::Status status;
  std::string bytes;
  std::optional<Augmentation> drawn;
};

// Everything that is known once the flags are understood.
struct Job {
  Dataset dataset;
  PreprocessOptions work;
  std::unique_ptr<PreprocessOutput> output;  // null: images are only tried
  std::optional<AtomicFile> manifest;
  int repeat = 1;
  int threads = 1;
  bool shuffle = false;

  size_t items() const { return dataset.images.size() * repeat; }
  // Pass after pass.
  OutputItem Item(size_t position, size_t& number) const {
    const size_t images = dataset.images.size();
    const int pass = static_cast<int>(position / images);
    number = position % images;
    if (shuffle) number = RandomPermutation(images, work.seed, pass)(number);
    return {dataset.images[number], pass, position};
  }
};

Made MakeOrThrow(const Job& job, size_t position) {
  size_t number = 0;
  const OutputItem item = job.Item(position, number);
  thread_local std::vector<float> pixels;
  pixels.resize(size_t(job.work.eval.height) * job.work.eval.width * 3);
  auto drawn = PreprocessItem(item.image, number, item.repeat, job.work, pixels);
  if (!drawn.ok()) return {drawn.status(), {}, {}};
  if (job.output == nullptr) return {absl::OkStatus(), {}, *drawn};
  auto bytes = job.output->Encode(item, pixels);
  if (!bytes.ok()) return {bytes.status(), {}, {}};
  return {absl::OkStatus(), *std::move(bytes), *drawn};
}

Made MakeItem(const Job& job, size_t position) {
  try {
    return MakeOrThrow(job, position);
  } catch (const std::bad_alloc&) {
    return {ResourceExhausted("out of memory"), {}, {}};
  }
}

// The message without the name of the image before it.
std::string Reason(const absl::Status& status, const std::string& name) {
  std::string_view text = Message(status);
  if (text.starts_with(name + ": ")) text.remove_prefix(name.size() + 2);
  return Printable(text);
}

// Runs the job; how many images could not be read.
absl::StatusOr<size_t> RunJob(Job& job, bool quiet) {
  std::vector<std::string> failures;  // told at the end: progress has the line
  std::vector<bool> failed(job.dataset.images.size());
  Progress progress("preprocessing", ProgressUnit::kItems, job.items(), quiet);
  const size_t ahead = static_cast<size_t>(job.threads) * 4;
  const absl::Status status = OrderedWork<Made>::Run(
      job.items(), job.threads, ahead, [&](size_t i) { return MakeItem(job, i); },
      [&](size_t position, Made made) -> absl::Status {
        size_t number = 0;
        const OutputItem item = job.Item(position, number);
        progress.Update(position + 1);
        if (!made.status.ok()) {
          const std::string& name = item.image.input.name;
          if (!failed[number]) {
            failures.push_back(
                fmt::format("{}: {}", Printable(name), Reason(made.status, name)));
          }
          failed[number] = true;
          return absl::OkStatus();
        }
        std::string place;
        if (job.output != nullptr) {
          ASSIGN_OR_RETURN(place, job.output->Write(item, std::move(made.bytes)));
        }
        if (!job.manifest) return absl::OkStatus();
        return job.manifest->Append(
            DescribeItem(item.image, number, item.repeat, place, made.drawn));
      });
  if (status.ok()) progress.Finish();
  for (const std::string& failure : failures) fmt::print(stderr, "{}\n", failure);
  RETURN_IF_ERROR(status);
  if (!failures.empty()) {
    fmt::print(stderr, "{} of {} images could not be preprocessed\n", failures.size(),
               job.dataset.images.size());
  }
  return failures.size();
}

// Every image wants some buffers of its size: given back to the system and taken again,
// they would cost as much time as resizing.
void KeepFreedMemory() {
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

absl::StatusOr<int> Run(const Flags& flags) {
  KeepFreedMemory();
  Job job;
  ASSIGN_OR_RETURN(job.work, ChooseWork(flags));
  ASSIGN_OR_RETURN(job.dataset, CollectDataset(flags.images, flags.labels));
  job.repeat = flags.repeat;
  job.threads = flags.threads > 0 ? flags.threads : AvailableCpus();
  const size_t images = job.dataset.images.size();
  job.shuffle = flags.shuffle;
  if (!flags.sheet.empty()) {
    constexpr int kColumns = 8;
    SheetOptions sheet{flags.sheet, flags.sheet_rows, 1, job.threads};
    if (flags.train)
      sheet.columns = flags.repeat > 1 ? std::min(flags.repeat, 32) : kColumns;
    RETURN_IF_ERROR(WriteContactSheet(job.dataset.images, job.work, sheet));
    // A sheet alone is what was asked for.
    if (flags.output.empty() && flags.manifest.empty()) return 0;
  }
  if (!flags.output.empty()) {
    ASSIGN_OR_RETURN(const OutputOptions output,
                     ChooseOutput(flags, job.work.eval, images));
    ASSIGN_OR_RETURN(job.output, PreprocessOutput::Create(output, job.dataset));
  }
  if (!flags.manifest.empty()) {
    ASSIGN_OR_RETURN(AtomicFile manifest, AtomicFile::Create(flags.manifest));
    job.manifest.emplace(std::move(manifest));
  }
  ASSIGN_OR_RETURN(const size_t failed, RunJob(job, flags.quiet));
  if (job.output != nullptr) RETURN_IF_ERROR(job.output->Finish());
  if (job.manifest) RETURN_IF_ERROR(job.manifest->Commit());
  return failed == 0 ? 0 : 1;
}

void AddOutputOptions(CLI::App& command, Flags& flags) {
  command.add_option("--output", flags.output,
                     "NAME.npy: one array; a folder: a file for each image; a name that "
                     "shards continue (--format tfrecord). Without it images are only "
                     "tried");
  command.add_option("--format", flags.format, "npy, tfrecord, or png (to look at)")
      ->check(CLI::IsMember({"npy", "tfrecord", "png"}));
  command.add_option("--shards", flags.shards, "TFRecord files: NAME-00000-of-0000N")
      ->capture_default_str()
      ->check(CLI::Range(1, 512));
  command
      .add_option("--record-pixels", flags.record_pixels,
                  "Of TFRecords: float (image/data, a list), raw (image/data, bytes of "
                  "little-endian floats), png (image/encoded, rounded to 8 bits)")
      ->capture_default_str()
      ->check(CLI::IsMember({"float", "raw", "png"}));
  command.add_option("--manifest", flags.manifest,
                     "A line of JSON for each image: where it went, what was drawn");
  command.add_option("--sheet", flags.sheet,
                     "A PNG with the first images and what becomes of them, to look at");
  command.add_option("--sheet-rows", flags.sheet_rows, "Images on the sheet")
      ->capture_default_str()
      ->check(CLI::Range(1, 1000));
}

void AddEvalOptions(CLI::App& command, Flags& flags) {
  command.add_option("--model", flags.model,
                     "Preset and size of an exported model, by its name or directory");
  command.add_option("--model-dir", flags.model_dir, "Where models are exported to")
      ->capture_default_str();
  command.add_option("--preset", flags.preset,
                     "inception (default), keras, timm, efficientnet_lite");
  command.add_option("--size", flags.size, "Of the result: pixels, or HEIGHTxWIDTH; 299");
  command
      .add_option("--central-fraction", flags.central_fraction,
                  "Part of both sides that the preset inception keeps in evaluation; "
                  "the model's, or 0.875")
      ->check(FiniteRange(0, 1));
  command.add_flag("--no-crop", flags.no_crop,
                   "The whole image: neither a random nor the central part (inception)");
  command.add_flag("--exif", flags.exif,
                   "Turn photos as their EXIF orientation says; TensorFlow does not");
}

void AddTrainOptions(CLI::App& command, Flags& flags) {
  command.add_flag("--train", flags.train, "Augment as slim's preprocess_for_train");
  command.add_option("--seed", flags.seed, "Of all that is random")
      ->capture_default_str()
      ->check(WholeNumber());
  command.add_flag("--fast-mode,!--no-fast-mode", flags.fast_mode,
                   "slim's default: bilinear resizes, brightness and saturation only; "
                   "--no-fast-mode: four methods of resizing, hue and contrast too");
  command.add_flag(
      "--slim-2016", flags.slim_2016,
      "In fast mode draw one of 4 color orderings, as slim of 2016 and 2017");
  command
      .add_option("--repeat,--epochs", flags.repeat,
                  "Times that each image is augmented, one pass after the other")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
  command.add_flag("--shuffle", flags.shuffle,
                   "Each pass in another random order of the images");
  command.add_option(
      "--boxes", flags.boxes,
      "Where objects are: lines NAME,xmin,ymin,xmax,ymax, as slim has them "
      "for ImageNet");
  const auto add = [&](const char* name, float& value, const char* what) {
    command.add_option(name, value, what)->capture_default_str();
  };
  add("--min-object-covered", flags.box.min_object_covered,
      "Share of an object, or else of the image, that a random part has at least");
  add("--min-aspect-ratio", flags.box.min_aspect_ratio,
      "Of a random part: width / height");
  add("--max-aspect-ratio", flags.box.max_aspect_ratio, "");
  add("--min-area", flags.box.min_area, "Of a random part: share of the image");
  add("--max-area", flags.box.max_area, "");
  command
      .add_option("--max-attempts", flags.box.max_attempts,
                  "To find a random part, before the whole image is taken")
      ->capture_default_str()
      ->check(CLI::Range(1, 100000));
}

void AddLabelOptions(CLI::App& command, Flags& flags) {
  command.add_flag("--labels-from-folders", flags.labels.from_folders,
                   "The folder that an image is in names its class; classes are numbered "
                   "in the order of their names");
  command.add_option("--labels", flags.labels.file,
                     "Classes by number instead: a line each, NAME or NUMBER:NAME");
  command
      .add_option("--label-offset", flags.labels.offset,
                  "Number of the first class; 1 leaves room for a background")
      ->capture_default_str()
      ->check(CLI::Range(0, 1000000));
}

}  // namespace

Action SetupPreprocess(CLI::App& command) {
  auto flags = std::make_shared<Flags>();
  command
      .add_option("images", flags->images,
                  "Image files, folders of them (with all below), '-' for stdin")
      ->required();
  AddOutputOptions(command, *flags);
  AddEvalOptions(command, *flags);
  AddTrainOptions(command, *flags);
  AddLabelOptions(command, *flags);
  AddThreadsOption(command, flags->threads);
  command.add_flag("--quiet", flags->quiet, "No progress");
  return [flags] {
    if (!flags->labels.file.empty()) flags->labels.from_folders = true;
    return Run(*flags);
  };
}

}  // namespace oriel::cli
