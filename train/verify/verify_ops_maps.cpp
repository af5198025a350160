#include <cctype>

#include "kernels/batchnorm/batchnorm.hpp"
#include "kernels/common/error.hpp"
#include "kernels/conv1d/conv1d.hpp"
#include "kernels/conv2d/conv2d.hpp"
#include "kernels/pool2d/pool2d.hpp"
#include "train/verify/layout.hpp"
#include "train/verify/verify_ops.hpp"

namespace dcase::detail {

namespace {

/// The number that follows `letter` after a '_' or a digit in a group's name: 2 for 's' in "conv2d_k3s2_even".
[[nodiscard]] std::int64_t number_after(const std::string& name, char letter) {
  for (std::size_t i = name.find('_'); i + 1 < name.size(); ++i) {
    const auto digit = [&](std::size_t at) { return std::isdigit(static_cast<unsigned char>(name[at])) != 0; };
    if (name[i] == letter && digit(i + 1)) return name[i + 1] - '0';
  }
  fail(ErrorKind::kData, "verify: the name '", name, "' says no number for '", letter, "'");
}

[[nodiscard]] View<float> map_of(const Tensor& x) { return as_map(x.view()); }
[[nodiscard]] View<const float> const_map_of(const Tensor& x) { return as_map(View<const float>(x)); }

}  // namespace

void check_conv2d(const OpsCheck& c) {
  const Context& context = c.backend->context();
  const std::int64_t stride = number_after(c.group, 's');
  const Tensor x = channels_last(c.checker, c.key("x"), c.backend);
  const Tensor w = as_stored(c.checker, c.key("w"), c.backend);
  const Tensor dy = channels_last(c.checker, c.key("dy"), c.backend);
  const Tensor y = dy.like();
  const Tensor dx = x.like();
  const Tensor dw = w.like();
  const auto run = [&](ConvAlgorithm algorithm) {
    conv2d_forward<float>(
        {.x = const_map_of(x), .w = w, .y = map_of(y), .stride_m = stride, .stride_t = stride, .algorithm = algorithm},
        context);
    conv2d_backward<float>({.x = const_map_of(x),
                            .w = w,
                            .dy = const_map_of(dy),
                            .dx = map_of(dx),
                            .dw = dw,
                            .stride_m = stride,
                            .stride_t = stride,
                            .algorithm = algorithm},
                           context);
  };
  run(ConvAlgorithm::kDirect);
  c.checker.compare(c.key("y"), channels_first(y));
  c.checker.compare(c.key("dx"), channels_first(dx));
  c.checker.compare(c.key("dw"), dw.to_vector());

  // Where layers of this shape run by another algorithm, that one is checked as well.
  const Conv2dShape shape = conv2d_shape("verify", const_map_of(x), w, const_map_of(y), stride, stride);
  if (conv2d_plan(shape, context).algorithm != ConvAlgorithm::kWinograd) return;
  run(ConvAlgorithm::kWinograd);
  const auto part = [&](const char* name, const std::vector<float>& actual) {
    c.checker.compare_part(c.key(name), "winograd", std::vector<double>(actual.begin(), actual.end()),
                           c.checker.doubles(c.key(name)));
  };
  part("y", channels_first(y));
  part("dx", channels_first(dx));
  part("dw", dw.to_vector());
}

void check_conv1d(const OpsCheck& c) {
  const std::int64_t stride = number_after(c.group, 's');
  const Tensor x = channels_last(c.checker, c.key("x"), c.backend);
  const Tensor w = as_stored(c.checker, c.key("w"), c.backend);
  const Tensor dy = channels_last(c.checker, c.key("dy"), c.backend);
  const Tensor y = dy.like();
  const Tensor dx = x.like();
  const Tensor dw = w.like();
  conv1d_forward<float>({.x = x, .w = w, .y = y, .stride = stride}, c.backend->context());
  conv1d_backward<float>({.x = x, .w = w, .dy = dy, .dx = dx, .dw = dw, .stride = stride}, c.backend->context());
  c.checker.compare(c.key("y"), channels_first(y));
  c.checker.compare(c.key("dx"), channels_first(dx));
  c.checker.compare(c.key("dw"), dw.to_vector());
}

void check_batchnorm(const OpsCheck& c) {
  const Context& context = c.backend->context();
  const Tensor x = channels_last(c.checker, c.key("x"), c.backend);
  const Tensor gamma = as_stored(c.checker, c.key("gamma"), c.backend);
  const Tensor beta = as_stored(c.checker, c.key("beta"), c.backend);
  const Tensor dy = channels_last(c.checker, c.key("dy"), c.backend);
  const Tensor running_mean = as_stored(c.checker, c.key("rmean0"), c.backend);
  const Tensor running_variance = as_stored(c.checker, c.key("rvar0"), c.backend);
  const Tensor y = x.like();
  const Tensor dx = x.like();
  const Tensor dgamma = gamma.like();
  const Tensor dbeta = beta.like();
  const auto run = [&](const std::string& mode, const Tensor& mean, const Tensor& variance, bool batch_statistics) {
    batchnorm_forward<float>(
        {.x = const_map_of(x), .mean = mean, .variance = variance, .gamma = gamma, .beta = beta, .y = map_of(y)},
        context);
    batchnorm_backward<float>({.x = const_map_of(x),
                               .mean = mean,
                               .variance = variance,
                               .gamma = gamma,
                               .beta = beta,
                               .dy = const_map_of(dy),
                               .batch_statistics = batch_statistics,
                               .dx = map_of(dx),
                               .dgamma = dgamma,
                               .dbeta = dbeta},
                              context);
    c.checker.compare(c.key(mode + ".y"), channels_first(y));
    c.checker.compare(c.key(mode + ".dx"), channels_first(dx));
    c.checker.compare(c.key(mode + ".dgamma"), dgamma.to_vector());
    c.checker.compare(c.key(mode + ".dbeta"), dbeta.to_vector());
  };
  run("eval", running_mean, running_variance, false);
  const Tensor mean = gamma.like();
  const Tensor variance = gamma.like();
  batchnorm_statistics<float>({.x = const_map_of(x), .mean = mean, .variance = variance}, context);
  run("train", mean, variance, true);
  batchnorm_update_running<float>({.mean = mean,
                                   .variance = variance,
                                   .count = positions(map_of(x)),
                                   .running_mean = running_mean,
                                   .running_variance = running_variance},
                                  context);
  c.checker.compare(c.key("train.rmean1"), running_mean.to_vector());
  c.checker.compare(c.key("train.rvar1"), running_variance.to_vector());
}

void check_avg_pool(const OpsCheck& c) {
  const int pool_m = static_cast<int>(number_after(c.group, '_'));  // "avgpool_2x5_floor"
  const int pool_t = static_cast<int>(number_after(c.group, 'x'));
  const Tensor x = channels_last(c.checker, c.key("x"), c.backend);
  const Tensor dy = channels_last(c.checker, c.key("dy"), c.backend);
  const Tensor y = dy.like();
  const Tensor dx = x.like();
  avg_pool_forward<float>({.x = const_map_of(x), .pool_m = pool_m, .pool_t = pool_t, .y = map_of(y)},
                          c.backend->context());
  avg_pool_backward<float>({.dy = const_map_of(dy), .pool_m = pool_m, .pool_t = pool_t, .dx = map_of(dx)},
                           c.backend->context());
  c.checker.compare(c.key("y"), channels_first(y));
  c.checker.compare(c.key("dx"), channels_first(dx));
}

}  // namespace dcase::detail
