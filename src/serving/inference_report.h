// What a front end knows of a request for inference when it ends, for the access log.
#pragma once

#include <cstddef>
#include <string>

#include "serving/statistics.h"

namespace oriel::serving {

// Which model answered a request, and where its time went.
struct InferenceReport {
  std::string model, version;
  size_t images = 0;
  Stages stages;  // of the image that took longest
};

}  // namespace oriel::serving
