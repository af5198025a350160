#pragma once
/// The kernels that an operator chooses from on CUDA, as one table: the product runs the first that takes the
/// arguments, tests and benchmarks go through all of them.

#include <span>

#include "kernels/common/context.hpp"

namespace dcase::cuda {

template <class Arguments>
struct Variant {
  const char* name = "";  ///< in tests, benchmarks and reports: "mma_bf16"
  /// Whether it computes these arguments in the context's precision on the context's device.
  bool (*takes)(const Arguments&, const Context&) = nullptr;
  /// Arguments are checked already.
  void (*run)(const Arguments&, const Context&) = nullptr;
};

/// The fastest first; the last one is the simple kernel, which takes everything.
template <class Arguments>
[[nodiscard]] const Variant<Arguments>& choose_variant(std::span<const Variant<Arguments>> table,
                                                       const Arguments& arguments, const Context& context) {
  for (const Variant<Arguments>& variant : table) {
    if (variant.takes(arguments, context)) return variant;
  }
  return table.back();
}

}  // namespace dcase::cuda
