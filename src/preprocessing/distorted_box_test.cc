#include "preprocessing/distorted_box.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "preprocessing/tables.h"

namespace oriel::preprocessing {
namespace {

std::vector<RelativeBox> ParseObjects(const std::string& text) {
  std::vector<RelativeBox> objects;
  if (text.empty()) return objects;
  for (const std::string& box : Split(text, ';')) {
    const auto at = Split(box, ',');
    objects.push_back({std::stof(at.at(0)), std::stof(at.at(1)), std::stof(at.at(2)),
                       std::stof(at.at(3))});
  }
  return objects;
}

// TensorFlow's own boxes from the same seeds, one by one.
TEST(DistortedBoxTest, IsTensorFlowsBox) {
  int checked = 0;
  for (const auto& row : ReadTable("boxes.tsv")) {
    DistortedBoxOptions options;
    options.min_object_covered = std::stof(row.at(4));
    options.min_aspect_ratio = std::stof(row.at(5));
    options.max_aspect_ratio = std::stof(row.at(6));
    options.min_area = std::stof(row.at(7));
    options.max_area = std::stof(row.at(8));
    options.max_attempts = std::stoi(row.at(9));
    RandomStream random(std::stoull(row.at(0)), std::stoull(row.at(1)));
    ASSERT_OK_AND_ASSIGN(
        const PixelBox got,
        SampleDistortedBoundingBox(std::stoi(row.at(2)), std::stoi(row.at(3)),
                                   ParseObjects(row.at(10)), options, random));
    const PixelBox want = {std::stoi(row.at(11)), std::stoi(row.at(12)),
                           std::stoi(row.at(13)), std::stoi(row.at(14))};
    EXPECT_EQ(got, want) << "row " << checked << ": " << got.top << "," << got.left << " "
                         << got.height << " x " << got.width;
    ++checked;
  }
  EXPECT_EQ(checked, 480);
}

// Chi-squared of two samples of the same size: whether both are of one distribution.
// Bins that are nearly empty in both count together.
double ChiSquared(const std::vector<double>& a, const std::vector<double>& b, int& bins) {
  double sum = 0;
  double few_a = 0;
  double few_b = 0;
  bins = 0;
  const auto add = [&](double x, double y) {
    if (x + y == 0) return;
    sum += (x - y) * (x - y) / (x + y);
    ++bins;
  };
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] + b[i] < 20) {
      few_a += a[i];
      few_b += b[i];
    } else {
      add(a[i], b[i]);
    }
  }
  add(few_a, few_b);
  return sum;
}

std::vector<double> Numbers(const std::vector<std::string>& row) {
  std::vector<double> numbers;
  for (size_t i = 5; i < row.size(); ++i) numbers.push_back(std::stod(row[i]));
  return numbers;
}

struct Draws {
  int height;
  int width;
  std::vector<PixelBox> boxes;

  template <typename F>
  std::vector<double> Each(F value) const {
    std::vector<double> values;
    for (const PixelBox& box : boxes) values.push_back(value(box));
    return values;
  }
  std::vector<double> Histogram(std::vector<double> values, double low,
                                double high) const {
    std::vector<double> counts(20);
    for (const double v : values) {
      ++counts.at(std::min(19, static_cast<int>((v - low) / (high - low) * 20)));
    }
    return counts;
  }
};

constexpr int kDraws = 10000;

Draws Draw(int height, int width, const std::vector<RelativeBox>& objects) {
  Draws draws{height, width, {}};
  for (int i = 0; i < kDraws; ++i) {
    RandomStream random(7, i);
    const auto box = SampleDistortedBoundingBox(height, width, objects, {}, random);
    EXPECT_OK(box.status());
    draws.boxes.push_back(*box);
  }
  return draws;
}

void ExpectSameDistribution(const std::vector<double>& got,
                            const std::vector<double>& want, const std::string& what) {
  int bins = 0;
  const double chi_squared = ChiSquared(got, want, bins);
  // Wilson and Hilferty: beyond it once in 100,000.
  const double freedom = std::max(1, bins - 1);
  const double limit =
      freedom * std::pow(1 - 2 / (9 * freedom) + 4.26 * std::sqrt(2 / (9 * freedom)), 3);
  EXPECT_LT(chi_squared, limit) << what << ", " << bins << " bins";
}

void ExpectMeanAndDeviation(const std::vector<double>& got, double mean, double deviation,
                            const std::string& what) {
  double sum = 0;
  double squares = 0;
  for (const double v : got) {
    sum += v;
    squares += v * v;
  }
  const double n = static_cast<double>(got.size());
  const double got_mean = sum / n;
  const double got_deviation = std::sqrt(squares / n - got_mean * got_mean);
  // Both are samples of the same size.
  EXPECT_NEAR(got_mean, mean, 4.5 * deviation * std::sqrt(2 / n)) << what;
  EXPECT_NEAR(got_deviation, deviation, 4.5 * deviation / std::sqrt(n)) << what;
}

