#include "cli/preprocess_output.h"

#include <unistd.h>

#include <filesystem>
#include <map>

#include "base/files.h"
#include "base/utf8.h"
#include "image/encode_png.h"
#include "labels/labels.h"
#include "records/example.h"
#include "records/tfrecord.h"
#include "tensor/npy.h"

namespace oriel::cli {
namespace {

namespace fs = std::filesystem;

Bytes RawBytes(std::span<const float> values) {
  return {reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()};
}

absl::Status MakeFolder(const fs::path& folder) {
  std::error_code error;
  if (!folder.empty()) fs::create_directories(folder, error);
  return error ? ErrnoError(error.value(), folder.string()) : absl::OkStatus();
}

absl::StatusOr<std::string> PngOf(const OutputOptions& options,
                                  std::span<const float> pixels) {
  image::Image image{options.height, options.width, 3, {}};
  image.pixels.resize(pixels.size());
  preprocessing::ToBytes(options.preset, pixels, image.pixels);
  return image::EncodePng(image);
}

// labels.txt in `folder`, where there are classes. kInvalidArgument when one is there
// that names others: two data sets with one numbering is what people mean.
absl::Status CheckClassesFile(const fs::path& folder, const Dataset& dataset) {
  const fs::path path = folder / "labels.txt";
  std::error_code error;
  if (dataset.classes.empty() || !fs::exists(path, error)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string there, ReadFile(path, labels::kMaxFileBytes));
  if (there == FormatClasses(dataset.classes)) return absl::OkStatus();
  return InvalidArgument(
      "{}: names other classes than the folders do; --labels {} uses its numbers",
      path.string(), path.string());
}
absl::Status WriteClassesFile(const fs::path& folder, const Dataset& dataset) {
  if (dataset.classes.empty()) return absl::OkStatus();
  return WriteFileAtomically(folder / "labels.txt", FormatClasses(dataset.classes));
}

// ---- a file for each image

class FolderOutput : public PreprocessOutput {
 public:
  FolderOutput(const OutputOptions& options, const Dataset& dataset)
      : options_(options), dataset_(dataset) {}

  absl::Status Begin() {
    RETURN_IF_ERROR(NameFiles());
    RETURN_IF_ERROR(MakeFolder(options_.path));
    return CheckClassesFile(options_.path, dataset_);
  }

  absl::StatusOr<std::string> Encode(const OutputItem&,
                                     std::span<const float> pixels) const override {
    if (options_.format == OutputFormat::kPng) return PngOf(options_, pixels);
    ASSIGN_OR_RETURN(
        std::string file,
        FormatNpyHeader(DType::kFloat32, {options_.height, options_.width, 3}));
    file += AsStringView(RawBytes(pixels));
    return file;
  }

  absl::StatusOr<std::string> Write(const OutputItem& item, std::string bytes) override {
    std::string name = stems_.at(&item.image);
    if (options_.repeat > 1) name += fmt::format("-{}", item.repeat);
    name += options_.format == OutputFormat::kPng ? ".png" : ".npy";
    const fs::path path = fs::path(options_.path) / name;
    RETURN_IF_ERROR(MakeFolder(path.parent_path()));
    RETURN_IF_ERROR(WriteFileAtomically(path, bytes));
    return path.string();
  }

  absl::Status Finish() override { return WriteClassesFile(options_.path, dataset_); }

 private:
  // "cats/a.jpg" becomes "cats/a.npy", where that is free, else "cats/a.jpg.npy".
  absl::Status NameFiles() {
    std::map<std::string, const DatasetImage*> taken;
    for (const DatasetImage& image : dataset_.images) {
      fs::path stem(image.relative);
      stem.replace_extension();
      for (const std::string& name : {stem.string(), image.relative}) {
        if (!taken.emplace(name, &image).second) continue;
        stems_[&image] = name;
        break;
      }
      if (stems_.contains(&image)) continue;
      return InvalidArgument("{} and {} would be written to the same file",
                             Printable(taken.at(image.relative)->input.name),
                             Printable(image.input.name));
    }
    return absl::OkStatus();
  }

  const OutputOptions options_;
  const Dataset& dataset_;
  std::map<const DatasetImage*, std::string> stems_;
};

// ---- one array

class StackOutput : public PreprocessOutput {
 public:
  StackOutput(const OutputOptions& options, const Dataset& dataset)
      : options_(options),
        dataset_(dataset),
        folder_(fs::path(options.path).parent_path()) {}

  absl::Status Begin() {
    RETURN_IF_ERROR(MakeFolder(folder_));
    RETURN_IF_ERROR(CheckClassesFile(folder_, dataset_));
    ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(options_.path));
    file_.emplace(std::move(file));
    // Takes the place of the header until it is known how many images were readable.
    ASSIGN_OR_RETURN(header_, Header(options_.items, 0));
    return file_->Append(header_);
  }

