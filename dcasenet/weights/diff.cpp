#include "dcasenet/weights/diff.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace dcase {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// 0 for equal values, among them equal infinities and NaN with NaN.
double distance(double x, double y) {
  if (x == y || (std::isnan(x) && std::isnan(y))) return 0;
  const double d = std::abs(x - y);
  return std::isnan(d) ? kInfinity : d;
}
// Counters beyond 2^53 would be one as doubles; the difference of unsigned numbers cannot overflow.
double distance(std::int64_t x, std::int64_t y) {
  return static_cast<double>(x > y ? static_cast<std::uint64_t>(x) - static_cast<std::uint64_t>(y)
                                   : static_cast<std::uint64_t>(y) - static_cast<std::uint64_t>(x));
}

template <class T>
ValueDifference compare_values(const std::string& name, const std::vector<T>& a, const std::vector<T>& b,
                               double tolerance) {
  ValueDifference out{.name = name, .elements = static_cast<std::int64_t>(a.size())};
  double squares = 0;
  double norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double d = distance(a[i], b[i]);
    if (d > tolerance) ++out.differing;
    out.max_abs = std::max(out.max_abs, d);
    squares += d * d;
    const auto value = static_cast<double>(a[i]);
    if (std::isfinite(value)) norm += value * value;
  }
  if (squares > 0) out.rel_l2 = norm > 0 ? std::sqrt(squares / norm) : kInfinity;
  return out;
}

void compare_tensor(const TensorInfo& x, const TensorInfo& y, const Archive& a, const Archive& b, double tolerance,
                    WeightsDifference& out) {
  if (x.shape != y.shape) {
    out.shapes.push_back({.name = x.name, .a = shape_string(x.shape), .b = shape_string(y.shape)});
    return;
  }
  const bool integers = x.dtype == DType::kI64 && y.dtype == DType::kI64;
  ValueDifference d = integers ? compare_values(x.name, a.integers(x.name), b.integers(x.name), tolerance)
                               : compare_values(x.name, a.doubles(x.name), b.doubles(x.name), tolerance);
  if (d.differing > 0) {
    out.values.push_back(std::move(d));
  } else {
    ++out.equal;
  }
}

}  // namespace

WeightsDifference compare(const Archive& a, const Archive& b, double tolerance) {
  WeightsDifference out;
  for (const TensorInfo& x : a.tensors()) {
    if (const TensorInfo* y = b.find(x.name); y != nullptr) {
      compare_tensor(x, *y, a, b, tolerance, out);
    } else {
      out.only_a.push_back(x.name);
    }
  }
  for (const TensorInfo& y : b.tensors()) {
    if (!a.contains(y.name)) out.only_b.push_back(y.name);
  }
  std::set<std::string> keys;
  for (const Archive* archive : {&a, &b}) {
    for (const auto& entry : archive->metadata()) keys.insert(entry.first);
  }
  for (const std::string& key : keys) {
    const auto x = a.metadata().find(key);
    const auto y = b.metadata().find(key);
    const bool in_a = x != a.metadata().end();
    const bool in_b = y != b.metadata().end();
    if (!(in_a && in_b && x->second == y->second)) out.metadata.push_back({.key = key, .in_a = in_a, .in_b = in_b});
  }
  return out;
}

}  // namespace dcase
