// The files of calibrations/, as the build put them into the program: calibration.json
// of models of the catalogue, for the model.pb that `oriel export` makes of their
// published weights.
#pragma once

#include <string_view>

namespace oriel::model {

extern const std::string_view kEfficientNetLite2Calibration;

}  // namespace oriel::model
