// The convolutions of v3: forward at one clip of 10 s, gradients at four clips of 5 s, in each algorithm there is.

#include "bench/case.hpp"
#include "bench/inputs.hpp"
#include "kernels/common/map.hpp"
#include "kernels/conv2d/conv2d.hpp"
#include "kernels/conv2d/conv2d_ref.hpp"

namespace dcase::bench {
namespace {

constexpr double kSampleBound = 2e-6;    // sampled outputs against double sums
constexpr double kWeightBound = 4e-6;    // sampled weight gradients: running sums of up to 128,512 products
constexpr double kWinogradBound = 2e-6;  // all outputs against the direct algorithm

struct Layer {
  const char* name;
  std::int64_t Ci, Co, rows, divide_t;  // of 128 rows and T frames at the input of the network
  std::int64_t kernel = 3;
  std::int64_t stride = 1;
};

constexpr Layer kLayers[] = {
    {"conv1_1", 1, 64, 128, 1},   {"conv1_2", 64, 64, 128, 1},        {"conv2_1", 64, 128, 64, 2},
    {"conv2_2", 128, 128, 64, 2}, {"conv3_1", 128, 256, 32, 4},       {"conv3_2", 256, 256, 32, 4},
    {"conv4", 256, 256, 16, 8},   {"asc_0_1", 256, 384, 8, 40, 3, 2}, {"asc_0_down", 256, 384, 8, 40, 1, 2},
    {"asc_0_2", 384, 384, 4, 80},
};

Conv2dShape shape_of(const Layer& layer, std::int64_t N, std::int64_t frames) {
  return {.N = N,
          .Ci = layer.Ci,
          .M = layer.rows,
          .T = frames / layer.divide_t,
          .Co = layer.Co,
          .Km = layer.kernel,
          .Kt = layer.kernel,
          .stride_m = layer.stride,
          .stride_t = layer.stride};
}

struct Arrays {
  Tensor x, w, y;
  Conv2dPack pack;
};

void run_pass(const Conv2dShape& s, ConvPass pass, ConvAlgorithm algorithm, const Arrays& a, Conv2dPack& pack) {
  const Context& context = a.x.context();
  if (pass == ConvPass::kForward) {
    conv2d_forward<float>({.x = a.x,
                           .w = a.w,
                           .y = a.y,
                           .stride_m = s.stride_m,
                           .stride_t = s.stride_t,
                           .algorithm = algorithm,
                           .pack = &pack,
                           .version = 1},
                          context);
    return;
  }
  const bool data = pass == ConvPass::kDataGradient;
  conv2d_backward<float>({.x = data ? View<const float>() : View<const float>(a.x),
                          .w = data ? View<const float>(a.w) : View<const float>(),
                          .dy = a.y,
                          .dx = data ? a.x.view() : View<float>(),
                          .dw = data ? View<float>() : a.w.view(),
                          .stride_m = s.stride_m,
                          .stride_t = s.stride_t,
                          .algorithm = algorithm,
                          .pack = &pack,
                          .version = 1},
                         context);
}

// The arrays in the layout the algorithm computes in, with the same values in every layout.
std::shared_ptr<Arrays> make_arrays(const Conv2dShape& s, const Conv2dPlan& plan, const BackendPtr& backend) {
  const auto grouped = [&](const std::string& name, std::int64_t C, std::int64_t M, std::int64_t T, std::int64_t B) {
    const Tensor last = random_tensor(name, {s.N, 1, M, T, C}, backend);
    const Tensor map({s.N, C / B, M, T, B}, backend);
    for (std::int64_t i = 0; i < last.size() / C; ++i) {
      for (std::int64_t c = 0; c < C; ++c) {
        const std::int64_t at = ref::map_offset(map.view(), i / (M * T), c, i / T % M, i % T);
        map.data()[at] = last.data()[i * C + c];
      }
    }
    return map;
  };
  auto arrays = std::make_shared<Arrays>();
  arrays->x = grouped("x", s.Ci, s.M, s.T, plan.x_group);
  arrays->w = random_tensor("w", {s.Co, s.Ci, s.Km, s.Kt}, backend, 0.05F);
  arrays->y = grouped("dy", s.Co, s.My(), s.Ty(), plan.y_group);
  return arrays;
}

// One element of the result by the formula, from its offset.
double element(const Conv2dShape& s, ConvPass pass, const Arrays& a, std::int64_t at) {
  double sum = 0;
  if (pass == ConvPass::kWeightGradient) {
    const std::int64_t kt = at % s.Kt;
    const std::int64_t km = at / s.Kt % s.Km;
    const std::int64_t ci = at / (s.Kt * s.Km) % s.Ci;
    const std::int64_t co = at / (s.Kt * s.Km * s.Ci);
    for (std::int64_t n = 0; n < s.N; ++n) {
      for (std::int64_t i = 0; i < s.My(); ++i) {
        for (std::int64_t j = 0; j < s.Ty(); ++j) {
          const std::int64_t m = i * s.stride_m + km - s.Km / 2;
          const std::int64_t t = j * s.stride_t + kt - s.Kt / 2;
          if (m < 0 || m >= s.M || t < 0 || t >= s.T) continue;
          sum += static_cast<double>(a.x.data()[ref::map_offset(a.x.view(), n, ci, m, t)]) *
                 static_cast<double>(a.y.data()[ref::map_offset(a.y.view(), n, co, i, j)]);
        }
      }
    }
    return sum;
  }
  const bool forward = pass == ConvPass::kForward;
  const View<float> map = forward ? a.y.view() : a.x.view();
  const std::int64_t B = map.dim(4);
  const std::int64_t t0 = at / B % map.dim(3);
  const std::int64_t m0 = at / (B * map.dim(3)) % map.dim(2);
  const std::int64_t group = at / (B * map.dim(3) * map.dim(2)) % map.dim(1);
  const std::int64_t n = at / (B * map.dim(3) * map.dim(2) * map.dim(1));
  const std::int64_t c = group * B + at % B;
  for (std::int64_t km = 0; km < s.Km; ++km) {
    for (std::int64_t kt = 0; kt < s.Kt; ++kt) {
      std::int64_t m = forward ? m0 * s.stride_m + km - s.Km / 2 : m0 - km + s.Km / 2;
      std::int64_t t = forward ? t0 * s.stride_t + kt - s.Kt / 2 : t0 - kt + s.Kt / 2;
      if (!forward) {
        if (m % s.stride_m != 0 || t % s.stride_t != 0) continue;
        m /= s.stride_m;
        t /= s.stride_t;
      }
      const View<float> other = forward ? a.x.view() : a.y.view();
      if (m < 0 || m >= other.dim(2) || t < 0 || t >= other.dim(3)) continue;
      for (std::int64_t k = 0; k < (forward ? s.Ci : s.Co); ++k) {
        const std::int64_t co = forward ? c : k;
        const std::int64_t ci = forward ? k : c;
        sum += static_cast<double>(a.w.data()[((co * s.Ci + ci) * s.Km + km) * s.Kt + kt]) *
               static_cast<double>(other.data[ref::map_offset(other, n, k, m, t)]);
      }
    }
  }
  return sum;
}

Tensor& result_of(Arrays& a, ConvPass pass) {
  return pass == ConvPass::kForward ? a.y : pass == ConvPass::kDataGradient ? a.x : a.w;
}

Work convolution(const Conv2dShape& s, ConvPass pass, ConvAlgorithm algorithm) {
  const BackendPtr backend = Backend::cpu();
  const Context& context = backend->context();
  const Conv2dPlan plan = conv2d_plan(s, context, algorithm);
  const auto arrays = make_arrays(s, plan, backend);
  const auto run = [s, pass, algorithm, arrays] { run_pass(s, pass, algorithm, *arrays, arrays->pack); };
  run();
  const View<const float> result = result_of(*arrays, pass).view();
  // A weight gradient adds up to 128,512 products: the direct algorithm in a foreign layout rounds more than Winograd
  // does and is no reference for it.
  if (plan.algorithm == ConvAlgorithm::kWinograd && pass != ConvPass::kWeightGradient) {
    // The direct algorithm on the same maps; it converts them where it wants others.
    Arrays direct{.x = arrays->x, .w = arrays->w, .y = arrays->y, .pack = {}};
    result_of(direct, pass) = result_of(*arrays, pass).like();
    run_pass(s, pass, ConvAlgorithm::kDirect, direct, direct.pack);
    require_match("Winograd", relative_error(result, View<const float>(result_of(direct, pass).view())),
                  kWinogradBound);
  }
  const bool weights = pass == ConvPass::kWeightGradient;
  require_samples("convolution", result, weights ? 64 : 256, weights ? kWeightBound : kSampleBound,
                  [&](std::int64_t at) { return element(s, pass, *arrays, at); });
  return {.run = run, .cost = conv2d_cost(s), .note = conv2d_implementation(s, pass, context, algorithm)};
}

bool has_winograd(const Conv2dShape& s) {
  try {
    return conv2d_plan(s, {}, ConvAlgorithm::kWinograd).algorithm == ConvAlgorithm::kWinograd;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

void add_convolutions(std::vector<Case>& cases) {
  struct Direction {
    const char* name;
    ConvPass pass;
    std::int64_t N, frames;
  };
  for (const Direction d :
       {Direction{"forward", ConvPass::kForward, 1, 500}, Direction{"dx", ConvPass::kDataGradient, 4, 251},
        Direction{"dw", ConvPass::kWeightGradient, 4, 251}}) {
    for (const Layer& layer : kLayers) {
      if (layer.Ci == 1 && d.pass == ConvPass::kDataGradient) continue;  // nobody asks for the gradient of the input
      const Conv2dShape s = shape_of(layer, d.N, d.frames);
      for (const ConvAlgorithm algorithm : {ConvAlgorithm::kAuto, ConvAlgorithm::kDirect, ConvAlgorithm::kWinograd}) {
        if (algorithm == ConvAlgorithm::kWinograd && !has_winograd(s)) continue;
        cases.push_back({.name = concat("conv2d_", d.name, "/", layer.name, "/", name(algorithm)),
                         .shape = concat("[", s.N, ",", s.M, ",", s.T, ",", s.Ci, "] -> ", s.Co, ", ", s.Km, "x", s.Kt,
                                         s.stride_t > 1 ? ", stride 2" : ""),
                         .prepare = [s, d, algorithm] { return convolution(s, d.pass, algorithm); }});
      }
    }
  }
}

}  // namespace dcase::bench
