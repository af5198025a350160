#pragma once
/// launch() for kernels that are compiled as plain C++ (kernels/common/launch.hpp includes this in their place).

#include <memory>
#include <tuple>
#include <utility>

#include "tests/emulator/grid.hpp"

namespace dcase {
namespace emulator {

/// Puts the grid into the stream; defined by the fake runtime. Throws CudaError where the real one would refuse.
void enqueue_grid(cudaStream_t stream, Grid grid);

template <class... Parameters>
struct Bound {
  void (*kernel)(Parameters...);
  std::tuple<Parameters...> arguments;

  static void run_thread(const void* bound) {
    const auto& self = *static_cast<const Bound*>(bound);
    std::apply([&](const Parameters&... values) { self.kernel(values...); }, self.arguments);
  }
};

/// The grid that launch() would start.
template <class... Parameters, class... Arguments>
[[nodiscard]] Grid make_grid(void (*kernel)(Parameters...), const Launch& l, Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments), "as many arguments as the kernel has parameters");
  const auto extent = [](const dim3& d) { return Extent{d.x, d.y, d.z}; };
  auto bound = std::make_shared<const Bound<Parameters...>>(Bound<Parameters...>{
      kernel, std::tuple<Parameters...>(static_cast<Parameters>(std::forward<Arguments>(arguments))...)});
  return {.name = l.name,
          .blocks = extent(l.grid),
          .threads = extent(l.block),
          .cluster = extent(l.cluster),
          .cooperative = l.cooperative,
          .dynamic_bytes = l.smem,
          .run_thread = &Bound<Parameters...>::run_thread,
          .arguments = bound,
          .argument_bytes = sizeof(Bound<Parameters...>)};
}

}  // namespace emulator

template <class... Parameters, class... Arguments>
void launch(void (*kernel)(Parameters...), const Launch& l, Arguments&&... arguments) {
  const DeviceGuard guard(l.stream.device);
  emulator::enqueue_grid(static_cast<cudaStream_t>(l.stream.handle),
                         emulator::make_grid(kernel, l, std::forward<Arguments>(arguments)...));
}

}  // namespace dcase
