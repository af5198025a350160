#pragma once
/// Resampling of whole signals where they lie. The definition stands in resample_filter.hpp.

#include <cstdint>
#include <span>

#include "kernels/common/context.hpp"
#include "kernels/common/variant.hpp"
#include "kernels/common/view.hpp"
#include "kernels/resample/resample_filter.hpp"

namespace dcase {

/// y[n,m] = sum over k of weights(m)[k] * x[n, first_input(m) + k] by the filter, with zeros outside the signal
///
/// Sums are in float, over k in order. NaN and infinity reach the outputs whose taps touch them and may reach a few
/// more beside these, whose taps are zero there. Errors: kArgument for other sizes, and for a filter without a table.
struct ResampleForward {
  View<const float> x;  // [N,S]
  View<float> y;        // [N,S'], S' = resampled_length(S, in, out), overwritten
};

namespace cuda {
/// Puts everything into the context's stream and waits for nothing.
void resample_forward(const ResampleForward& a, const ResampleFilter& filter, const Context& context);

/// Signals with their filter, by which the kernel is chosen.
struct ResampleCall {
  const ResampleForward& args;
  const ResampleFilter& filter;
};
[[nodiscard]] std::span<const Variant<ResampleCall>> resample_variants();
}  // namespace cuda

/// On GPUs. The CPU resamples while it decodes: Resampler (train/data/resample.hpp).
inline void resample_forward(const ResampleForward& a, const ResampleFilter& filter, const Context& context) {
  if constexpr (kHasCuda) {
    if (!context.device.is_cpu()) return cuda::resample_forward(a, filter, context);
  }
  fail(ErrorKind::kDevice, "resample_forward: no backend for device ", context.device.name());
}

}  // namespace dcase
