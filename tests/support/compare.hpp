#pragma once
/// Comparison of arrays, guarded buffers and finite differences for operator tests.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <vector>

#include "engine/arena.hpp"
#include "kernels/common/philox.hpp"
#include "kernels/common/view.hpp"
#include "tests/support/test.hpp"

namespace dcase::test {

/// A context on the CPU with an arena of its own.
class CpuContext {
 public:
  [[nodiscard]] operator const Context&() const { return context_; }  // NOLINT(google-explicit-constructor)
  [[nodiscard]] const Arena& arena() const { return arena_; }

 private:
  Arena arena_;
  Context context_{.device = {}, .stream = {}, .allocator = &arena_};
};

/// A buffer with guard words at both ends, filled with NaN: an output that was not written, or written outside its
/// bounds, shows.
template <class Real>
class Buffer {
 public:
  Buffer(std::initializer_list<std::int64_t> shape) {
    View<Real> view(nullptr, shape);
    storage_.assign(static_cast<std::size_t>(view.size() + 2 * kGuard), std::numeric_limits<Real>::quiet_NaN());
    std::fill_n(storage_.begin(), kGuard, kMark);
    std::fill_n(storage_.end() - kGuard, kGuard, kMark);
    view.data = storage_.data() + kGuard;
    view_ = view;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  [[nodiscard]] View<Real> view() { return view_; }
  [[nodiscard]] std::int64_t size() const { return view_.size(); }
  Real& operator[](std::int64_t i) { return view_[i]; }
  [[nodiscard]] bool guards_intact() const {
    return std::all_of(storage_.begin(), storage_.begin() + kGuard, [](Real v) { return v == kMark; }) &&
           std::all_of(storage_.end() - kGuard, storage_.end(), [](Real v) { return v == kMark; });
  }
  /// Uniform numbers in [low, high), the same for float and double up to rounding.
  Buffer& fill_uniform(const char* name, double low = -1, double high = 1) {
    const RandomKey key{.seed = 7, .purpose = purpose_id(name), .step = 0};
    for (std::int64_t i = 0; i < size(); ++i) {
      view_[i] = static_cast<Real>(
          static_cast<float>(low + (high - low) * uniform_double(key, static_cast<std::uint64_t>(i))));
    }
    return *this;
  }
  Buffer& fill(Real value) {
    std::fill_n(view_.data, size(), value);
    return *this;
  }

 private:
  static constexpr std::int64_t kGuard = 16;
  static constexpr Real kMark = Real(-12345.5);
  std::vector<Real> storage_;
  View<Real> view_;
};

/// CHECKs |actual - expected| <= atol + rtol * |expected| for every element; NaN and infinity fail. Reports the worst.
template <class A, class B>
void check_close(const std::string& what, View<A> actual, View<B> expected, double atol, double rtol) {
  REQUIRE(actual.size() == expected.size());
  double worst = 0;
  std::int64_t at = -1;
  bool good = true;
  for (std::int64_t i = 0; i < actual.size(); ++i) {
    const double a = static_cast<double>(actual[i]);
    const double e = static_cast<double>(expected[i]);
    const double excess = std::abs(a - e) / (atol + rtol * std::abs(e));
    if (!(excess <= 1)) good = false;
    if (!(excess <= worst)) {
      worst = excess;
      at = i;
    }
  }
  INFO(what << ": worst deviation is " << worst << " of the tolerance, at element " << at
            << (at < 0 ? std::string() : concat(", ", actual[at], " against ", expected[at])));
  CHECK(good);
}

/// CHECKs `gradient` of the scalar function `loss` against central differences in double at every element of `x`
/// (or at `samples` of them, evenly spread). `loss` reads x anew on each call.
void check_gradient(const std::string& what, View<double> x, View<const double> gradient,
                    const std::function<double()>& loss, double tolerance = 1e-6, std::int64_t samples = 400);

/// Sum of y * weights: the scalar whose gradient with respect to y is `weights`.
[[nodiscard]] double weighted_sum(View<const double> y, View<const double> weights);

}  // namespace dcase::test
