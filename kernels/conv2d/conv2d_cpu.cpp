#include <omp.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "kernels/common/map.hpp"
#include "kernels/common/onednn.hpp"
#include "kernels/conv2d/conv2d.hpp"
#include "kernels/conv2d/one_channel.hpp"
#include "kernels/elementwise/reorder.hpp"

namespace dcase {
namespace {

using onednn::Convolution;
using onednn::MapLayout;
using ConvolutionPtr = std::shared_ptr<const Convolution>;

constexpr std::int64_t kGroup = kConv2dGroup;  // also of Winograd's register block
constexpr std::size_t kAlignment = 64;         // of the arrays that oneDNN's Winograd code takes

/// What a prepared convolution is looked up by.
struct Request {
  Conv2dShape shape;
  ConvPass pass = ConvPass::kForward;
  ConvAlgorithm algorithm = ConvAlgorithm::kAuto;
  MapLayout x = MapLayout::kChannelsLast;
  MapLayout y = MapLayout::kChannelsLast;
  int threads = 1;
  friend bool operator==(const Request&, const Request&) = default;
};

bool is_layout(const View<const float>& map, MapLayout layout) {
  return layout == MapLayout::kGrouped16 ? map.dim(4) == kGroup : map.dim(1) == 1;
}

MapLayout layout_of(const View<const float>& map) {
  return map.dim(1) == 1 ? MapLayout::kChannelsLast : MapLayout::kGrouped16;
}

ConvolutionPtr create(const Request& r, bool winograd, MapLayout x, MapLayout y) {
  static_assert(static_cast<int>(ConvPass::kWeightGradient) == static_cast<int>(onednn::Pass::kWeightGradient) &&
                static_cast<int>(ConvPass::kDataGradient) == static_cast<int>(onednn::Pass::kDataGradient));
  const Conv2dShape& s = r.shape;
  // On maps of one row the stride over rows is free. AVX2 has code for equal strides only.
  const std::int64_t stride_m = s.M == 1 && s.Km == 1 ? s.stride_t : s.stride_m;
  return Convolution::create({.pass = static_cast<onednn::Pass>(r.pass),
                              .winograd = winograd,
                              .x_layout = x,
                              .y_layout = y,
                              .N = s.N,
                              .Ci = s.Ci,
                              .M = s.M,
                              .T = s.T,
                              .Co = s.Co,
                              .My = s.My(),
                              .Ty = s.Ty(),
                              .Km = s.Km,
                              .Kt = s.Kt,
                              .stride_m = stride_m,
                              .stride_t = s.stride_t,
                              .threads = r.threads});
}

/// Whether the formula of F(4x4,3x3) and the layout it needs apply; oneDNN or the processor may still lack it.
bool suits_winograd(const Conv2dShape& s) {
  return s.Km == 3 && s.Kt == 3 && s.stride_m == 1 && s.stride_t == 1 && s.Ci % kGroup == 0 && s.Co % kGroup == 0 &&
         s.N * s.Ci * s.Co * s.My() * s.Ty() > 0;
}

/// Whether Winograd is the faster of the two. Measured on one Zen 4 core, N from 1 to 32: 16 -> 16 channels are up
/// to 1.2 times slower, 16 -> 32 and 32 -> 32 1.1 to 1.8 times faster, 64 and more 2 to 3 times. Transforming the
/// weights (or their gradient) costs the same however small the maps are: with 384 channels it pays from about 24 tiles
/// of 4x4 outputs on, in all three passes.
bool prefers_winograd(const Conv2dShape& s) {
  const std::int64_t tiles = s.N * ((s.My() + 3) / 4) * ((s.Ty() + 3) / 4);
  return std::max(s.Ci, s.Co) >= 2 * kGroup && tiles >= 32;
}

ConvolutionPtr create_winograd(const Request& r) {
  if (!suits_winograd(r.shape) || onednn::isa() < onednn::Isa::kAvx512) return nullptr;
  return create(r, true, MapLayout::kGrouped16, MapLayout::kGrouped16);
}

/// Whether oneDNN has Winograd code on this machine at all.
bool has_winograd() {
  static const bool value = create_winograd({.shape = {.N = 1, .Ci = kGroup, .M = 8, .T = 8, .Co = kGroup}}) != nullptr;
  return value;
}

/// Direct convolution in the maps' own layouts where oneDNN has code for them, else channels-last, which it always has.
ConvolutionPtr create_direct(const Request& r) {
  if (ConvolutionPtr own = create(r, false, r.x, r.y); own && !own->is_reference()) return own;
  ConvolutionPtr last = create(r, false, MapLayout::kChannelsLast, MapLayout::kChannelsLast);
  DCASE_CHECK(last != nullptr, "conv2d: oneDNN ", onednn::version(), " has no convolution for w [", r.shape.Co, ",",
              r.shape.Ci, ",", r.shape.Km, ",", r.shape.Kt, "]");
  return last;
}

ConvolutionPtr create(const Request& r) {
  if (r.algorithm == ConvAlgorithm::kWinograd || (r.algorithm == ConvAlgorithm::kAuto && prefers_winograd(r.shape))) {
    if (ConvolutionPtr winograd = create_winograd(r)) return winograd;
    DCASE_CHECK(r.algorithm == ConvAlgorithm::kAuto, "conv2d: no Winograd convolution for w [", r.shape.Co, ",",
                r.shape.Ci, ",", r.shape.Km, ",", r.shape.Kt, "], stride ", r.shape.stride_m, "x", r.shape.stride_t,
                " on this machine (3x3, stride 1, channels in 16s and AVX-512 are needed): use kAuto");
  }
  return create_direct(r);
}

std::int64_t weights_size(const Convolution& convolution) {
  return static_cast<std::int64_t>(convolution.weights_layout().bytes() / sizeof(float));
}

}  // namespace

struct Conv2dPack::State {
  struct Ready {
    Request request;
    ConvolutionPtr convolution;
  };
  struct WeightCopy {
    onednn::Layout layout;
    std::unique_ptr<Scratch<float>> memory;
    const float* source;  // the canonical weights it was made from, and their version
    std::uint64_t version;
  };
  // Preparing costs about 10 us when oneDNN's own cache hits: as much as a small layer of a width/8 model runs.
  static constexpr std::size_t kRecent = 16;

