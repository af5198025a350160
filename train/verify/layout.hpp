#pragma once
/// Reference files store maps channels-first, [N,C,M,T] or [N,C,T]; this engine keeps them channels-last.

#include <cstdint>
#include <vector>

#include "engine/tensor.hpp"
#include "train/verify/checker.hpp"

namespace dcase::detail {

/// An input of the file as a channels-last tensor: [N,C,M,T] -> [N,M,T,C], [N,C,T] -> [N,T,C].
[[nodiscard]] Tensor channels_last(Checker& checker, const std::string& name, const BackendPtr& backend);

/// An input of the file as it is.
[[nodiscard]] Tensor as_stored(Checker& checker, const std::string& name, const BackendPtr& backend);

/// An uninitialised channels-last tensor for a result with the shape that tensor `name` has in the file.
[[nodiscard]] Tensor result_like(const Checker& checker, const std::string& name, const BackendPtr& backend);

/// A channels-last result in the order of the file.
[[nodiscard]] std::vector<float> channels_first(const Tensor& x);

/// Numbers of a tensor that is shaped as the file has it (for results that are not maps).
[[nodiscard]] Tensor plain_like(const Checker& checker, const std::string& name, const BackendPtr& backend);

}  // namespace dcase::detail
