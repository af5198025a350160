// Operators of one kernel: compared with the same operator on the CPU, from the same numbers.

#include <cmath>

#include "bench/cuda/case.hpp"
#include "engine/array.hpp"
#include "kernels/adam/adam.hpp"
#include "kernels/batchnorm/batchnorm.hpp"
#include "kernels/bce/bce.hpp"
#include "kernels/elementwise/elementwise.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/mel_stft/mel_stft.hpp"
#include "kernels/pool2d/pool2d.hpp"
#include "kernels/softmax_xent/softmax_xent.hpp"

namespace dcase::bench::gpu {
namespace {

constexpr std::int64_t kParameters = 13882920;  // of v3 at full width
constexpr double kFloatBound = 1e-5;            // the same sums in another order

/// The arguments of one device: what a call reads and writes.
struct Side {
  std::vector<Tensor> in, out;
  Array<double> loss;
  Context context;
};

struct Light {
  std::vector<Tensor> in, out;  // on the CPU, as they are before a call
  std::function<void(const Side&)> call;
  Cost cost;
  bool product = false;  // rounds its operands as the precision says
};

Tensor input(const std::string& name, const Shape& shape, float deviation = 1) {
  return random_tensor(name, shape, Backend::cpu(), deviation);
}
Tensor positive(const std::string& name, const Shape& shape) {
  const Tensor x = random_tensor(name, shape, Backend::cpu());
  for (std::int64_t i = 0; i < x.size(); ++i) x.data()[i] = 0.5F + 0.25F * std::abs(x.data()[i]);
  return x;
}
Tensor output(const Shape& shape) {
  return Tensor::filled(shape, std::numeric_limits<float>::quiet_NaN(), Backend::cpu());
}

Side make_side(const Light& light, const BackendPtr& backend, const Context& context) {
  Side side{.in = {}, .out = {}, .loss = Array<double>::from({0}, backend), .context = context};
  const bool host = backend->device().is_cpu();
  for (const Tensor& x : light.in) side.in.push_back(host ? x : x.copied_to(backend));
  for (const Tensor& y : light.out) side.out.push_back(host ? y.clone() : y.copied_to(backend));
  return side;
}

Results results_of(const Side& side) {
  Results results;
  for (const Tensor& y : side.out) results.push_back(y.to_vector());
  results.push_back({static_cast<float>(side.loss.to_vector()[0])});
  return results;
}

Prepared prepare(const Light& light, const Setting& s) {
  const BackendPtr cpu = Backend::cpu();
  const Side expected = make_side(light, cpu, cpu->context());
  light.call(expected);
  const auto side = std::make_shared<Side>(make_side(light, s.backend, s.context));
  return {.candidates = {{"kernel", [side, call = light.call] { call(*side); }}},
          .reset =
              [side, before = light.out] {
                for (std::size_t i = 0; i < before.size(); ++i) side->out[i].copy_from(before[i]);
              },
          .read = [side] { return results_of(*side); },
          .reference = results_of(expected),
          .bound = light.product ? bound_of(s.context.precision) : kFloatBound,
          .cost = light.cost};
}

// ---- batch norm and pool, with the ReLU and the pool of the block

struct Map {
  const char* name;
  std::int64_t N, M, T, C;
  int pool_m, pool_t;
};

BatchnormForward<float> norm_arguments(const Map& z, const Side& s) {
  return {.x = s.in[0],
          .mean = s.in[1],
          .variance = s.in[2],
          .gamma = s.in[3],
          .beta = s.in[4],
          .relu = true,
          .pool_m = z.pool_m,
          .pool_t = z.pool_t,
          .y = s.out[0]};
}
BatchnormBackward<float> norm_gradient_arguments(const Map& z, const Side& s) {
  return {.x = s.in[0],
          .mean = s.in[1],
          .variance = s.in[2],
          .gamma = s.in[3],
          .beta = s.in[4],
          .relu = true,
          .pool_m = z.pool_m,
          .pool_t = z.pool_t,
          .dy = s.in[5],
          .dx = s.out[0],
          .dgamma = s.out[1],
          .dbeta = s.out[2]};
}

Shape fine(const Map& z) { return {z.N, 1, z.M, z.T, z.C}; }
Shape coarse(const Map& z) { return {z.N, 1, z.M / z.pool_m, z.T / z.pool_t, z.C}; }
std::vector<Tensor> norm_inputs(const Map& z) {
  return {input("x", fine(z)), input("mean", {z.C}, 0.1F), positive("variance", {z.C}), input("gamma", {z.C}),
          input("beta", {z.C}, 0.2F)};
}

Light norm_statistics(const Map& z) {
  const auto args = [](const Side& s) {
    return BatchnormStatistics<float>{.x = s.in[0], .mean = s.out[0], .variance = s.out[1]};
  };
  // Away from 0, where the relative error of a mean would be that of its last bits.
  Light light{.in = {positive("x", fine(z))}, .out = {output({z.C}), output({z.C})}, .call = {}, .cost = {}};
  light.call = [args](const Side& s) { batchnorm_statistics(args(s), s.context); };
  light.cost = cost(args({.in = light.in, .out = light.out, .loss = {}, .context = {}}));
  return light;
}

Light norm_forward(const Map& z) {
  Light light{.in = norm_inputs(z), .out = {output(coarse(z))}, .call = {}, .cost = {}};
  light.call = [z](const Side& s) { batchnorm_forward(norm_arguments(z, s), s.context); };
  light.cost = cost(norm_arguments(z, {.in = light.in, .out = light.out, .loss = {}, .context = {}}));
  return light;
}

Light norm_backward(const Map& z) {
  Light light{.in = norm_inputs(z), .out = {output(fine(z)), output({z.C}), output({z.C})}, .call = {}, .cost = {}};
  light.in.push_back(input("dy", coarse(z)));
  light.call = [z](const Side& s) { batchnorm_backward(norm_gradient_arguments(z, s), s.context); };
  light.cost = cost(norm_gradient_arguments(z, {.in = light.in, .out = light.out, .loss = {}, .context = {}}));
  return light;
}

Light pool_forward(const Map& z) {
  const auto args = [z](const Side& s) {
    return AvgPoolForward<float>{.x = s.in[0], .pool_m = z.pool_m, .pool_t = z.pool_t, .y = s.out[0]};
  };
  Light light{.in = {input("x", fine(z))}, .out = {output(coarse(z))}, .call = {}, .cost = {}};
  light.call = [args](const Side& s) { avg_pool_forward(args(s), s.context); };
  light.cost = cost(args({.in = light.in, .out = light.out, .loss = {}, .context = {}}));
  return light;
}

Light pool_backward(const Map& z) {
  const auto args = [z](const Side& s) {
    return AvgPoolBackward<float>{.dy = s.in[0], .pool_m = z.pool_m, .pool_t = z.pool_t, .dx = s.out[0]};
  };
  Light light{.in = {input("dy", coarse(z))}, .out = {output(fine(z))}, .call = {}, .cost = {}};
  light.call = [args](const Side& s) { avg_pool_backward(args(s), s.context); };
  light.cost = cost(args({.in = light.in, .out = light.out, .loss = {}, .context = {}}));
  return light;
}

// ---- products, losses, the optimiser, one element at a time

Light product(std::int64_t m, std::int64_t n, std::int64_t k) {
  const auto args = [](const Side& s) {
    return Gemm<float>{.a = s.in[0], .b = s.in[1], .bias = s.in[2], .c = s.out[0], .trans_b = true};
  };
  Light light{.in = {input("a", {m, k}), input("b", {n, k}), input("bias", {n})},
              .out = {output({m, n})},
              .call = [args](const Side& s) { gemm(args(s), s.context); },
              .cost = {},
              .product = true};
  light.cost = cost(args({.in = light.in, .out = light.out, .loss = {}, .context = {}}));
  return light;
}

/// Cost of what has no formula of its own: each view moves once.
Cost moved(const Light& light, double flops_of_element) {
  double count = 0;
  for (const auto* tensors : {&light.in, &light.out}) {
    for (const Tensor& x : *tensors) count += static_cast<double>(x.size());
  }
  return {.flops = flops_of_element * static_cast<double>(light.out[0].size()), .bytes = sizeof(float) * count};
}

Light one_call(std::vector<Tensor> in, std::vector<Tensor> out, std::function<void(const Side&)> call,
               double flops_of_element) {
  Light light{.in = std::move(in), .out = std::move(out), .call = std::move(call), .cost = {}};
  light.cost = moved(light, flops_of_element);
  return light;
}

Light scene_loss(std::int64_t n) {
  const Shape z{n, 10};
  return one_call(
      {input("logits", z), positive("target", z)}, {output(z)},
      [](const Side& s) {
        softmax_xent<float>({.logits = s.in[0], .target = s.in[1], .loss = s.loss.view(), .dlogits = s.out[0]},
                            s.context);
      },
      8);
}

Light tag_loss(std::int64_t n) {
  const Shape z{n, 80};
  return one_call(
      {input("x", z), positive("target", z)}, {output(z)},
      [](const Side& s) {
        bce_logits<float>({.x = s.in[0], .target = s.in[1], .loss = s.loss.view(), .dx = s.out[0]}, s.context);
      },
      8);
}

Light event_loss(std::int64_t n, std::int64_t frames) {
  const Shape z{n, frames, 14};
  return one_call(
      {positive("x", z), positive("target", z)}, {output(z)},
      [](const Side& s) {
        bce<float>({.x = s.in[0], .target = s.in[1], .loss = s.loss.view(), .dx = s.out[0]}, s.context);
      },
      8);
}

Light adam(std::int64_t n) {
  const auto args = [](const Side& s) {
    return AdamStep<float>{.g = s.in[0], .p = s.out[0], .m = s.out[1], .v = s.out[2], .step = 3};
  };
  Light light{.in = {input("g", {n})},
              .out = {input("p", {n}), input("m", {n}, 0.1F), positive("v", {n})},
              .call = [args](const Side& s) { adam_step(args(s), s.context); },
              .cost = {}};
  light.cost = cost(args({.in = light.in, .out = light.out, .loss = {}, .context = {}}));
  return light;
}

// ---- the second launch of a training batch

Light normalize(const Shape& map) {
  return {.in = {},
          .out = {input("log-mel", map, 3)},
          .call = [](const Side& s) { mel_normalize({.x = s.out[0], .mean = {}, .std = {}}, {}, s.context); },
          .cost = {.flops = 8.0 * static_cast<double>(element_count(map)),
                   .bytes = 2.0 * sizeof(float) * static_cast<double>(element_count(map))}};
}

Light normalize_mixup(const Shape& map) {
  struct Partners {
    Array<std::int64_t> host, device;
  };
  const auto partners = std::make_shared<Partners>();
  return {.in = {input("log-mel", map, 3)},
          .out = {output(map)},
          .call =
              [partners](const Side& s) {
                const Tensor& x = s.in[0];
                Array<std::int64_t>& perm = s.context.device.is_cpu() ? partners->host : partners->device;
                if (perm.size() == 0) {
                  std::vector<std::int64_t> order;
                  for (std::int64_t n = 0; n < x.dim(0); ++n) order.push_back(x.dim(0) - 1 - n);
                  perm = Array<std::int64_t>::from(order, x.backend());
                }
                mel_normalize_mixup({.x = x, .mean = {}, .std = {}, .perm = perm.view(), .lam = 0.7, .y = s.out[0]}, {},
                                    s.context);
              },
          .cost = {.flops = 19.0 * static_cast<double>(element_count(map)),
                   .bytes = 3.0 * sizeof(float) * static_cast<double>(element_count(map))}};
}

}  // namespace

void add_light(std::vector<DeviceCase>& cases, bool tiny) {
  const auto add = [&](const std::string& name, const std::string& shape, const std::function<Light()>& light) {
    cases.push_back({name, shape, [light](const Setting& s) { return prepare(light(), s); }});
  };
  constexpr Map kMaps[] = {{"bn1_1/32x251", 32, 128, 251, 64, 1, 1}, {"bn1_2/32x251", 32, 128, 251, 64, 2, 2},
                           {"bn2_2/32x251", 32, 64, 125, 128, 2, 2}, {"bn3_2/32x251", 32, 32, 62, 256, 2, 2},
                           {"bn4_2/32x251", 32, 16, 31, 256, 2, 5},  {"bn1_2/24x1500", 24, 128, 1500, 64, 2, 2},
                           {"bn4_2/24x1500", 24, 16, 187, 256, 2, 5}};
  for (const Map& full : kMaps) {
    Map z = full;
    if (tiny) z = {full.name, 2, 6, 11, 24, full.pool_m, full.pool_t};
    const std::string shape = concat("[", z.N, ",", z.M, ",", z.T, ",", z.C, "], ReLU, pool ", z.pool_m, "x", z.pool_t);
    add(concat("batchnorm_statistics/", z.name), shape, [z] { return norm_statistics(z); });
    add(concat("batchnorm_forward/", z.name), shape, [z] { return norm_forward(z); });
    add(concat("batchnorm_backward/", z.name), shape, [z] { return norm_backward(z); });
    if (z.pool_m == 1) continue;
    const std::string map = concat("[", z.N, ",", z.M, ",", z.T, ",", z.C, "], ", z.pool_m, "x", z.pool_t);
    add(concat("avg_pool_forward/", z.name), map, [z] { return pool_forward(z); });
    add(concat("avg_pool_backward/", z.name), map, [z] { return pool_backward(z); });
  }
  struct Product {
    const char* name;
    std::int64_t m, n, k;
  };
  for (const Product& full : {Product{"1024", 1024, 1024, 1024},
                              {"tag_0", 32, 1024, 512},
                              {"tag_3", 32, 1024, 1024},
                              {"gru_input", 888, 384, 512}}) {
    Product z = full;
    if (tiny) z = {full.name, std::min<std::int64_t>(full.m, 33), 40, 36};
    add(concat("gemm/", z.name), concat(z.m, "x", z.n, "x", z.k), [z] { return product(z.m, z.n, z.k); });
  }
  const std::int64_t crops = tiny ? 3 : 32;
  const Shape log_mel{crops, 128, tiny ? 41 : 251, 1};
  add("mel_normalize/5s", to_string(log_mel), [log_mel] { return normalize(log_mel); });
  add("mel_normalize_mixup/5s", to_string(log_mel), [log_mel] { return normalize_mixup(log_mel); });
  const std::int64_t recordings = tiny ? 2 : 24;
  const std::int64_t labels = tiny ? 8 : 296;
  add("softmax_xent/asc", concat("[", crops, ",10] with gradient"), [crops] { return scene_loss(crops); });
  add("bce_logits/tag", concat("[", crops, ",80] with gradient"), [crops] { return tag_loss(crops); });
  add("bce/sed", concat("[", recordings, ",", labels, ",14] with gradient"),
      [recordings, labels] { return event_loss(recordings, labels); });
  const std::int64_t parameters = tiny ? 1001 : kParameters;
  add("adam/v3", concat(parameters, " parameters"), [parameters] { return adam(parameters); });
  // The map in front of the last pool.
  const std::int64_t elements = tiny ? 1003 : std::int64_t{32} * 16 * 31 * 256;
  const std::string flat = concat(elements, " elements");
  const Shape z{elements};
  add("relu_forward/conv4", flat, [z] {
    return one_call(
        {input("x", z)}, {output(z)},
        [](const Side& s) { relu_forward<float>({.x = s.in[0], .y = s.out[0]}, s.context); }, 1);
  });
  add("relu_backward/conv4", flat, [z] {
    return one_call(
        {input("y", z), input("dy", z)}, {output(z)},
        [](const Side& s) { relu_backward<float>({.y = s.in[0], .dy = s.in[1], .dx = s.out[0]}, s.context); }, 1);
  });
  add("sigmoid_forward/conv4", flat, [z] {
    return one_call(
        {input("x", z)}, {output(z)},
        [](const Side& s) { sigmoid_forward<float>({.x = s.in[0], .y = s.out[0]}, s.context); }, 4);
  });
  add("add/conv4", flat, [z] {
    return one_call(
        {input("a", z), input("b", z)}, {output(z)},
        [](const Side& s) { dcase::add<float>({.a = s.in[0], .b = s.in[1], .y = s.out[0]}, s.context); }, 1);
  });
}

}  // namespace dcase::bench::gpu