  std::mutex mutex;
  std::vector<Ready> recent;  // latest last
  std::vector<WeightCopy> copies;

  ConvolutionPtr prepare(const Request& request) {
    const std::lock_guard lock(mutex);
    const auto found =
        std::find_if(recent.rbegin(), recent.rend(), [&](const Ready& ready) { return ready.request == request; });
    if (found != recent.rend()) {
      std::rotate(recent.rbegin(), found, found + 1);
    } else {
      ConvolutionPtr made = create(request);
      if (recent.size() == kRecent) recent.erase(recent.begin());
      recent.push_back({request, std::move(made)});
    }
    return recent.back().convolution;
  }

  /// The weights in the layout that `convolution` takes.
  float* weights(const Convolution& convolution, const float* w, std::uint64_t version, const Context& context) {
    const std::lock_guard lock(mutex);
    auto copy = std::find_if(copies.begin(), copies.end(),
                             [&](const WeightCopy& c) { return c.layout == convolution.weights_layout(); });
    if (copy == copies.end()) {
      copies.push_back({.layout = convolution.weights_layout(),
                        .memory = std::make_unique<Scratch<float>>(context, weights_size(convolution), Lifetime::kKept),
                        .source = nullptr,
                        .version = 0});
      copy = copies.end() - 1;
    }
    if (copy->source != w || copy->version != version) {
      copy->source = nullptr;  // should packing throw, the copy is not taken for good
      convolution.pack_weights(w, copy->memory->data(), context);
      copy->source = w;
      copy->version = version;
    }
    return copy->memory->data();
  }
};

Conv2dPack::Conv2dPack() : state_(std::make_unique<State>()) {}
Conv2dPack::~Conv2dPack() = default;
Conv2dPack::Conv2dPack(Conv2dPack&&) noexcept = default;
Conv2dPack& Conv2dPack::operator=(Conv2dPack&&) noexcept = default;

namespace {

View<float> map_in(MapLayout layout, float* data, const View<const float>& like) {
  const std::int64_t b = layout == MapLayout::kGrouped16 ? kGroup : channels(like);
  return {data, {like.dim(0), channels(like) / b, like.dim(2), like.dim(3), b}};
}

/// Whether oneDNN can work on the caller's memory itself.
bool serves(const View<const float>& map, MapLayout layout) {
  return is_layout(map, layout) && reinterpret_cast<std::uintptr_t>(map.data) % kAlignment == 0;
}

/// A map to read in the layout wanted: the caller's memory where that will do, else a converted copy.
class MapInput {
 public:
  MapInput(const View<const float>& map, MapLayout layout, const Context& context)
      : copy_(context, serves(map, layout) ? 0 : map.size()), map_(map) {
    if (copy_.size() > 0) reorder_map<float>({.x = map, .y = map_in(layout, copy_.data(), map)}, context);
  }
  /// Read only: see onednn::Convolution::run.
  [[nodiscard]] float* data() const { return copy_.size() > 0 ? copy_.data() : const_cast<float*>(map_.data); }

