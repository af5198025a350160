#pragma once
/// Operations on variables: each runs one operator of kernels/ forward and records its backward.
/// Shapes in the comments; a wrong one throws Error(kArgument) from the operator.

#include "engine/autograd.hpp"
#include "engine/random.hpp"

namespace dcase {

/// max(x, 0), any shape
[[nodiscard]] Variable relu(const Variable& x);

/// 1 / (1 + exp(-x)), any shape
[[nodiscard]] Variable sigmoid(const Variable& x);

/// x with each element zeroed with probability p, the others divided by 1 - p
[[nodiscard]] Variable dropout(const Variable& x, float p, const RandomKey& key);

/// x [.., I] times w [O, I] transposed, plus b [O] where given: [.., O]
[[nodiscard]] Variable linear(const Variable& x, const Variable& w, const Variable& b = {});

/// Mean over one axis, which disappears
[[nodiscard]] Variable mean(const Variable& x, int axis);

/// a [.., Ca] and b [.., Cb] side by side: [.., Ca + Cb]
[[nodiscard]] Variable concat(const Variable& a, const Variable& b);

/// x [N, T, F], each frame `times` times in a row: [N, T * times, F]
[[nodiscard]] Variable repeat_time(const Variable& x, int times);

/// The same elements under another shape
[[nodiscard]] Variable reshape(const Variable& x, const Shape& shape);

/// x [N, .., C] scaled by s [N, C]
[[nodiscard]] Variable channel_scale(const Variable& x, const Variable& s);

/// relu(x * s + residual), x and residual [N, .., C], s [N, C]: the end of a squeeze-excite residual block
[[nodiscard]] Variable channel_scale_add_relu(const Variable& x, const Variable& s, const Variable& residual);

}  // namespace dcase
