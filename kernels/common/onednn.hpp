#pragma once
/// The one door to oneDNN (2.6 and 3.x): convolutions and matrix products on raw arrays, in this project's terms.
/// No oneDNN type shows here; what differs between its versions is settled in onednn.cpp.
///
/// All memory that oneDNN works in comes from the context's allocator. Everything is thread-safe. What oneDNN refuses
/// throws Error(kDevice) with its message.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "kernels/common/context.hpp"

namespace dcase::onednn {

/// "2.6.3"
[[nodiscard]] std::string version();

/// Instruction sets that decide something in this project, in rising order.
enum class Isa : std::uint8_t { kGeneric, kAvx2, kAvx512 };

/// The best that both the processor and oneDNN's limit (environment variable ONEDNN_MAX_CPU_ISA) allow. This project's
/// own kernels follow it too, so that the one variable tests every path of a lesser machine.
[[nodiscard]] Isa isa();
/// "AVX-512", "AVX2", "generic"
[[nodiscard]] const char* isa_name(Isa isa);

/// A weights layout that oneDNN chose. Cheap to copy; comparable.
class Layout {
 public:
  struct Impl;
  Layout() = default;
  explicit Layout(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  [[nodiscard]] std::size_t bytes() const;
  [[nodiscard]] const Impl& impl() const { return *impl_; }
  friend bool operator==(const Layout& a, const Layout& b);

 private:
  std::shared_ptr<const Impl> impl_;
};

enum class Pass : std::uint8_t { kForward, kDataGradient, kWeightGradient };
enum class MapLayout : std::uint8_t { kChannelsLast, kGrouped16 };

/// Everything that a prepared convolution depends on.
struct ConvolutionSpec {
  Pass pass = Pass::kForward;
  bool winograd = false;
  MapLayout x_layout = MapLayout::kChannelsLast;
  MapLayout y_layout = MapLayout::kChannelsLast;
  std::int64_t N = 0, Ci = 0, M = 0, T = 0;
  std::int64_t Co = 0, My = 0, Ty = 0;
  std::int64_t Km = 0, Kt = 0;
  std::int64_t stride_m = 1, stride_t = 1;
  int threads = 1;  // prepared for; the machine code of weight gradients divides its work by it

  friend bool operator==(const ConvolutionSpec&, const ConvolutionSpec&) = default;
};

/// A convolution prepared for one spec, padding K/2. Immutable.
class Convolution {
 public:
  /// Null where oneDNN has nothing for the spec. May be its reference code: look at implementation().
  [[nodiscard]] static std::shared_ptr<const Convolution> create(const ConvolutionSpec& spec);
  ~Convolution();
  Convolution(const Convolution&) = delete;
  Convolution& operator=(const Convolution&) = delete;

  [[nodiscard]] const ConvolutionSpec& spec() const;
  [[nodiscard]] const std::string& implementation() const;
  /// True for oneDNN's plain loops and for im2col + product: an order of magnitude slower, or hungry for memory.
  [[nodiscard]] bool is_reference() const;
  /// Layout of the weights (or their gradient) that run() takes.
  [[nodiscard]] const Layout& weights_layout() const;

  /// forward: reads x and w, writes y. data gradient: reads w and y (= dy), writes x (= dx). weight gradient: reads x
  /// and y (= dy), writes w (= dw). Pointers are aligned to 64 bytes: the Winograd code stores past the cache.
  void run(float* x, float* w, float* y, const Context& context) const;

  /// `packed` (of weights_layout().bytes()) = canonical weights [Co,Ci,Km,Kt]
  void pack_weights(const float* canonical, float* packed, const Context& context) const;
  /// canonical weight gradient = or += `packed`
  void unpack_weights(const float* packed, float* canonical, bool accumulate, const Context& context) const;

 private:
  struct Impl;
  explicit Convolution(std::unique_ptr<const Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

/// c = or += alpha * op(a) * op(b) (+ bias), row-major and dense; m, n, k > 0.
struct Product {
  std::int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  const float* b = nullptr;
  const float* bias = nullptr;  // [n], optional; only with alpha = 1
  float* c = nullptr;
  bool trans_a = false, trans_b = false;
  bool accumulate = false;
  float alpha = 1;
};
void multiply(const Product& product, const Context& context);

}  // namespace dcase::onednn
