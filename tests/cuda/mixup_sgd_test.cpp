// Mix-up and gradient descent on the emulated device against the double reference.

#include <cmath>

#include "kernels/mixup/mixup.hpp"
#include "kernels/sgd/sgd.hpp"
#include "tests/cuda/cuda_context.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

TEST_CASE("cuda mixup: items mixed with those of the permutation", "[cuda][mixup]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    for (const std::int64_t width : {1, 0, 35, 36, 2500}) {
      for (const std::int64_t offset : {0, 1}) {
        CAPTURE(width, offset);
        const std::vector<std::int64_t> perm = {2, 0, 3, 3};
        Buffer<float> x{4, width};
        Buffer<float> y{4, width};
        Buffer<double> x2{4, width};
        Buffer<double> y2{4, width};
        x.fill_uniform("x");
        x2.fill_uniform("x");
        const CudaContext context;
        const DeviceBuffer<std::int64_t> on_perm(4);
        on_perm.upload(perm);
        const OnDevice on_x(x.view(), offset);
        const OnDevice on_y(y.view(), offset);
        Mixup<float> a{.x = on_x.view(), .perm = {on_perm.data(), {4}}, .lam = 0.3, .y = on_y.view()};
        mixup(a, context);
        on_y.download(y.view());
        const CpuContext cpu;
        mixup<double>({.x = x2.view(), .perm = {perm.data(), {4}}, .lam = 0.3, .y = y2.view()}, cpu);
        check_close("y", y.view(), y2.view(), 1.2e-7, 1e-7);  // roundings of the factors, a product and the sum
        a.lam = 1;
        mixup(a, context);
        on_y.download(y.view());
        check_same_bits("lam = 1", y.view(), x.view());
      }
    }
  });
}

TEST_CASE("cuda mixup: an index that is none of the batch makes its item NaN, and wrong shapes throw",
          "[cuda][mixup]") {
  const FreshRuntime fresh;
  const CudaContext context;
  Buffer<float> x{3, 8};
  Buffer<float> y{3, 8};
  x.fill_uniform("x");
  const DeviceBuffer<std::int64_t> perm(3);
  const OnDevice on_x(x.view());
  const OnDevice on_y(y.view());
  for (const std::int64_t bad : {std::int64_t{-1}, std::int64_t{3}, std::int64_t{1} << 40}) {
    perm.upload({1, bad, 0});
    mixup<float>({.x = on_x.view(), .perm = {perm.data(), {3}}, .lam = 1, .y = on_y.view()}, context);
    on_y.download(y.view());
    for (std::int64_t i = 0; i < y.size(); ++i) CHECK(std::isnan(y[i]) == (i / 8 == 1));
  }
  CHECK_THROWS_WITH(mixup<float>({.x = on_x.view(), .perm = {perm.data(), {2}}, .y = on_y.view()}, context),
                    "mixup: perm has shape [2], expected [3]");
  View<float> other(on_y.view().data, {8, 3});
  CHECK_THROWS_WITH(mixup<float>({.x = on_x.view(), .perm = {perm.data(), {3}}, .y = other}, context),
                    "mixup: x has shape [3,8], y [8,3]");
}

TEST_CASE("cuda sgd: five steps equal the double reference", "[cuda][sgd]") {
  const FreshRuntime fresh;
  struct Kind {
    double momentum;
    bool nesterov;
  };
  for_each_schedule([] {
    for (const Kind kind : {Kind{0, false}, Kind{0.9, false}, Kind{0.9, true}}) {
      CAPTURE(kind.momentum, kind.nesterov);
      constexpr std::int64_t kCount = 700;  // more than two blocks
      Buffer<float> g{kCount};
      Buffer<float> p{kCount};
      Buffer<float> b{kCount};
      Buffer<double> g2{kCount};
      Buffer<double> p2{kCount};
      Buffer<double> b2{kCount};
      g.fill_uniform("g"), p.fill_uniform("p"), b.fill(0);
      g2.fill_uniform("g"), p2.fill_uniform("p"), b2.fill(0);
      const CudaContext context;
      const CpuContext cpu;
      const OnDevice on_g(g.view());
      const OnDevice on_p(p.view());
      const OnDevice on_b(b.view());
      SgdStep<float> a{.g = on_g.view(), .p = on_p.view(), .b = on_b.view()};
      SgdStep<double> c{.g = g2.view(), .p = p2.view(), .b = b2.view()};
      a.momentum = c.momentum = kind.momentum;
      a.nesterov = c.nesterov = kind.nesterov;
      a.weight_decay = c.weight_decay = 0.01;
      a.grad_scale = c.grad_scale = 0.5;
      for (int step = 0; step < 5; ++step) {
        sgd_step(a, context);
        sgd_step(c, cpu);
      }
      on_p.download(p.view());
      on_b.download(b.view());
      check_close("p", p.view(), p2.view(), 3e-7, 1e-7);  // a rounding of each step
      check_close("b", b.view(), b2.view(), 3e-7, 1e-7);
    }
  });
  Buffer<float> p{3};
  Buffer<float> g{4};
  const OnDevice on_p(p.view());
  const OnDevice on_g(g.view());
  const CudaContext context;
  CHECK_THROWS_WITH(sgd_step<float>({.g = on_g.view(), .p = on_p.view()}, context), "sgd_step: g has shape [4], p [3]");
  CHECK_THROWS_WITH(sgd_step<float>({.g = on_p.view(), .p = on_p.view(), .nesterov = true}, context),
                    "sgd_step: nesterov needs a momentum");
  CHECK_THROWS_WITH(sgd_step<float>({.g = on_p.view(), .p = on_p.view(), .momentum = 0.9}, context),
                    "sgd_step: b has shape [], p [3]");
}

}  // namespace dcase::test