  absl::StatusOr<std::string> Encode(const OutputItem&,
                                     std::span<const float> pixels) const override {
    return std::string(AsStringView(RawBytes(pixels)));
  }

  absl::StatusOr<std::string> Write(const OutputItem& item, std::string bytes) override {
    RETURN_IF_ERROR(file_->Append(bytes));
    labels_.push_back(item.image.label);
    return fmt::format("{}[{}]", options_.path, labels_.size() - 1);
  }

  absl::Status Finish() override {
    ASSIGN_OR_RETURN(header_, Header(labels_.size(), header_.size()));
    if (::pwrite(file_->fd(), header_.data(), header_.size(), 0) !=
        static_cast<ssize_t>(header_.size())) {
      return ErrnoError(errno, options_.path);
    }
    if (!dataset_.classes.empty()) {
      const fs::path labels = fs::path(options_.path).replace_extension(".labels.npy");
      RETURN_IF_ERROR(WriteNpy(
          labels, Tensor::Of<int64_t>({static_cast<int64_t>(labels_.size())}, labels_)));
      RETURN_IF_ERROR(WriteClassesFile(folder_, dataset_));
    }
    return file_->Commit();
  }

 private:
  absl::StatusOr<std::string> Header(size_t images, size_t min_size) const {
    return FormatNpyHeader(
        DType::kFloat32,
        {static_cast<int64_t>(images), options_.height, options_.width, 3}, min_size);
  }

  const OutputOptions options_;
  const Dataset& dataset_;
  const fs::path folder_;
  std::optional<AtomicFile> file_;
  std::string header_;
  std::vector<int64_t> labels_;  // of the images that were written
};

// ---- TFRecord

class TfRecordOutput : public PreprocessOutput {
 public:
  TfRecordOutput(const OutputOptions& options, const Dataset& dataset)
      : options_(options),
        dataset_(dataset),
        folder_(fs::path(options.path).parent_path()) {}

  absl::Status Begin() {
    RETURN_IF_ERROR(MakeFolder(folder_));
    RETURN_IF_ERROR(CheckClassesFile(folder_, dataset_));
    for (int shard = 0; shard < options_.shards; ++shard) {
      ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(Name(shard)));
      files_.push_back(std::move(file));
    }
    records_.resize(options_.shards);
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Encode(const OutputItem& item,
                                     std::span<const float> pixels) const override {
    records::ExampleBuilder example;
    switch (options_.record_pixels) {
      case RecordPixels::kFloat:
        example.SetFloats("image/data", pixels);
        break;
      case RecordPixels::kRaw:
        example.SetBytes("image/data", AsStringView(RawBytes(pixels)));
        break;
      case RecordPixels::kPng: {
        ASSIGN_OR_RETURN(const std::string png, PngOf(options_, pixels));
        example.SetBytes("image/encoded", png);
        example.SetBytes("image/format", "png");
        example.SetBytes("image/colorspace", "RGB");
        break;
      }
    }
    example.SetInt64("image/height", options_.height);
    example.SetInt64("image/width", options_.width);
    example.SetInt64("image/channels", 3);
    example.SetBytes("image/filename", item.image.relative);
    if (item.image.label >= 0) {
      example.SetInt64("image/class/label", item.image.label);
      example.SetBytes("image/class/text", item.image.class_name);
    }
    return records::FrameTfRecord(example.Serialize());
  }

  absl::StatusOr<std::string> Write(const OutputItem& item, std::string bytes) override {
    // As evenly as can be, neighbours together.
    const int shard = static_cast<int>(item.position * options_.shards / options_.items);
    RETURN_IF_ERROR(files_[shard].Append(bytes));
    return fmt::format("{}[{}]", Name(shard), records_[shard]++);
  }

  absl::Status Finish() override {
    RETURN_IF_ERROR(WriteClassesFile(folder_, dataset_));
    for (AtomicFile& file : files_) RETURN_IF_ERROR(file.Commit());
    return absl::OkStatus();
  }

 private:
  std::string Name(int shard) const {
    return records::ShardName(options_.path, shard, options_.shards);
  }

  const OutputOptions options_;
  const Dataset& dataset_;
  const fs::path folder_;
  std::vector<AtomicFile> files_;
  std::vector<size_t> records_;  // in each
};

template <typename Output>
absl::StatusOr<std::unique_ptr<PreprocessOutput>> Make(const OutputOptions& options,
                                                       const Dataset& dataset) {
  auto output = std::make_unique<Output>(options, dataset);
  RETURN_IF_ERROR(output->Begin());
  return output;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PreprocessOutput>> PreprocessOutput::Create(
    const OutputOptions& options, const Dataset& dataset) {
  switch (options.format) {
    case OutputFormat::kNpyStack:
      return Make<StackOutput>(options, dataset);
    case OutputFormat::kTfRecord:
      return Make<TfRecordOutput>(options, dataset);
    default:
      return Make<FolderOutput>(options, dataset);
  }
}

}  // namespace oriel::cli
