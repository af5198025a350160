#pragma once
/// Learning-rate schedules.

#include <cstdint>

namespace dcase {

/// Cosine annealing with warm restarts (Loshchilov and Hutter 2017), stepped once an update: for step = 0, 1, ...
///     minimum + (maximum - minimum) * (1 + cos(pi * (step mod period) / period)) / 2
/// Every cycle has the same period, as in the released trainer (T_0 = 80 epochs of 500 updates, minimum 1e-6).
[[nodiscard]] double cosine_warm_restarts(double maximum, double minimum, std::int64_t period, std::int64_t step);

}  // namespace dcase
