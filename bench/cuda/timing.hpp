#pragma once
/// Times of calls that put work into a CUDA backend's stream, by events there.

#include <functional>
#include <vector>

#include "engine/backend.hpp"

namespace dcase::bench::gpu {

/// Milliseconds a call, `reps` of them. Graphs of as many calls as fill `sample_ms`, so that the host's time for a call
/// does not count; `call` has run before. Where `cost.bytes` fit the second-level cache each call follows a flush of
/// it, and the time of a graph of flushes alone is taken off: a short call's may come out as 0, or below.
[[nodiscard]] std::vector<double> operation_samples(const std::function<void()>& call, const Cost& cost,
                                                    const BackendPtr& backend, int reps, double sample_ms);

/// The same without graphs and flushes, for calls that read results back.
[[nodiscard]] std::vector<double> whole_samples(const std::function<void()>& call, const BackendPtr& backend, int reps,
                                                double sample_ms);

/// Bytes read and written a second by the device's own copy, in units of 1e9.
[[nodiscard]] double copy_gigabytes(const BackendPtr& backend);

}  // namespace dcase::bench::gpu
