// Winograd's minimal filtering F(m, r) in one dimension, by the Toom-Cook way
// (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016;
// Vincent et al., "On Improving the Numerical Stability of Winograd Convolutions",
// 2017): y = A^T [(G g) * (B^T d)], with a = m + r - 1 points of which one is
// infinity. Everything is computed by the compiler.
//
// The points are 0, then pairs p, -p, then infinity. Rows of B^T that belong to a pair
// differ in the sign of every second element alone, which halves the work.
#pragma once

namespace oriel::engine::kernels {

template <int M, int R>
struct WinogradMatrices {
  static constexpr int kPoints = M + R - 1;
  static_assert(kPoints % 2 == 0, "0, pairs and infinity are an even number");
  static constexpr int kPairs = (kPoints - 2) / 2;

  double input[kPoints][kPoints] = {};  // B^T
  double filter[kPoints][R] = {};       // G
  double output[M][kPoints] = {};       // A^T
};

// `pairs` are the positive points.
template <int M, int R>
constexpr WinogradMatrices<M, R> MakeWinograd(const double (&pairs)[(M + R - 3) / 2]) {
  using W = WinogradMatrices<M, R>;
  constexpr int kA = W::kPoints;
  W w;
  double v[kA][2 * kA] = {};  // the Vandermonde matrix beside the identity
  for (int i = 0; i < kA; ++i) {
    const bool infinity = i == kA - 1;
    const double x = i == 0 || infinity ? 0
                     : i % 2 == 1       ? pairs[i / 2]
                                        : -pairs[i / 2 - 1];
    double power = 1;
    for (int j = 0; j < kA; ++j) {
      v[i][j] = infinity ? j == kA - 1 : power;
      if (j < R) w.filter[i][j] = infinity ? j == R - 1 : power;
      if (j < M) w.output[j][i] = infinity ? j == M - 1 : power;
      power *= x;
    }
    v[i][kA + i] = 1;
  }
  const auto abs = [](double x) { return x < 0 ? -x : x; };
  for (int k = 0; k < kA; ++k) {  // Gauss-Jordan with pivots
    int pivot = k;
    for (int i = k; i < kA; ++i) {
      if (abs(v[i][k]) > abs(v[pivot][k])) pivot = i;
    }
    for (int j = 0; j < 2 * kA; ++j) {
      const double swap = v[k][j];
      v[k][j] = v[pivot][j];
      v[pivot][j] = swap;
    }
    const double scale = v[k][k];
    for (int j = 0; j < 2 * kA; ++j) v[k][j] /= scale;
    for (int i = 0; i < kA; ++i) {
      const double factor = v[i][k];
      for (int j = 0; i != k && j < 2 * kA; ++j) v[i][j] -= factor * v[k][j];
    }
  }
  // B^T is the inverse transposed. Its rows are brought near one by powers of two,
  // which the filter's rows take over: rounding stays what it is, sums get smaller.
  for (int i = 0; i < kA; ++i) {
    double largest = 0;
    for (int j = 0; j < kA; ++j)
      largest = abs(v[j][kA + i]) > largest ? abs(v[j][kA + i]) : largest;
    double scale = 1;
    while (scale * 1.5 < largest) scale *= 2;
    while (scale > largest * 1.5) scale /= 2;
    for (int j = 0; j < kA; ++j) {
      const double x = v[j][kA + i] / scale;
      w.input[i][j] = abs(x) < 1e-9 ? 0 : x;  // what is zero but for rounding
    }
    for (int j = 0; j < R; ++j) w.filter[i][j] *= scale;
  }
  return w;
}

inline constexpr double kPairs4x3[] = {1, 2};
inline constexpr double kPairs4x7[] = {1, 2, 0.5, 1.5};
inline constexpr double kPairs6x7[] = {1, 2, 0.5, 1.5, 0.75};
inline constexpr auto kWinogradF4_3 = MakeWinograd<4, 3>(kPairs4x3);
inline constexpr auto kWinogradF4_7 = MakeWinograd<4, 7>(kPairs4x7);
inline constexpr auto kWinogradF6_7 = MakeWinograd<6, 7>(kPairs6x7);

}  // namespace oriel::engine::kernels
