#include <algorithm>
#include <array>
#include <cmath>

#include "kernels/mel_stft/mel_stft.hpp"

namespace dcase {

namespace {

constexpr int kChains = 4;  // independent sums hide the latency of the addition; their order is fixed

template <class Term>
double sum(std::int64_t count, const Term& term) {
  std::array<double, kChains> partial = {};
  std::int64_t i = 0;
  for (; i + kChains <= count; i += kChains)
    for (int chain = 0; chain < kChains; ++chain) partial[static_cast<std::size_t>(chain)] += term(i + chain);
  for (; i < count; ++i) partial[0] += term(i);
  return (partial[0] + partial[1]) + (partial[2] + partial[3]);
}

struct Moments {
  double mean = 0;
  double squares = 0;  // sum of squared deviations from the mean
  [[nodiscard]] double std(std::int64_t count) const {
    return count > 1 ? std::sqrt(squares / static_cast<double>(count - 1)) : 0;
  }
};

// Two passes: mean, then centred squares. E[x^2]-E[x]^2 loses the deviation when |mean| >> std.
Moments moments(const float* x, std::int64_t count) {
  Moments m;
  if (count == 0) return m;
  m.mean = sum(count, [x](std::int64_t i) { return static_cast<double>(x[i]); }) / static_cast<double>(count);
  m.squares = sum(count, [x, mean = m.mean](std::int64_t i) { return (x[i] - mean) * (x[i] - mean); });
  return m;
}

}  // namespace

void MelMoments::add(View<const float> x) {
  const std::int64_t M = static_cast<std::int64_t>(mean_.size());
  const std::int64_t T = x.rank == 2 ? x.dim(1) : 0;
  check_shape("mel_moments", "x", x, {M, T});
  if (T == 0) return;
  const double share = static_cast<double>(T) / static_cast<double>(frames_ + T);
  for (std::int64_t m = 0; m < M; ++m) {
    const Moments block = moments(x.data + m * T, T);
    double& mean = mean_[static_cast<std::size_t>(m)];
    const double shift = block.mean - mean;
    // The deviations of both parts about the common mean (Chan, Golub and LeVeque).
    squares_[static_cast<std::size_t>(m)] += block.squares + shift * shift * static_cast<double>(frames_) * share;
    mean += shift * share;
  }
  frames_ += T;
}

void MelMoments::result(View<float> mean, View<float> std) const {
  const std::int64_t M = static_cast<std::int64_t>(mean_.size());
  check_shape("mel_moments", "mean", mean, {M});
  check_shape("mel_moments", "std", std, {M});
  for (std::int64_t m = 0; m < M; ++m) {
    const Moments row = {.mean = mean_[static_cast<std::size_t>(m)], .squares = squares_[static_cast<std::size_t>(m)]};
    mean[m] = static_cast<float>(row.mean);
    std[m] = static_cast<float>(row.std(frames_));
  }
}

void check(const MelStatistics& a) {
  DCASE_CHECK(a.x.rank == 2, "mel_statistics: x has shape ", shape_string(a.x), ", expected [M,T]");
  check_shape("mel_statistics", "x", a.x, {a.x.dim(0), a.x.dim(1)});
  check_shape("mel_statistics", "mean", a.mean, {a.x.dim(0)});
  check_shape("mel_statistics", "std", a.std, {a.x.dim(0)});
}

namespace {

MelRows check_rows(const char* op, View<const float> x, View<const float> mean, View<const float> std) {
  DCASE_CHECK(x.rank >= 2 && x.rank <= 4 && (x.rank < 4 || x.dim(3) == 1), op, ": x has shape ", shape_string(x),
              ", expected [M,T], [N,M,T] or [N,M,T,1]");
  DCASE_CHECK(x.present() || x.size() == 0, op, ": x is missing");
  DCASE_CHECK(mean.present() == std.present(), op, ": mean and std are given together or not at all");
  const std::int64_t N = x.rank == 2 ? 1 : x.dim(0);
  const std::int64_t M = x.dim(x.rank == 2 ? 0 : 1);
  const std::int64_t T = x.dim(x.rank == 2 ? 1 : 2);
  if (!mean.present()) return {.rows = N * M, .frames = T, .given = 0};
  if (mean.rank == 2) {
    check_shape(op, "mean", mean, {N, M});
    check_shape(op, "std", std, {N, M});
    return {.rows = N * M, .frames = T, .given = N * M};
  }
  check_shape(op, "mean", mean, {M});
  check_shape(op, "std", std, {M});
  return {.rows = N * M, .frames = T, .given = M};
}

}  // namespace

MelRows check(const MelNormalize& a) { return check_rows("mel_normalize", a.x, a.mean, a.std); }

MelRows check(const MelNormalizeMixup& a) {
  constexpr const char* kOp = "mel_normalize_mixup";
  const MelRows rows = check_rows(kOp, a.x, a.mean, a.std);
  DCASE_CHECK(a.x.rank >= 3 && same_shape(a.x, a.y), kOp, ": x has shape ", shape_string(a.x), ", y ",
              shape_string(a.y), ", expected [N,M,T] or [N,M,T,1] of both");
  DCASE_CHECK(a.y.present() || a.y.size() == 0, kOp, ": y is missing");
  check_shape(kOp, "perm", a.perm, {a.x.dim(0)});
  return rows;
}

void check(const MelRepeat& a) {
  DCASE_CHECK(a.x.rank == 2 && a.y.rank == 2 && a.x.dim(0) == a.y.dim(0), "mel_repeat: x has shape ", shape_string(a.x),
              ", y ", shape_string(a.y), ", expected [M,T] and [M,T2]");
  check_shape("mel_repeat", "x", a.x, {a.x.dim(0), a.x.dim(1)});
  check_shape("mel_repeat", "y", a.y, {a.y.dim(0), a.y.dim(1)});
  DCASE_CHECK(a.x.dim(1) > 0 || a.y.dim(1) == 0, "mel_repeat: x has no frames");
}

namespace cpu {

void mel_statistics(const MelStatistics& a, const Context&) {
  check(a);
  const std::int64_t T = a.x.dim(1);
#pragma omp parallel for schedule(static)
  for (std::int64_t m = 0; m < a.x.dim(0); ++m) {
    const Moments row = moments(a.x.data + m * T, T);
    a.mean[m] = static_cast<float>(row.mean);
    a.std[m] = static_cast<float>(row.std(T));
  }
}

namespace {

// x -> (x - mean) / max(std, std_floor) in a row. In double: with a deviation at the floor, the rounding of a float
// mean would be multiplied by 1000.
struct RowNorm {
  double mean;
  double inverse;
  [[nodiscard]] float operator()(float x) const { return static_cast<float>((x - mean) * inverse); }
};

RowNorm row_norm(const float* x, std::int64_t row, const MelRows& r, View<const float> mean, View<const float> std,
                 double std_floor) {
  if (r.given > 0) return {mean[row % r.given], 1 / std::max<double>(std[row % r.given], std_floor)};
  const Moments own = moments(x, r.frames);
  return {own.mean, 1 / std::max(own.std(r.frames), std_floor)};
}

}  // namespace

void mel_normalize(const MelNormalize& a, const MelParameters& parameters, const Context&) {
  const MelRows r = check(a);
#pragma omp parallel for schedule(static)
  for (std::int64_t row = 0; row < r.rows; ++row) {
    float* x = a.x.data + row * r.frames;
    const RowNorm norm = row_norm(x, row, r, a.mean, a.std, parameters.std_floor);
    for (std::int64_t t = 0; t < r.frames; ++t) x[t] = norm(x[t]);
  }
}

void mel_normalize_mixup(const MelNormalizeMixup& a, const MelParameters& parameters, const Context&) {
  const MelRows r = check(a);
  const std::int64_t N = a.x.dim(0);
  const std::int64_t M = a.x.dim(1);
  for (std::int64_t n = 0; n < N; ++n) {
    DCASE_CHECK(a.perm[n] >= 0 && a.perm[n] < N, "mel_normalize_mixup: perm[", n, "] is ", a.perm[n],
                ", the batch has ", N, " items");
  }
  const auto lam = static_cast<float>(a.lam);
  const auto rest = static_cast<float>(1 - a.lam);
#pragma omp parallel for schedule(static)
  for (std::int64_t row = 0; row < r.rows; ++row) {
    const std::int64_t other = a.perm[row / M] * M + row % M;
    const float* const first = a.x.data + row * r.frames;
    const float* const second = a.x.data + other * r.frames;
    float* const y = a.y.data + row * r.frames;
    const RowNorm own = row_norm(first, row, r, a.mean, a.std, parameters.std_floor);
    const RowNorm its = row_norm(second, other, r, a.mean, a.std, parameters.std_floor);
    for (std::int64_t t = 0; t < r.frames; ++t) y[t] = lam * own(first[t]) + rest * its(second[t]);
  }
}

void mel_repeat(const MelRepeat& a, const Context&) {
  check(a);
  const std::int64_t T = a.x.dim(1);
  const std::int64_t T2 = a.y.dim(1);
  for (std::int64_t m = 0; m < a.x.dim(0); ++m)
    for (std::int64_t t = 0; t < T2; ++t) a.y[m * T2 + t] = a.x[m * T + t % T];
}

}  // namespace cpu

}  // namespace dcase