 private:
  Scratch<float> copy_;
  View<const float> map_;
};

/// A map to write in the layout wanted; finish() brings it to the caller's memory by `mode`.
class MapOutput {
 public:
  MapOutput(const View<float>& map, MapLayout layout, GradMode mode, const Context& context)
      : copy_(context, serves(map, layout) && mode == GradMode::kSet ? 0 : map.size()),
        map_(map),
        layout_(layout),
        mode_(mode) {}
  [[nodiscard]] float* data() const { return copy_.size() > 0 ? copy_.data() : map_.data; }
  void finish(const Context& context) const {
    if (copy_.size() == 0) return;
    reorder_map<float>({.x = map_in(layout_, copy_.data(), map_), .y = map_, .mode = mode_}, context);
  }

 private:
  Scratch<float> copy_;
  View<float> map_;
  MapLayout layout_;
  GradMode mode_;
};

ConvolutionPtr prepare(Conv2dPack* pack, const Request& request) {
  return pack != nullptr ? pack->state().prepare(request) : create(request);
}

/// The weights for one call: from the pack, or prepared for this call alone.
class Weights {
 public:
  Weights(const Convolution& convolution, const View<const float>& w, Conv2dPack* pack, std::uint64_t version,
          const Context& context)
      : own_(context, pack != nullptr ? 0 : weights_size(convolution)), data_(own_.data()) {
    if (pack != nullptr) {
      data_ = pack->state().weights(convolution, w.data, version, context);
    } else {
      convolution.pack_weights(w.data, data_, context);
    }
  }
  [[nodiscard]] float* data() const { return data_; }

