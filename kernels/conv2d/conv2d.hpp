#pragma once
/// Two-dimensional convolution (cross-correlation) on maps, without bias.
///
///     y[n,co,i,j] = sum over ci,a,b of  w[co,ci,a,b] * x[n,ci, i*stride_m + a - Km/2, j*stride_t + b - Kt/2]
///
/// with zeros outside the map: padding K/2 (integer division) on both sides, so My = (M + 2*(Km/2) - Km)/stride_m + 1
/// (none where the kernel does not fit).
///
/// Layouts. A map is [N,G,M,T,B] with C = G*B channels, channel c = g*B + b. Two kinds are taken, for x and y (and
/// their gradients) independently: channels-last, G = 1; and grouped by 16, B = 16. conv2d_plan says which one the
/// backend computes in; a map that comes in the other kind is converted in scratch memory at the price of one pass.
/// On CUDA maps are channels-last, and others are refused.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "kernels/common/context.hpp"
#include "kernels/common/map.hpp"
#include "kernels/common/variant.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

inline constexpr std::int64_t kConv2dGroup = 16;  // channels of a grouped map

enum class ConvAlgorithm : std::uint8_t {
  kAuto,      ///< what conv2d_plan answers for the shape
  kDirect,    ///< sums in the order of the formula; exact to float rounding
  kWinograd,  ///< F(4x4,3x3): 4 times fewer products, about 4 times the rounding error; 3x3, stride 1, channels in 16s
};

[[nodiscard]] const char* name(ConvAlgorithm algorithm);

/// Sizes of one convolution, apart from layout.
struct Conv2dShape {
  std::int64_t N = 0;
  std::int64_t Ci = 0;
  std::int64_t M = 0;  // rows of x
  std::int64_t T = 0;  // columns of x
  std::int64_t Co = 0;
  std::int64_t Km = 3;
  std::int64_t Kt = 3;
  std::int64_t stride_m = 1;
  std::int64_t stride_t = 1;

  [[nodiscard]] std::int64_t My() const { return outputs(M, Km, stride_m); }
  [[nodiscard]] std::int64_t Ty() const { return outputs(T, Kt, stride_t); }
  friend bool operator==(const Conv2dShape&, const Conv2dShape&) = default;

 private:
  static std::int64_t outputs(std::int64_t size, std::int64_t k, std::int64_t stride) {
    const std::int64_t room = size + 2 * (k / 2) - k;
    return room < 0 ? 0 : room / stride + 1;
  }
};

/// How the backend wants to run a shape.
struct Conv2dPlan {
  ConvAlgorithm algorithm = ConvAlgorithm::kDirect;  // kDirect or kWinograd
  std::int64_t x_group = 0;                          // B of x: 16 when grouped, Ci when channels-last
  std::int64_t y_group = 0;                          // B of y: 16 when grouped, Co when channels-last
};

/// The fastest way for this shape on the context's device (or the way asked for). Answers depend on the device, the
/// shape, the instruction set and the oneDNN version alone. Error kArgument when `wanted` is kWinograd and that does
/// not exist here; on CUDA it never does.
[[nodiscard]] Conv2dPlan conv2d_plan(const Conv2dShape& shape, const Context& context,
                                     ConvAlgorithm wanted = ConvAlgorithm::kAuto);

/// What a layer keeps between calls: copies of its weights in the layouts the backend computes in, and the prepared
/// convolutions of recent shapes. Copies are rebuilt when the `version` passed with the weights differs from the one
/// they were built from, so the owner counts it up after each change of the weights. One pack serves one weight tensor,
/// for forward and both gradients and for any number of shapes.
///
/// Concurrent calls with one pack are safe as long as they pass the same version. The copies live in the memory of the
/// contexts' allocator, which outlives the pack. On CUDA nothing is kept: a call brings its weights into order in
/// scratch memory, which costs microseconds and lets a captured graph follow weights that change between its launches.
class Conv2dPack {
 public:
  Conv2dPack();
  ~Conv2dPack();
  Conv2dPack(Conv2dPack&&) noexcept;
  Conv2dPack& operator=(Conv2dPack&&) noexcept;

