/// Convolutions and GRU against the stored reference numbers (tests/golden/README.md).

#include <cmath>
#include <string>
#include <vector>

#include "engine/archive.hpp"
#include "kernels/common/map.hpp"
#include "kernels/conv1d/conv1d.hpp"
#include "kernels/conv2d/conv2d.hpp"
#include "kernels/gru/gru.hpp"
#include "tests/support/compare.hpp"

using namespace dcase;
using namespace dcase::test;

namespace {

struct Array {
  std::vector<std::int64_t> shape;
  std::vector<float> values;
};

/// Stored [N,C,...] as channels-last [N,...,C].
Array channels_last(const Archive& archive, const std::string& name) {
  const std::vector<std::int64_t>& stored = archive.info(name).shape;
  const std::vector<float> values = archive.floats(name);
  Array result{stored, std::vector<float>(values.size())};
  result.shape.erase(result.shape.begin() + 1);
  result.shape.push_back(stored[1]);
  const std::int64_t N = stored[0];
  const std::int64_t C = stored[1];
  const std::int64_t P = static_cast<std::int64_t>(values.size()) / (N * C);
  for (std::int64_t n = 0; n < N; ++n) {
    for (std::int64_t c = 0; c < C; ++c) {
      for (std::int64_t p = 0; p < P; ++p) {
        result.values[static_cast<std::size_t>((n * P + p) * C + c)] =
            values[static_cast<std::size_t>((n * C + c) * P + p)];
      }
    }
  }
  return result;
}

template <class T>
View<T> view(std::vector<float>& values, const std::vector<std::int64_t>& shape) {
  View<T> result(values.data(), {});
  result.rank = static_cast<int>(shape.size());
  std::copy(shape.begin(), shape.end(), result.shape);
  return result;
}

void check_golden(const std::string& name, std::vector<float>& actual, std::vector<float> expected, double rel_l2,
                  double atol = 1e-5) {
  INFO(name);
  const auto size = static_cast<std::int64_t>(expected.size());
  check_close(name, View<float>(actual.data(), {size}), View<float>(expected.data(), {size}), atol, 1e-6);
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(static_cast<double>(actual[i]) - static_cast<double>(expected[i]), 2);
    norm += std::pow(static_cast<double>(expected[i]), 2);
  }
  CHECK(difference <= rel_l2 * rel_l2 * norm);
}

void check_convolution(const Archive& archive, const std::string& group, std::int64_t stride, ConvAlgorithm algorithm,
                       double rel_l2) {
  INFO(group << " " << name(algorithm));
  const CpuContext context;
  Array x = channels_last(archive, group + ".x");
  Array dy = channels_last(archive, group + ".dy");
  std::vector<float> w = archive.floats(group + ".w");
  const std::vector<std::int64_t> w_shape = archive.info(group + ".w").shape;
  std::vector<float> y(dy.values.size(), NAN);
  std::vector<float> dx(x.values.size(), NAN);
  std::vector<float> dw(w.size(), NAN);
  if (w_shape.size() == 3) {
    conv1d_forward<float>({.x = view<const float>(x.values, x.shape),
                           .w = view<const float>(w, w_shape),
                           .y = view<float>(y, dy.shape),
                           .stride = stride},
                          context);
    conv1d_backward<float>({.x = view<const float>(x.values, x.shape),
                            .w = view<const float>(w, w_shape),
                            .dy = view<const float>(dy.values, dy.shape),
                            .dx = view<float>(dx, x.shape),
                            .dw = view<float>(dw, w_shape),
                            .stride = stride},
                           context);
  } else {
    conv2d_forward<float>({.x = as_map(view<const float>(x.values, x.shape)),
                           .w = view<const float>(w, w_shape),
                           .y = as_map(view<float>(y, dy.shape)),
                           .stride_m = stride,
                           .stride_t = stride,
                           .algorithm = algorithm},
                          context);
    conv2d_backward<float>({.x = as_map(view<const float>(x.values, x.shape)),
                            .w = view<const float>(w, w_shape),
                            .dy = as_map(view<const float>(dy.values, dy.shape)),
                            .dx = as_map(view<float>(dx, x.shape)),
                            .dw = view<float>(dw, w_shape),
                            .stride_m = stride,
                            .stride_t = stride,
                            .algorithm = algorithm},
                           context);
  }
  // Winograd's larger rounding errors show in single elements of up to 10 as well.
  const double atol = algorithm == ConvAlgorithm::kWinograd ? 3e-5 : 1e-5;
  check_golden("y", y, channels_last(archive, group + ".y").values, rel_l2, atol);
  check_golden("dx", dx, channels_last(archive, group + ".dx").values, rel_l2, atol);
  check_golden("dw", dw, archive.floats(group + ".dw"), rel_l2, atol);
}

