// Any bytes as a file of objects' boxes, and random parts of an image drawn by them.

#include <algorithm>
#include <cstdlib>

#include "base/bytes.h"
#include "preprocessing/distorted_box.h"
#include "preprocessing/object_boxes.h"

namespace {

using oriel::preprocessing::RelativeBox;

void CheckPart(const std::vector<RelativeBox>& objects) {
  constexpr int kHeight = 17, kWidth = 40;
  oriel::RandomStream random(1, objects.size());
  const auto part = oriel::preprocessing::SampleDistortedBoundingBox(
      kHeight, kWidth, objects, {.max_attempts = 10}, random);
  const bool inside = part.ok() && part->top >= 0 && part->left >= 0 &&
                      part->height >= 1 && part->width >= 1 &&
                      part->top + part->height <= kHeight &&
                      part->left + part->width <= kWidth;
  if (!inside) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto boxes = oriel::preprocessing::ParseObjectBoxes(
      oriel::AsStringView(oriel::Bytes{data, size}), "file");
  if (!boxes.ok()) return 0;
  for (const auto& [name, objects] : *boxes) {
    const bool good = !name.empty() && std::ranges::all_of(objects, [](RelativeBox box) {
      return box.ymin >= 0 && box.xmin >= 0 && box.ymax <= 1 && box.xmax <= 1;
    });
    if (!good) std::abort();
    CheckPart(objects);
  }
  return 0;
}