  struct State;  // private to the backend
  [[nodiscard]] State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

/// y = conv(x, w)
/// Errors: kArgument for sizes or layouts that do not agree, and for kWinograd where it does not exist.
template <class Real>
struct Conv2dForward {
  View<const Real> x;  // [N,G,M,T,B]
  View<const Real> w;  // [Co,Ci,Km,Kt], canonical order
  View<Real> y;        // [N,G',My,Ty,B'], overwritten
  std::int64_t stride_m = 1;
  std::int64_t stride_t = 1;
  ConvAlgorithm algorithm = ConvAlgorithm::kAuto;
  Conv2dPack* pack = nullptr;  // optional: without it weights are prepared anew in each call
  std::uint64_t version = 0;   // of w; counts only with a pack
};

/// dx = sum of dy * w over outputs,  dw = sum of dy * x over positions; an absent dx or dw is not computed.
template <class Real>
struct Conv2dBackward {
  View<const Real> x;   // [N,G,M,T,B]; may be absent when dw is
  View<const Real> w;   // [Co,Ci,Km,Kt]; may be absent when dx is
  View<const Real> dy;  // [N,G',My,Ty,B']
  View<Real> dx = {};   // as x, by dx_mode
  View<Real> dw = {};   // [Co,Ci,Km,Kt], canonical order, by dw_mode
  std::int64_t stride_m = 1;
  std::int64_t stride_t = 1;
  ConvAlgorithm algorithm = ConvAlgorithm::kAuto;
  Conv2dPack* pack = nullptr;  // as in the forward call; may be the same object
  std::uint64_t version = 0;
  GradMode dx_mode = GradMode::kSet;
  GradMode dw_mode = GradMode::kSet;
};

enum class ConvPass : std::uint8_t { kForward, kDataGradient, kWeightGradient };

namespace cpu {
void conv2d_forward(const Conv2dForward<float>& args, const Context& context);
void conv2d_backward(const Conv2dBackward<float>& args, const Context& context);
[[nodiscard]] std::string conv2d_implementation(const Conv2dShape& shape, ConvPass pass, ConvAlgorithm algorithm);
}  // namespace cpu

namespace cuda {
void conv2d_forward(const Conv2dForward<float>& args, const Context& context);
void conv2d_backward(const Conv2dBackward<float>& args, const Context& context);
[[nodiscard]] std::string conv2d_implementation(const Conv2dShape& shape, ConvPass pass, const Context& context,
                                                ConvAlgorithm algorithm);
[[nodiscard]] std::span<const Variant<Conv2dForward<float>>> conv2d_forward_variants();
[[nodiscard]] std::span<const Variant<Conv2dBackward<float>>> conv2d_data_gradient_variants();
}  // namespace cuda

/// Runs on context.device.
template <class Real>
void conv2d_forward(const Conv2dForward<Real>& args, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::conv2d_forward(args, context);
  }
  require_cpu(context, "conv2d_forward");
  cpu::conv2d_forward(args, context);
}
template <class Real>
void conv2d_backward(const Conv2dBackward<Real>& args, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::conv2d_backward(args, context);
  }
  require_cpu(context, "conv2d_backward");
  cpu::conv2d_backward(args, context);
}

/// Name of the code that runs this pass, as in "jit_wino_4x3:avx512_core" or "jit:avx512_core", and on CUDA of the
/// variant; for tests and benchmarks.
[[nodiscard]] inline std::string conv2d_implementation(const Conv2dShape& shape, ConvPass pass, const Context& context,
                                                       ConvAlgorithm algorithm = ConvAlgorithm::kAuto) {
  if constexpr (kHasCuda) {
    if (!context.device.is_cpu()) return cuda::conv2d_implementation(shape, pass, context, algorithm);
  }
  require_cpu(context, "conv2d_implementation");
  return cpu::conv2d_implementation(shape, pass, algorithm);
}

/// One pass: work of the direct formula (Winograd does fewer products), and traffic when each of x, w and y (or their
/// gradients) moves once.
[[nodiscard]] Cost conv2d_cost(const Conv2dShape& shape);

inline void check_conv2d_layout(const char* op, const char* field, const View<const float>& map) {
  check_map(op, field, map);
  DCASE_CHECK(map.dim(1) == 1 || map.dim(4) == kConv2dGroup, op, ": ", field, " has shape ", shape_string(map),
              ", expected channels-last [N,1,M,T,C] or grouped by ", kConv2dGroup);
}

/// Sizes read from the views (dx, dw and dy stand for x, w and y as well) and checked against each other: layouts,
/// channels, map sizes. `op` stands in the message.
[[nodiscard]] inline Conv2dShape conv2d_shape(const char* op, const View<const float>& x, const View<const float>& w,
                                              const View<const float>& y, std::int64_t stride_m,
                                              std::int64_t stride_t) {
  DCASE_CHECK(w.rank == 4, op, ": w has shape ", shape_string(w), ", expected [Co,Ci,Km,Kt]");
  DCASE_CHECK(w.present() || w.size() == 0, op, ": w is missing");
  DCASE_CHECK(w.dim(2) >= 1 && w.dim(3) >= 1, op, ": w has shape ", shape_string(w), ": an empty kernel");
  DCASE_CHECK(stride_m >= 1 && stride_t >= 1, op, ": stride ", stride_m, "x", stride_t, ", expected at least 1");
  check_conv2d_layout(op, "x", x);
  check_conv2d_layout(op, "y", y);
  const Conv2dShape s{.N = x.dim(0),
                      .Ci = w.dim(1),
                      .M = x.dim(2),
                      .T = x.dim(3),
                      .Co = w.dim(0),
                      .Km = w.dim(2),
                      .Kt = w.dim(3),
                      .stride_m = stride_m,
                      .stride_t = stride_t};
  DCASE_CHECK(channels(x) == s.Ci, op, ": x has ", channels(x), " channels, w takes ", s.Ci);
  check_map(op, "y", y, s.N, s.Co, s.My(), s.Ty());
  return s;
}

[[nodiscard]] inline Cost cost(const Conv2dForward<float>& a) {
  return conv2d_cost(conv2d_shape("conv2d_forward", a.x, a.w, a.y, a.stride_m, a.stride_t));
}

/// Of the gradients that are wanted.
[[nodiscard]] inline Cost cost(const Conv2dBackward<float>& a) {
  Cost sum;
  const auto add = [&](const View<const float>& x, const View<const float>& w) {
    const Cost pass = conv2d_cost(conv2d_shape("conv2d_backward", x, w, a.dy, a.stride_m, a.stride_t));
    sum.flops += pass.flops;
    sum.bytes += pass.bytes;
  };
  if (a.dx.present()) add(a.dx, a.w);
  if (a.dw.present()) add(a.x, a.dw);
  return sum;
}

}  // namespace dcase
