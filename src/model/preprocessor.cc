#include "model/preprocessor.h"

#include "image/decode.h"

namespace oriel::model {

absl::StatusOr<Preprocessor> Preprocessor::Create(const ModelConfig& config,
                                                  uint64_t max_pixels) {
  preprocessing::EvalOptions options;
  ASSIGN_OR_RETURN(options.preset,
                   preprocessing::PresetFromName(config.preprocessing.preset));
  options.height = config.height;
  options.width = config.width;
  options.central_fraction = config.preprocessing.central_fraction;
  return Preprocessor(options, max_pixels);
}

absl::Status Preprocessor::Run(Bytes bytes, bool honor_exif, std::span<float> dst) const {
  image::DecodeOptions decode = preprocessing::DecodeOptionsFor(options_.preset);
  decode.honor_exif = honor_exif;
  decode.max_pixels = max_pixels_;
  return preprocessing::DecodeForEval(bytes, decode, options_, dst);
}

}  // namespace oriel::model