 private:
  Scratch<float> own_;
  float* data_;
};

void backward_data(const Conv2dBackward<float>& a, const Conv2dShape& shape, const Context& context) {
  if (a.dy.size() == 0 || a.dx.size() == 0) {
    if (a.dx_mode == GradMode::kSet) std::fill_n(a.dx.data, a.dx.size(), 0.0F);
    return;
  }
  const ConvolutionPtr conv = prepare(a.pack, {.shape = shape,
                                               .pass = ConvPass::kDataGradient,
                                               .algorithm = a.algorithm,
                                               .x = layout_of(a.dx),
                                               .y = layout_of(a.dy),
                                               .threads = omp_get_max_threads()});
  const Weights w(*conv, a.w, a.pack, a.version, context);
  const MapInput dy(a.dy, conv->spec().y_layout, context);
  const MapOutput dx(a.dx, conv->spec().x_layout, a.dx_mode, context);
  conv->run(dx.data(), w.data(), dy.data(), context);
  dx.finish(context);
}

void backward_weights(const Conv2dBackward<float>& a, const Conv2dShape& shape, const Context& context) {
  if (a.dy.size() == 0 || a.x.size() == 0) {
    if (a.dw_mode == GradMode::kSet) std::fill_n(a.dw.data, a.dw.size(), 0.0F);
    return;
  }
  const ConvolutionPtr conv = prepare(a.pack, {.shape = shape,
                                               .pass = ConvPass::kWeightGradient,
                                               .algorithm = a.algorithm,
                                               .x = layout_of(a.x),
                                               .y = layout_of(a.dy),
                                               .threads = omp_get_max_threads()});
  const MapInput x(a.x, conv->spec().x_layout, context);
  const MapInput dy(a.dy, conv->spec().y_layout, context);
  const Scratch<float> dw(context, weights_size(*conv));
  conv->run(x.data(), dw.data(), dy.data(), context);
  conv->unpack_weights(dw.data(), a.dw.data, a.dw_mode == GradMode::kAdd, context);
}

#if defined(DCASE_X86_VARIANTS)
bool is_one_channel(const Conv2dForward<float>& a, const Conv2dShape& s) {
  return s.Ci == 1 && a.y.dim(4) == kGroup && onednn::isa() >= onednn::Isa::kAvx512 &&
         a.algorithm != ConvAlgorithm::kWinograd;
}

void forward_one_channel(const Conv2dForward<float>& a, const Conv2dShape& s, const Context& context) {
  const std::int64_t taps = s.Km * s.Kt;
  const std::int64_t rows = s.M + 2 * (s.Km / 2);
  const std::int64_t row = s.T + 2 * (s.Kt / 2);
  const std::int64_t groups = s.Co / kGroup;
  const Scratch<float> w(context, s.Co * taps);            // [groups][taps][16]
  const Scratch<float> padded(context, s.N * rows * row);  // [N][rows][row]
  for (std::int64_t co = 0; co < s.Co; ++co) {
    for (std::int64_t tap = 0; tap < taps; ++tap)
      w[(co / kGroup * taps + tap) * kGroup + co % kGroup] = a.w[co * taps + tap];
  }
#pragma omp parallel for collapse(2) schedule(static)
  for (std::int64_t n = 0; n < s.N; ++n) {
    for (std::int64_t i = 0; i < rows; ++i) {
      float* const to = padded.data() + (n * rows + i) * row;
      const std::int64_t m = i - s.Km / 2;
      std::fill_n(to, row, 0.0F);
      if (m >= 0 && m < s.M) std::copy_n(a.x.data + (n * s.M + m) * s.T, s.T, to + s.Kt / 2);
    }
  }
#pragma omp parallel for collapse(3) schedule(static)
  for (std::int64_t n = 0; n < s.N; ++n) {
    for (std::int64_t g = 0; g < groups; ++g) {
      for (std::int64_t m = 0; m < s.My(); ++m) {
        cpu::one_channel::forward_avx512({.Ty = s.Ty(),
                                          .Km = s.Km,
                                          .Kt = s.Kt,
                                          .stride_t = s.stride_t,
                                          .x_row = row,
                                          .x = padded.data() + (n * rows + m * s.stride_m) * row,
                                          .w = w.data() + g * taps * kGroup,
                                          .y = a.y.data + ((n * groups + g) * s.My() + m) * s.Ty() * kGroup});
      }
    }
  }
}
#endif

}  // namespace

const char* name(ConvAlgorithm algorithm) {
  switch (algorithm) {
    case ConvAlgorithm::kDirect:
      return "direct";
    case ConvAlgorithm::kWinograd:
      return "winograd";
    case ConvAlgorithm::kAuto:
      break;
  }
  return "auto";
}

Conv2dPlan conv2d_plan(const Conv2dShape& shape, const Context& context, ConvAlgorithm wanted) {
  if (kHasCuda && !context.device.is_cpu()) {
    DCASE_CHECK(wanted != ConvAlgorithm::kWinograd, "conv2d_plan: no Winograd convolution on CUDA: use kAuto");
    return {.algorithm = ConvAlgorithm::kDirect, .x_group = shape.Ci, .y_group = shape.Co};
  }
  require_cpu(context, "conv2d_plan");
  // Layers ask in every call, so the automatic answer prepares nothing.
  const bool winograd =
      wanted == ConvAlgorithm::kAuto
          ? suits_winograd(shape) && prefers_winograd(shape) && has_winograd()
          : wanted == ConvAlgorithm::kWinograd && create({.shape = shape, .algorithm = wanted}) != nullptr;
  if (winograd) return {.algorithm = ConvAlgorithm::kWinograd, .x_group = kGroup, .y_group = kGroup};
  return {.algorithm = ConvAlgorithm::kDirect, .x_group = shape.Ci, .y_group = shape.Co};
}

Cost conv2d_cost(const Conv2dShape& s) {
  const auto product = [](std::initializer_list<std::int64_t> sizes) {
    double p = 1;
    for (const std::int64_t size : sizes) p *= static_cast<double>(size);
    return p;
  };
  return {.flops = 2 * product({s.N, s.Co, s.My(), s.Ty(), s.Ci, s.Km, s.Kt}),
          .bytes = sizeof(float) * (product({s.N, s.Ci, s.M, s.T}) + product({s.Co, s.Ci, s.Km, s.Kt}) +
                                    product({s.N, s.Co, s.My(), s.Ty()}))};
}

namespace cpu {

std::string conv2d_implementation(const Conv2dShape& shape, ConvPass pass, ConvAlgorithm algorithm) {
  return create({.shape = shape, .pass = pass, .algorithm = algorithm, .threads = omp_get_max_threads()})
      ->implementation();
}

void conv2d_forward(const Conv2dForward<float>& a, const Context& context) {
  const Conv2dShape shape = conv2d_shape("conv2d_forward", a.x, a.w, a.y, a.stride_m, a.stride_t);
  if (a.x.size() == 0 || a.w.size() == 0 || a.y.size() == 0) {
    std::fill_n(a.y.data, a.y.size(), 0.0F);
    return;
  }
#if defined(DCASE_X86_VARIANTS)
  if (is_one_channel(a, shape)) return forward_one_channel(a, shape, context);
#endif
  const ConvolutionPtr conv = prepare(a.pack, {.shape = shape,
                                               .pass = ConvPass::kForward,
                                               .algorithm = a.algorithm,
                                               .x = layout_of(a.x),
                                               .y = layout_of(a.y),
                                               .threads = omp_get_max_threads()});
  const Weights w(*conv, a.w, a.pack, a.version, context);
  const MapInput x(a.x, conv->spec().x_layout, context);
  const MapOutput y(a.y, conv->spec().y_layout, GradMode::kSet, context);
  conv->run(x.data(), w.data(), y.data(), context);
  y.finish(context);
}

void conv2d_backward(const Conv2dBackward<float>& a, const Context& context) {
  constexpr const char* kOp = "conv2d_backward";
  DCASE_CHECK(!a.dx.present() || a.w.present(), kOp, ": dx is wanted, w is missing");
  DCASE_CHECK(!a.dw.present() || a.x.present(), kOp, ": dw is wanted, x is missing");
  if (a.dx.present()) {
    const Conv2dShape shape = conv2d_shape(kOp, a.dx, a.w, a.dy, a.stride_m, a.stride_t);
    backward_data(a, shape, context);
  }
  if (a.dw.present()) {
    const Conv2dShape shape = conv2d_shape(kOp, a.x, a.dw, a.dy, a.stride_m, a.stride_t);
    backward_weights(a, shape, context);
  }
}

}  // namespace cpu
}  // namespace dcase
