// Photos to network inputs: decoding, preprocessing, resizing.

#include <benchmark/benchmark.h>

#include <array>
#include <filesystem>
#include <vector>

#include "base/bytes.h"
#include "base/files.h"
#include "base/philox.h"
#include "image/color.h"
#include "image/decode.h"
#include "image/resize.h"
#include "preprocessing/preprocess.h"
#include "preprocessing/train.h"

namespace oriel {
namespace {

using preprocessing::Preset;

// A photo of tools/fetch_test_data.sh, or "" after telling the benchmark.
std::string ReadPhoto(benchmark::State& state, const char* name) {
  auto bytes = ReadFile(std::filesystem::path(ORIEL_PHOTOS) / name);
  if (bytes.ok()) return *std::move(bytes);
  state.SkipWithError(std::string(Message(bytes.status())).c_str());
  return "";
}

// The decoded photo, or an empty image after telling the benchmark.
image::Image DecodePhoto(benchmark::State& state, const char* name) {
  const std::string bytes = ReadPhoto(state, name);
  if (bytes.empty()) return {};
  auto image = image::Decode(AsBytes(bytes), {});
  if (image.ok()) return *std::move(image);
  state.SkipWithError(std::string(Message(image.status())).c_str());
  return {};
}

void Decode(benchmark::State& state, const char* name) {
  const std::string bytes = ReadPhoto(state, name);
  for (auto _ : state) {
    auto image = image::Decode(AsBytes(bytes), {});
    benchmark::DoNotOptimize(image);
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes.size()));
}
BENCHMARK_CAPTURE(Decode, jpeg, "china.jpg")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Decode, png, "chelsea.png")->Unit(benchmark::kMillisecond);

void Preprocess(benchmark::State& state, Preset preset, int size) {
  const image::Image image = DecodePhoto(state, "china.jpg");
  std::vector<float> pixels(static_cast<size_t>(size) * size * 3);
  for (auto _ : state) {
    const absl::Status status = preprocessing::PreprocessForEval(
        image, {.preset = preset, .height = size, .width = size}, pixels);
    if (!status.ok()) state.SkipWithError("PreprocessForEval");
    benchmark::ClobberMemory();
  }
}
BENCHMARK_CAPTURE(Preprocess, inception_299, Preset::kInception, 299)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Preprocess, efficientnet_lite_260, Preset::kEfficientNetLite, 260)
    ->Unit(benchmark::kMillisecond);

void DecodeAndPreprocess(benchmark::State& state) {
  constexpr int kSize = 299;
  const std::string bytes = ReadPhoto(state, "china.jpg");
  std::vector<float> pixels(size_t{kSize} * kSize * 3);
  for (auto _ : state) {
    const auto image = image::Decode(AsBytes(bytes), {});
    if (!image.ok() || !preprocessing::PreprocessForEval(
                            *image, {.height = kSize, .width = kSize}, pixels)
                            .ok()) {
      state.SkipWithError("DecodeAndPreprocess");
      break;
    }
    benchmark::ClobberMemory();
  }
}
BENCHMARK(DecodeAndPreprocess)->Unit(benchmark::kMillisecond);

// A random part, decoded and augmented; another one each time.
void DecodeAndAugment(benchmark::State& state, bool fast_mode) {
  constexpr int kSize = 299;
  const std::string bytes = ReadPhoto(state, "china.jpg");
  std::vector<float> pixels(size_t{kSize} * kSize * 3);
  const preprocessing::TrainOptions options = {
      .height = kSize, .width = kSize, .fast_mode = fast_mode};
  uint64_t stream = 0;
  for (auto _ : state) {
    RandomStream random(1, stream++);
    const auto drawn =
        preprocessing::DecodeForTrain(AsBytes(bytes), {}, {}, options, random, pixels);
    if (!drawn.ok()) {
      state.SkipWithError("DecodeForTrain");
      break;
    }
    benchmark::ClobberMemory();
  }
}
BENCHMARK_CAPTURE(DecodeAndAugment, fast_mode, true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(DecodeAndAugment, slow_mode, false)->Unit(benchmark::kMillisecond);

// 299x299 pixels.
void AdjustColor(benchmark::State& state, image::ColorStep step) {
  std::vector<float> pixels(size_t{299} * 299 * 3);
  for (size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<float>(i * 37 % 256) / 255;
  }
  for (auto _ : state) {
    image::AdjustColor(pixels, step);
    benchmark::ClobberMemory();
  }
}
BENCHMARK_CAPTURE(AdjustColor, saturation, {image::ColorStep::Kind::kSaturation, 1.0f})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(AdjustColor, hue, {image::ColorStep::Kind::kHue, 0.0f})
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(AdjustColor, contrast, {image::ColorStep::Kind::kContrast, 1.0f})
    ->Unit(benchmark::kMicrosecond);

// The whole photo to 299x299, from floats.
void Resize(benchmark::State& state, image::ResizeMethod method) {
  constexpr int kSize = 299;
  const image::Image image = DecodePhoto(state, "china.jpg");
  const std::vector<float> values(image.pixels.begin(), image.pixels.end());
  const image::FloatView view = {values.data(), image.height, image.width, 3,
                                 int64_t{image.width} * 3};
  std::vector<float> resized(size_t{kSize} * kSize * 3);
  for (auto _ : state) {
    const absl::Status status = image::Resize(
        view, method, image::PixelGrid::kHalfPixelCenters, kSize, kSize, resized);
    if (!status.ok()) state.SkipWithError("Resize");
    benchmark::ClobberMemory();
  }
}
BENCHMARK_CAPTURE(Resize, bilinear, image::ResizeMethod::kBilinear)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Resize, bicubic, image::ResizeMethod::kBicubic)
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace oriel
