#pragma once
/// Inputs of cases and comparison with references.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/tensor.hpp"

namespace dcase::bench {

/// Uniform numbers of mean 0, the same in every run; `name` keeps the inputs of one case apart.
[[nodiscard]] Tensor random_tensor(const std::string& name, const Shape& shape, const BackendPtr& backend,
                                   float deviation = 1);

/// The values in double.
[[nodiscard]] std::vector<double> in_double(const Tensor& x);

/// |a - b| / |b| in the 2-norm; infinite where a number is not finite.
[[nodiscard]] double relative_error(View<const float> a, View<const double> b);
[[nodiscard]] double relative_error(View<const float> a, View<const float> b);

/// Throws Mismatch unless error <= bound (which NaN is not).
void require_match(const std::string& what, double error, double bound);

/// `reference(i)` at about `count` elements spread over `a`, against a[i]; throws Mismatch as above.
void require_samples(const std::string& what, View<const float> a, int count, double bound,
                     const std::function<double(std::int64_t)>& reference);

}  // namespace dcase::bench
