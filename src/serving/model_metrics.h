// Metrics of the models that a repository has now, some also under the names that
// Triton gives them.
#pragma once

#include "serving/metric_families.h"
#include "serving/model_repository.h"

namespace oriel::serving {

void CollectModelMetrics(const ModelRepository& models, MetricFamilies& families);

}  // namespace oriel::serving
