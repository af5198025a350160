#include "bench/inputs.hpp"

#include <cmath>
#include <limits>

#include "bench/case.hpp"
#include "engine/random.hpp"

namespace dcase::bench {
namespace {

template <class Reference>
double relative_error_of(View<const float> a, const Reference& b) {
  DCASE_CHECK(a.size() == b.size(), "bench: ", a.size(), " and ", b.size(), " elements are compared");
  double difference = 0;
  double norm = 0;
  for (std::int64_t i = 0; i < a.size(); ++i) {
    const double expected = static_cast<double>(b[i]);
    const double d = static_cast<double>(a[i]) - expected;
    difference += d * d;
    norm += expected * expected;
  }
  const double error = std::sqrt(difference / (norm > 0 ? norm : 1));
  return std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
}

}  // namespace

Tensor random_tensor(const std::string& name, const Shape& shape, const BackendPtr& backend, float deviation) {
  Tensor x(shape, backend);
  const RandomKey key = RandomState{.seed = 1}.key("bench/" + name);
  const std::int64_t n = x.size();
  const float width = 2 * std::sqrt(3.0F) * deviation;
#pragma omp parallel for
  for (std::int64_t i = 0; i < n; ++i) {
    x.data()[i] = (uniform_float(key, static_cast<std::uint64_t>(i)) - 0.5F) * width;
  }
  return x;
}

std::vector<double> in_double(const Tensor& x) { return {x.data(), x.data() + x.size()}; }

double relative_error(View<const float> a, View<const double> b) { return relative_error_of(a, b); }
double relative_error(View<const float> a, View<const float> b) { return relative_error_of(a, b); }

void require_match(const std::string& what, double error, double bound) {
  if (!(error <= bound)) throw Mismatch(concat(what, " differs from its reference by ", error, ", allowed is ", bound));
}

void require_samples(const std::string& what, View<const float> a, int count, double bound,
                     const std::function<double(std::int64_t)>& reference) {
  std::vector<float> chosen;
  std::vector<double> expected;
  // Steps of the golden ratio reach every region, the ends included, and no period of the layout.
  for (int i = 0; i < count; ++i) {
    const double place = std::fmod(i * 0.6180339887498949, 1.0);
    const auto at = i == 1 ? a.size() - 1 : static_cast<std::int64_t>(place * static_cast<double>(a.size()));
    chosen.push_back(a[at]);
    expected.push_back(reference(at));
  }
  const std::int64_t n = count;
  require_match(what, relative_error(View<const float>(chosen.data(), {n}), View<const double>(expected.data(), {n})),
                bound);
}

}  // namespace dcase::bench
