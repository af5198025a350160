#include "engine/array.hpp"
#include "kernels/adam/adam.hpp"
#include "kernels/bce/bce.hpp"
#include "kernels/common/error.hpp"
#include "kernels/mixup/mixup.hpp"
#include "kernels/softmax_xent/softmax_xent.hpp"
#include "train/schedule.hpp"
#include "train/verify/layout.hpp"
#include "train/verify/verify_ops.hpp"

namespace dcase::detail {

namespace {

/// Class indices as rows of 0 and 1.
[[nodiscard]] Tensor one_hot(const std::string& name, const std::vector<std::int64_t>& labels, std::int64_t classes,
                             const BackendPtr& backend) {
  const auto items = static_cast<std::int64_t>(labels.size());
  std::vector<float> rows(static_cast<std::size_t>(items * classes));
  for (std::int64_t i = 0; i < items; ++i) {
    const std::int64_t label = labels[static_cast<std::size_t>(i)];
    DCASE_CHECK(label >= 0 && label < classes, name, ": class ", label, " of ", classes);
    rows[static_cast<std::size_t>(i * classes + label)] = 1;
  }
  return Tensor::from({items, classes}, rows, backend);
}

/// lam * x + (1 - lam) * x[perm] with the file's lam and perm.
[[nodiscard]] Tensor mixed(const OpsCheck& c, const Tensor& x) {
  const std::vector<double> lam = c.checker.doubles("mixup.lam");
  const auto perm = Array<std::int64_t>::from(c.checker.integers("mixup.perm"), c.backend);
  DCASE_CHECK(lam.size() == 1, "mixup.lam: ", lam.size(), " numbers, expected 1");
  const Tensor y = x.like();
  mixup<float>({.x = x, .perm = perm.view(), .lam = lam[0], .y = y}, c.backend->context());
  return y;
}

}  // namespace

void check_mixup(const OpsCheck& c) {
  c.checker.compare(c.key("x_mixed"), mixed(c, as_stored(c.checker, c.key("x"), c.backend)).to_vector());
}

/// lam L(x, t) + (1 - lam) L(x, t[perm]) = L(x, lam t + (1 - lam) t[perm]): all three losses are linear in the target.
void check_loss(const OpsCheck& c) {
  const Tensor x = as_stored(c.checker, c.key("x"), c.backend);
  const bool cross_entropy = c.group == "ce" || c.group == "mixup_ce";
  const Shape& labels = c.checker.file().info(c.key("t")).shape;
  DCASE_CHECK(x.rank() >= 2 && !labels.empty() && labels[0] == x.dim(0), c.key("t"), ": shape ", to_string(labels),
              " for x ", to_string(x.shape()));
  Tensor target = cross_entropy ? one_hot(c.key("t"), c.checker.integers(c.key("t")), x.dim(1), c.backend)
                                : as_stored(c.checker, c.key("t"), c.backend);
  if (fits("mixup*", c.group)) target = mixed(c, target);
  const Tensor dx = x.like();
  const Array<double> value(1, c.backend);
  const View<double> loss = value.view();
  const Context& context = c.backend->context();
  if (cross_entropy) {
    softmax_xent<float>({.logits = x, .target = target, .loss = loss, .dlogits = dx}, context);
  } else if (fits("*_logits", c.group)) {
    bce_logits<float>({.x = x, .target = target, .loss = loss, .dx = dx}, context);
  } else {
    bce<float>({.x = x, .target = target, .loss = loss, .dx = dx}, context);
  }
  c.checker.compare(c.key("loss"), value.to_vector());
  c.checker.compare(c.key("dx"), dx.to_vector());
}

void check_adam(const OpsCheck& c) {
  // Start and gradients are stored once, for all variants.
  const std::vector<float> start = c.checker.floats("adam.p0");
  const std::vector<float> gradients = c.checker.floats("adam.grads");
  const auto n = static_cast<std::int64_t>(start.size());
  const Shape& shape = c.checker.file().info("adam.grads").shape;
  DCASE_CHECK(shape.size() == 2 && shape[1] == n, "adam.grads: shape ", to_string(shape), ", expected [steps,", n, "]");
  const Tensor p = Tensor::from({n}, start, c.backend);
  const Tensor m = Tensor::filled({n}, 0, c.backend);
  const Tensor v = Tensor::filled({n}, 0, c.backend);
  const Tensor vmax = c.group == "adam_amsgrad" ? Tensor::filled({n}, 0, c.backend) : Tensor();
  const Tensor all = Tensor::from(shape, gradients, c.backend);
  std::vector<float> steps;
  for (std::int64_t s = 0; s < shape[0]; ++s) {
    adam_step<float>({.g = all.slice(s * n, {n}),
                      .p = p,
                      .m = m,
                      .v = v,
                      .vmax = vmax,
                      .lr = c.group == "adam_lr" ? 3e-4 : 1e-3,
                      .weight_decay = c.group == "adam_wd" ? 1e-3 : 0,
                      .step = s + 1},
                     c.backend->context());
    const std::vector<float> now = p.to_vector();
    steps.insert(steps.end(), now.begin(), now.end());
  }
  c.checker.compare(c.key("p_steps"), steps);
  c.checker.compare(c.key("m"), m.to_vector());
  c.checker.compare(c.key("v"), v.to_vector());
}

void check_schedule(const OpsCheck& c) {
  // The released training: 80 epochs of 500 steps from 1e-3 down to 1e-6.
  std::vector<double> rates;
  for (const std::int64_t step : c.checker.integers(c.key("iter"))) {
    rates.push_back(cosine_warm_restarts(1e-3, 1e-6, 80 * 500, step));
  }
  c.checker.compare(c.key("lr"), rates);
}

}  // namespace dcase::detail
