// Bytes as floats in [0,1]. Private to preprocessing/.
#pragma once

#include "image/resize.h"

namespace oriel::preprocessing {

// tf.image.convert_image_dtype multiplies by the float32 nearest to 1/255.
inline const image::ByteValues& UnitValues() {
  static const image::ByteValues values = [] {
    image::ByteValues unit;
    for (int b = 0; b < 256; ++b) {
      unit[b] = static_cast<float>(b) * static_cast<float>(1 / 255.0);
    }
    return unit;
  }();
  return values;
}

}  // namespace oriel::preprocessing
