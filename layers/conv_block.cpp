#include "layers/conv_block.hpp"

#include <algorithm>

#include "kernels/common/map.hpp"

namespace dcase {
namespace {

// As released: batch-norm weights of the trunk are drawn from N(1, 0.02) (golden/init_stats).
const Initializer kTrunkNorm = Initializer::normal(1, 0.02);

constexpr BatchNorm::Tail kReluAlone{.relu = true};

// A map of C channels in groups of `group`: [N, C/group, M, T, group].
Tensor grouped_map(std::int64_t N, std::int64_t C, std::int64_t M, std::int64_t T, std::int64_t group,
                   const BackendPtr& backend) {
  return Tensor({N, C / group, M, T, group}, backend);
}

}  // namespace

ConvBlock::ConvBlock(const Scope& scope, std::int64_t inputs, std::int64_t outputs, Pool pool)
    : conv1_(scope / "conv1", inputs, outputs, {}, kaiming_uniform(9 * inputs)),
      conv2_(scope / "conv2", outputs, outputs, {}, kaiming_uniform(9 * outputs)),
      bn1_(scope / "bn1", outputs, kTrunkNorm),
      bn2_(scope / "bn2", outputs, kTrunkNorm),
      outputs_(outputs),
      pool_(pool) {}

std::vector<Variable> ConvBlock::inputs(const Variable& x) const {
  return {x, conv1_.weight(), bn1_.gamma(), bn1_.beta(), conv2_.weight(), bn2_.gamma(), bn2_.beta()};
}

Variable ConvBlock::forward(const Variable& x, const Pass& pass) const {
  const Tensor& in = x.value();
  DCASE_CHECK(in.rank() == 4, "conv_block: input has shape ", to_string(in.shape()), ", expected [N,M,T,C]");
  const std::int64_t N = in.dim(0);
  const std::int64_t M = in.dim(1);
  const std::int64_t T = in.dim(2);
  const Context& context = in.context();
  const std::vector<Variable> inputs = this->inputs(x);
  const bool recorded = std::any_of(inputs.begin(), inputs.end(), [](const Variable& v) { return v.requires_grad(); });
  const bool batch1 = bn1_.uses_batch(pass);
  const bool batch2 = bn2_.uses_batch(pass);
  if (!context.device.is_cpu()) {
    if (batch1 && batch2) return train_fused(x, pass);
    if (!recorded && !batch1 && !batch2) return infer_folded(x, pass);
  }
  const BatchNorm::Tail tail{.relu = true, .pool_m = pool_.m, .pool_t = pool_.t};
  const Conv2dPlan plan1 = conv2d_plan(conv1_.shape(N, M, T), context);
  const Conv2dPlan plan2 = conv2d_plan(conv2_.shape(N, M, T), context);

  // Without a backward pass to come each map goes as soon as the next one is there, and the activation takes the place
  // of z1: two maps alive instead of three.
  Tensor z1 = grouped_map(N, outputs_, M, T, plan1.y_group, in.backend());
  conv1_.run_forward(as_map(View<const float>(in)), z1);
  const BatchNorm::Statistics s1 = bn1_.statistics(z1, pass);
  const bool in_place = !recorded && plan1.y_group == plan2.x_group;
  Tensor a1 = in_place ? z1 : grouped_map(N, outputs_, M, T, plan2.x_group, in.backend());
  bn1_.run_forward(z1, s1, kReluAlone, a1);
  if (!recorded) z1 = {};

  const Tensor z2 = grouped_map(N, outputs_, M, T, plan2.y_group, in.backend());
  conv2_.run_forward(a1, z2);
  if (!recorded) a1 = {};
  const BatchNorm::Statistics s2 = bn2_.statistics(z2, pass);
  Tensor y({N, M / pool_.m, T / pool_.t, outputs_}, in.backend());
  bn2_.run_forward(z2, s2, tail, as_map(y.view()));

  return record("conv_block", y, inputs, [this, in, z1, s1, a1, z2, s2, tail, batch1, batch2](Grads& g) {
    const Gradient dx = g.in(0);
    const Gradient dw1 = g.in(1);
    const Gradient dgamma1 = g.in(2);
    const Gradient dbeta1 = g.in(3);
    const Gradient dw2 = g.in(4);
    const Gradient dgamma2 = g.in(5);
    const Gradient dbeta2 = g.in(6);
    Tensor dz2 = z2.like();
    bn2_.run_backward(z2, s2, tail, as_map(View<const float>(g.out())), batch2, {.view = dz2}, dgamma2, dbeta2);
    Tensor da1 = a1.like();
    conv2_.run_backward(a1, dz2, {.view = da1}, dw2);
    dz2 = {};  // its block serves dz1
    const Tensor dz1 = z1.like();
    bn1_.run_backward(z1, s1, kReluAlone, da1, batch1, {.view = dz1}, dgamma1, dbeta1);
    da1 = {};
    conv1_.run_backward(as_map(View<const float>(in)), dz1,
                        {.view = dx.view.present() ? as_map(dx.view) : View<float>(), .mode = dx.mode}, dw1);
  });
}

}  // namespace dcase