void check_gru(const Archive& archive, const std::string& group) {
  INFO(group);
  const CpuContext context;
  const auto shape = [&](const std::string& name) { return archive.info(group + "." + name).shape; };
  std::vector<float> x = archive.floats(group + ".x");
  std::vector<float> dy = archive.floats(group + ".dy");
  const std::int64_t H = shape("hn")[2];
  const char* const kNames[4] = {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"};
  const char* const kSuffix[2] = {"", "_reverse"};
  std::vector<float> parameters[4][2];
  std::vector<float> gradients[4][2];
  GruForward<float> forward;
  GruBackward<float> backward;
  for (int d = 0; d < 2; ++d) {
    for (int i = 0; i < 4; ++i) {
      const std::string name = concat(kNames[i], kSuffix[d]);
      parameters[i][d] = archive.floats(group + "." + name);
      gradients[i][d].assign(parameters[i][d].size(), NAN);
      const View<const float> value = view<const float>(parameters[i][d], shape(name));
      const View<float> gradient = view<float>(gradients[i][d], shape(name));
      (i == 0 ? forward.w_ih : i == 1 ? forward.w_hh : i == 2 ? forward.b_ih : forward.b_hh)[d] = value;
      (i == 0 ? backward.dw_ih : i == 1 ? backward.dw_hh : i == 2 ? backward.db_ih : backward.db_hh)[d] = gradient;
    }
    backward.w_ih[d] = forward.w_ih[d];
    backward.w_hh[d] = forward.w_hh[d];
  }
  std::vector<float> y(dy.size(), NAN);
  std::vector<float> hn(archive.floats(group + ".hn").size(), NAN);
  std::vector<float> gates(dy.size() * 4, NAN);
  std::vector<float> dx(x.size(), NAN);
  forward.x = backward.x = view<const float>(x, shape("x"));
  forward.y = view<float>(y, shape("y"));
  forward.hn = view<float>(hn, shape("hn"));
  forward.saved.gates = view<float>(gates, {2, shape("x")[0], shape("x")[1], 4 * H});
  gru_forward<float>(forward, context);
  backward.y = forward.y;
  backward.saved.gates = forward.saved.gates;
  backward.dy = view<const float>(dy, shape("dy"));
  backward.dx = view<float>(dx, shape("x"));
  gru_backward<float>(backward, context);
  constexpr double kNoBound = 1e-5;  // stated is an absolute tolerance only
  check_golden("y", y, archive.floats(group + ".y"), kNoBound);
  check_golden("hn", hn, archive.floats(group + ".hn"), kNoBound);
  check_golden("dx", dx, archive.floats(group + ".dx"), kNoBound);
  for (int d = 0; d < 2; ++d) {
    for (int i = 0; i < 4; ++i) {
      const std::string name = concat("d_", kNames[i], kSuffix[d]);
      check_golden(name, gradients[i][d], archive.floats(group + "." + name), kNoBound);
    }
  }
}

}  // namespace

TEST_CASE("conv2d, conv1d: stored reference numbers") {
  const Archive archive = Archive::open(golden("ops.safetensors"));
  for (const char* group : {"conv2d_k3s1", "conv2d_k3s1_c1", "conv2d_k3s1_big", "conv1d_k3s1"})
    check_convolution(archive, group, 1, ConvAlgorithm::kAuto, 1e-6);
  for (const char* group : {"conv2d_k3s2", "conv2d_k3s2_even", "conv2d_k1s2", "conv1d_k3s2", "conv1d_k1s2"})
    check_convolution(archive, group, 2, ConvAlgorithm::kAuto, 1e-6);
}

TEST_CASE("conv2d: stored reference numbers by Winograd", "[winograd]") {
  const CpuContext context;
  const Conv2dShape large{.N = 8, .Ci = 64, .M = 64, .T = 64, .Co = 64};
  if (conv2d_plan(large, context).algorithm != ConvAlgorithm::kWinograd) skip("no Winograd on this machine");
  check_convolution(Archive::open(golden("ops.safetensors")), "conv2d_k3s1_big", 1, ConvAlgorithm::kWinograd, 2e-6);
}

TEST_CASE("gru: stored reference numbers") {
  const Archive archive = Archive::open(golden("ops.safetensors"));
  for (const char* group : {"bigru", "bigru_len1", "bigru_big"}) check_gru(archive, group);
}