// 10,000 draws of ours beside 10,000 of TensorFlow's.
TEST(DistortedBoxTest, DrawsAsTensorFlowDoes) {
  std::map<std::string, Draws> all;
  for (const auto& row : ReadTable("box_statistics.tsv")) {
    const std::string& kind = row.at(4);
    if (!all.contains(row[0])) {
      all[row[0]] = Draw(std::stoi(row[1]), std::stoi(row[2]), ParseObjects(row[3]));
    }
    const Draws& draws = all[row[0]];
    const std::vector<double> want = Numbers(row);
    const double pixels = double(draws.height) * draws.width;
    const auto area = draws.Each([&](auto& b) { return b.height * b.width / pixels; });
    const auto whole = [&](const PixelBox& b) {
      return b.height == draws.height && b.width == draws.width;
    };
    const std::string what = row[0] + " " + kind;
    if (kind == "area_hist") {
      ExpectSameDistribution(draws.Histogram(area, 0, 1.0001), want, what);
    } else if (kind == "full_image") {
      const double count = std::count_if(draws.boxes.begin(), draws.boxes.end(), whole);
      ExpectSameDistribution({count, kDraws - count}, {want[0], kDraws - want[0]}, what);
    } else if (kind.starts_with("aspect_hist")) {
      std::vector<double> aspects;
      for (const PixelBox& b : draws.boxes) {
        const double aspect = double(b.width) / b.height;
        if (aspect >= 0.7 && aspect <= 1.4) aspects.push_back(aspect);
      }
      ExpectSameDistribution(draws.Histogram(aspects, 0.7, 1.4), want, what);
    } else if (kind == "center") {
      ExpectMeanAndDeviation(
          draws.Each([&](auto& b) { return (b.top + b.height / 2.0) / draws.height; }),
          want[0], want[2], what + " y");
      ExpectMeanAndDeviation(
          draws.Each([&](auto& b) { return (b.left + b.width / 2.0) / draws.width; }),
          want[1], want[3], what + " x");
    } else {
      // Quantiles of theirs: so many of ours lie below each.
      const auto values =
          draws.Each([&](auto& b) { return kind == "y_quantiles" ? b.top : b.height; });
      for (int i = 1; i < 10; ++i) {
        const double below = std::count_if(values.begin(), values.end(),
                                           [&](double v) { return v < want[i]; });
        const double up_to = std::count_if(values.begin(), values.end(),
                                           [&](double v) { return v <= want[i]; });
        const double p = i / 10.0;
        const double slack = 4.5 * std::sqrt(2 * p * (1 - p) * kDraws);
        EXPECT_LT(below, p * kDraws + slack) << what << " " << i;
        EXPECT_GT(up_to, p * kDraws - slack) << what << " " << i;
      }
    }
  }
  EXPECT_EQ(all.size(), 4);
}

TEST(DistortedBoxTest, KeepsItsPromises) {
  const std::vector<RelativeBox> objects = {{0.2f, 0.3f, 0.7f, 0.8f}};
  for (int i = 0; i < 2000; ++i) {
    const int height = 1 + i % 97;
    const int width = 1 + i % 89;
    RandomStream random(3, i);
    ASSERT_OK_AND_ASSIGN(const PixelBox box,
                         SampleDistortedBoundingBox(height, width, objects, {}, random));
    ASSERT_GE(box.top, 0);
    ASSERT_GE(box.left, 0);
    ASSERT_GT(box.height, 0);
    ASSERT_GT(box.width, 0);
    ASSERT_LE(box.top + box.height, height);
    ASSERT_LE(box.left + box.width, width);
  }
}

TEST(DistortedBoxTest, TheWholeImageWhereNothingFits) {
  RandomStream random(1, 1);
  DistortedBoxOptions options;
  options.min_object_covered = 1;
  options.max_area = 0.1f;
  const std::vector<RelativeBox> whole = {{}};
  ASSERT_OK_AND_ASSIGN(const PixelBox box,
                       SampleDistortedBoundingBox(50, 60, whole, options, random));
  EXPECT_EQ(box, (PixelBox{0, 0, 50, 60}));
}

TEST(DistortedBoxTest, RefusesWhatMakesNoSense) {
  RandomStream random(1, 1);
  const auto sample = [&](int height, int width, std::vector<RelativeBox> objects,
                          DistortedBoxOptions options = {}) {
    return SampleDistortedBoundingBox(height, width, objects, options, random).status();
  };
  EXPECT_OK(sample(5, 5, {}));
  EXPECT_EQ(Message(sample(5, 5, {{0, 0, 1.5f, 1}})),
            "All bounding box coordinates must be in [0.0, 1.0]: 1.5");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(absl::IsInvalidArgument(sample(5, 5, {{nan, 0, 1, 1}})));
  EXPECT_TRUE(absl::IsInvalidArgument(sample(0, 5, {})));
  EXPECT_TRUE(absl::IsInvalidArgument(sample(1 << 20, 1 << 20, {})));
  for (const DistortedBoxOptions& options :
       {DistortedBoxOptions{.max_attempts = 0}, DistortedBoxOptions{.min_area = 0},
        DistortedBoxOptions{.min_area = 0.5f, .max_area = 0.4f},
        DistortedBoxOptions{.max_area = 1.1f},
        DistortedBoxOptions{.min_aspect_ratio = nan},
        DistortedBoxOptions{.min_aspect_ratio = 2},
        DistortedBoxOptions{.min_object_covered = nan},
        DistortedBoxOptions{.max_aspect_ratio = 1e9f}}) {
    EXPECT_TRUE(absl::IsInvalidArgument(sample(5, 5, {}, options)));
  }
}

// A box upside down, which TensorFlow takes too, covers nothing.
TEST(DistortedBoxTest, ObjectsWithoutAreaAreNotCovered) {
  RandomStream random(1, 1);
  const std::vector<RelativeBox> none = {{0.8f, 0.2f, 0.2f, 0.8f}};
  ASSERT_OK_AND_ASSIGN(const PixelBox box,
                       SampleDistortedBoundingBox(50, 60, none, {}, random));
  EXPECT_EQ(box, (PixelBox{0, 0, 50, 60}));
}

}  // namespace
}  // namespace oriel::preprocessing
