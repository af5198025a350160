#include "layers/se_residual.hpp"

#include <cmath>

#include "layers/functional.hpp"

namespace dcase {
namespace {

// The framework's default for convolutions: uniform in +-1/sqrt(fan_in).
Initializer default_conv(std::int64_t inputs, std::int64_t kernel, int dimensions) {
  const std::int64_t area = dimensions == 1 ? kernel : kernel * kernel;
  return Initializer::uniform(1 / std::sqrt(static_cast<double>(inputs * area)));
}

Conv make_conv(const Scope& scope, std::int64_t inputs, std::int64_t outputs, std::int64_t kernel, std::int64_t stride,
               int dimensions) {
  return Conv(scope, inputs, outputs, {.dimensions = dimensions, .kernel = kernel, .stride = stride},
              default_conv(inputs, kernel, dimensions));
}

}  // namespace

SqueezeExcite::SqueezeExcite(const Scope& scope, std::int64_t channels)
    : squeeze_(scope / "fc" / "0", channels, channels / kReduction, false),
      excite_(scope / "fc" / "2", channels / kReduction, channels, false) {
  DCASE_CHECK(channels >= kReduction, scope.prefix(), ": ", channels, " channels, at least ", kReduction,
              " are needed");
}

Variable SqueezeExcite::forward(const Variable& x) const {
  const Tensor& in = x.value();
  const std::int64_t N = in.dim(0);
  const std::int64_t C = in.dim(in.rank() - 1);
  const std::int64_t positions = N * C == 0 ? 0 : in.size() / (N * C);
  const Variable mean_x = mean(reshape(x, {N, positions, C}), 1);
  return sigmoid(excite_.forward(relu(squeeze_.forward(mean_x))));
}

SeResidual::SeResidual(const Scope& scope, std::int64_t inputs, std::int64_t outputs, const Options& options)
    : conv1_(make_conv(scope / "conv1", inputs, outputs, 3, options.stride, options.dimensions)),
      bn1_(scope / "bn1", outputs),
      conv2_(make_conv(scope / "conv2", outputs, outputs, 3, 1, options.dimensions)),
      bn2_(scope / "bn2", outputs),
      se_(scope / "se", outputs) {
  if (inputs != outputs) {
    const Scope down = scope / "downsample";
    // Braces: conv is declared before bn, as in the state_dict.
    downsample_.emplace(
        Downsample{.conv = make_conv(down / "0", inputs, outputs, 1, options.stride, options.dimensions),
                   .bn = BatchNorm(down / "1", outputs)});
  } else {
    DCASE_CHECK(options.stride == 1, scope.prefix(), ": a stride needs a change of width");
  }
}

Variable SeResidual::forward(const Variable& x, const Pass& pass) const {
  Variable y = bn1_.forward(conv1_.forward(x), pass, true);
  y = bn2_.forward(conv2_.forward(y), pass, false);
  const Variable residual = downsample_ ? downsample_->bn.forward(downsample_->conv.forward(x), pass, false) : x;
  return channel_scale_add_relu(y, se_.forward(y), residual);
}

}  // namespace dcase
