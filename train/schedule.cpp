#include "train/schedule.hpp"

#include <cmath>

#include "kernels/common/error.hpp"

namespace dcase {

double cosine_warm_restarts(double maximum, double minimum, std::int64_t period, std::int64_t step) {
  DCASE_CHECK(period > 0 && step >= 0, "schedule: period ", period, ", step ", step);
  constexpr double kPi = 3.14159265358979323846;
  const double part = static_cast<double>(step % period) / static_cast<double>(period);
  return minimum + (maximum - minimum) * (1 + std::cos(kPi * part)) / 2;
}

}  // namespace dcase
