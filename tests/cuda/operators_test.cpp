// CUDA operators on the emulated device against their double references: values, tails, unaligned pointers, schedules.

#include <cmath>
#include <functional>
#include <vector>

#include "kernels/adam/adam.hpp"
#include "kernels/elementwise/dropout.hpp"
#include "kernels/elementwise/elementwise.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/gemm/gemm_ref.hpp"
#include "kernels/reduce/reduce.hpp"
#include "tests/cuda/cuda_context.hpp"

namespace dcase::test {

namespace {

// One less, exactly and one more than what a thread takes at a time, and more than one block.
const std::vector<std::int64_t> kSizes = {1, 3, 4, 5, 1023, 1029};

// f(context, in, in2, out) on the device and on the host in double, from the same numbers.
template <class OnGpu, class OnHost>
void compare_elementwise(const char* what, const OnGpu& gpu, const OnHost& host, double tolerance) {
  const CpuContext cpu;
  for (const std::int64_t n : kSizes) {
    for (const std::int64_t offset : {0, 1}) {
      Buffer<float> a({n});
      Buffer<float> b({n});
      Buffer<float> y({n});
      a.fill_uniform("a", -3, 3);
      b.fill_uniform("b", -2, 2);
      y.fill_uniform("y");
      Buffer<double> a2({n});
      Buffer<double> b2({n});
      Buffer<double> y2({n});
      for (std::int64_t i = 0; i < n; ++i) {
        a2[i] = static_cast<double>(a[i]);
        b2[i] = static_cast<double>(b[i]);
        y2[i] = static_cast<double>(y[i]);
      }
      const OnDevice da(a.view(), offset);
      const OnDevice db(b.view(), offset);
      const OnDevice dy(y.view(), offset);
      const CudaContext context;
      gpu(da.view(), db.view(), dy.view(), static_cast<const Context&>(context));
      dy.download(y.view());
      host(a2.view(), b2.view(), y2.view(), static_cast<const Context&>(cpu));
      check_close(what, y.view(), y2.view(), tolerance, tolerance);
    }
  }
}

}  // namespace

TEST_CASE("cuda elementwise: equals the double reference", "[cuda][elementwise]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    // Operators of x, then of (y, dy) with both gradient modes.
    compare_elementwise(
        "relu", [](auto a, auto, auto y, auto& c) { relu_forward<float>({.x = a, .y = y}, c); },
        [](auto a, auto, auto y, auto& c) { relu_forward<double>({.x = a, .y = y}, c); }, 1e-7);
    compare_elementwise(
        "sigmoid", [](auto a, auto, auto y, auto& c) { sigmoid_forward<float>({.x = a, .y = y}, c); },
        [](auto a, auto, auto y, auto& c) { sigmoid_forward<double>({.x = a, .y = y}, c); }, 3e-7);
    compare_elementwise(
        "tanh", [](auto a, auto, auto y, auto& c) { tanh_forward<float>({.x = a, .y = y}, c); },
        [](auto a, auto, auto y, auto& c) { tanh_forward<double>({.x = a, .y = y}, c); }, 3e-7);
    compare_elementwise(
        "add", [](auto a, auto b, auto y, auto& c) { add<float>({.a = a, .b = b, .y = y}, c); },
        [](auto a, auto b, auto y, auto& c) { add<double>({.a = a, .b = b, .y = y}, c); }, 1e-7);
  });
  for (const GradMode mode : {GradMode::kSet, GradMode::kAdd}) {
    compare_elementwise(
        "scale", [=](auto a, auto, auto y, auto& c) { scale<float>({.x = a, .alpha = 0.7, .y = y, .mode = mode}, c); },
        [=](auto a, auto, auto y, auto& c) { scale<double>({.x = a, .alpha = 0.7, .y = y, .mode = mode}, c); }, 5e-7);
    compare_elementwise(
        "relu_backward",
        [=](auto a, auto b, auto y, auto& c) { relu_backward<float>({.y = a, .dy = b, .dx = y, .dx_mode = mode}, c); },
        [=](auto a, auto b, auto y, auto& c) { relu_backward<double>({.y = a, .dy = b, .dx = y, .dx_mode = mode}, c); },
        5e-7);
    compare_elementwise(
        "sigmoid_backward",
        [=](auto a, auto b, auto y, auto& c) {
          sigmoid_backward<float>({.y = a, .dy = b, .dx = y, .dx_mode = mode}, c);
        },
        [=](auto a, auto b, auto y, auto& c) {
          sigmoid_backward<double>({.y = a, .dy = b, .dx = y, .dx_mode = mode}, c);
        },
        2e-6);
    compare_elementwise(
        "tanh_backward",
        [=](auto a, auto b, auto y, auto& c) { tanh_backward<float>({.y = a, .dy = b, .dx = y, .dx_mode = mode}, c); },
        [=](auto a, auto b, auto y, auto& c) { tanh_backward<double>({.y = a, .dy = b, .dx = y, .dx_mode = mode}, c); },
        3e-6);
  }
}

TEST_CASE("cuda elementwise: a factor from memory, and rounding from double", "[cuda][elementwise]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    const CudaContext context;
    const DeviceBuffer<float> x(1029);
    const DeviceBuffer<float> s(1);
    const DeviceBuffer<float> y(1029);
    const DeviceBuffer<double> wide(1029);
    std::vector<float> in(1029);
    std::vector<double> in_wide(1029);
    for (std::size_t i = 0; i < in.size(); ++i) {
      in_wide[i] = 1.0 / static_cast<double>(i + 3);
      in[i] = static_cast<float>(in_wide[i]) - 0.1F;
    }
    x.upload(in);
    wide.upload(in_wide);
    s.upload({-2.0F});
    const std::initializer_list<std::int64_t> shape = {1029};
    scale_by<float>({.x = View<float>(x.data(), shape), .s = View<float>(s.data(), {1}), .y = {y.data(), shape}},
                    context);
    context.stream().synchronize();
    for (float& v : in) v *= -2.0F;
    CHECK(y.download() == in);
    narrow<float>({.x = View<double>(wide.data(), shape), .y = {y.data(), shape}}, context);
    context.stream().synchronize();
    for (std::size_t i = 0; i < in.size(); ++i) in[i] = static_cast<float>(in_wide[i]);
    CHECK(y.download() == in);
  });
}

TEST_CASE("cuda elementwise: NaN stays, wrong shapes are refused by name", "[cuda][elementwise]") {
  const FreshRuntime fresh;
  const CudaContext context;
  Buffer<float> x({4});
  x.fill(NAN);
  const OnDevice dx(x.view());
  relu_forward<float>({.x = dx.view(), .y = dx.view()}, context);
  dx.download(x.view());
  CHECK(std::isnan(x[2]));
  View<float> other = dx.view();
  other.shape[0] = 3;
  CHECK_THROWS_WITH(relu_forward<float>({.x = dx.view(), .y = other}, context),
                    "relu_forward: x has shape [4], y has [3]");
}

TEST_CASE("cuda dropout: the mask is that of the CPU, bit for bit", "[cuda][elementwise]") {
  const FreshRuntime fresh;
  const CpuContext cpu;
  for_each_schedule([&] {
    for (const double p : {0.0, 0.2, 0.9}) {
      for (const GradMode mode : {GradMode::kSet, GradMode::kAdd}) {
        const RandomKey key{.seed = 5, .purpose = purpose_id("dropout"), .step = 3};
        Buffer<float> x({37, 9});
        Buffer<float> expected({37, 9});
        Buffer<float> actual({37, 9});
        x.fill_uniform("x");
        expected.fill_uniform("before");
        actual.fill_uniform("before");
        const CudaContext context;
        const OnDevice dx(x.view());
        const OnDevice dy(actual.view());
        dropout_backward<float>({.dy = dx.view(), .p = p, .key = key, .dx = dy.view(), .dx_mode = mode}, context);
        dropout_backward<float>({.dy = x.view(), .p = p, .key = key, .dx = expected.view(), .dx_mode = mode}, cpu);
        dy.download(actual.view());
        check_close("dropout", actual.view(), expected.view(), 1e-7, 1e-7);
        dropout_forward<float>({.x = dx.view(), .p = p, .key = key, .y = dy.view()}, context);
        dropout_forward<float>({.x = x.view(), .p = p, .key = key, .y = expected.view()}, cpu);
        dy.download(actual.view());
        bool equal = true;
        for (std::int64_t i = 0; i < x.size(); ++i) equal = equal && actual[i] == expected[i];
        CHECK(equal);
      }
    }
  });
}

TEST_CASE("cuda adam: five steps equal the double reference", "[cuda][adam]") {
  const FreshRuntime fresh;
  const CpuContext cpu;
  for_each_schedule([&] {
    for (const bool amsgrad : {false, true}) {
      constexpr std::int64_t kCount = 700;                                      // more than two blocks
      Buffer<float> f[5] = {{kCount}, {kCount}, {kCount}, {kCount}, {kCount}};  // g, p, m, v, vmax
      Buffer<double> d[5] = {{kCount}, {kCount}, {kCount}, {kCount}, {kCount}};
      f[0].fill_uniform("g");
      f[1].fill_uniform("p");
      for (int i = 2; i < 5; ++i) f[i].fill(0);
      std::vector<std::unique_ptr<OnDevice>> on;
      for (int i = 0; i < 5; ++i) {
        for (std::int64_t k = 0; k < kCount; ++k) d[i][k] = static_cast<double>(f[i][k]);
        on.push_back(std::make_unique<OnDevice>(f[i].view()));
      }
      const CudaContext context;
      for (std::int64_t step = 1; step <= 5; ++step) {
        AdamStep<float> a{.g = on[0]->view(), .p = on[1]->view(), .m = on[2]->view(), .v = on[3]->view()};
        AdamStep<double> b{.g = d[0].view(), .p = d[1].view(), .m = d[2].view(), .v = d[3].view()};
        if (amsgrad) {
          a.vmax = on[4]->view();
          b.vmax = d[4].view();
        }
        a.weight_decay = b.weight_decay = 0.01;
        a.grad_scale = b.grad_scale = 0.5;
        a.step = b.step = step;
        adam_step(a, context);
        adam_step(b, cpu);
      }
      for (int i = 1; i < 5; ++i) {
        on[static_cast<std::size_t>(i)]->download(f[i].view());
        check_close("adam", f[i].view(), d[i].view(), 1e-6, 1e-5);
      }
    }
  });
}

TEST_CASE("cuda reduce: sums, means, norms and the search for NaN equal the double reference", "[cuda][reduce]") {
  const FreshRuntime fresh;
  const CpuContext cpu;
  for_each_schedule([&] {
    struct Shape {
      std::int64_t O, R, I;
    };
    for (const Shape s : {Shape{1, 1, 1}, Shape{2, 3, 33}, Shape{3, 130, 5}, Shape{1, 257, 40}}) {
      INFO(s.O << " x " << s.R << " x " << s.I);
      Buffer<float> x({s.O, s.R, s.I});
      Buffer<float> y({s.O, s.I});
      Buffer<double> x2({s.O, s.R, s.I});
      Buffer<double> y2({s.O, s.I});
      x.fill_uniform("x");
      x2.fill_uniform("x");
      const CudaContext context;
      const OnDevice dx(x.view());
      const OnDevice dy(y.view());
      mean_forward<float>({.x = dx.view(), .y = dy.view()}, context);
      mean_forward<double>({.x = x2.view(), .y = y2.view()}, cpu);
      dy.download(y.view());
      check_close("mean", y.view(), y2.view(), 1e-7, 1e-7);
      for (const GradMode mode : {GradMode::kAdd, GradMode::kSet}) {
        mean_backward<float>({.dy = dy.view(), .dx = dx.view(), .dx_mode = mode}, context);
        mean_backward<double>({.dy = y2.view(), .dx = x2.view(), .dx_mode = mode}, cpu);
        dx.download(x.view());
        check_close("dx", x.view(), x2.view(), 1e-7, 2e-7);
      }
      const double norm = squared_norm<float>(dx.view(), context);
      CHECK(std::abs(norm - squared_norm<double>(x2.view(), cpu)) <= 1e-6 * (norm + 1e-6));
    }
    Buffer<float> x({150, 35});
    Buffer<double> x2({150, 35});
    Buffer<float> sum({35});
    Buffer<double> sum2({35});
    x.fill_uniform("x");
    x2.fill_uniform("x");
    sum.fill_uniform("sum");
    sum2.fill_uniform("sum");
    const CudaContext context;
    const OnDevice dx(x.view());
    const OnDevice dsum(sum.view());
    for (const GradMode mode : {GradMode::kAdd, GradMode::kSet}) {
      column_sum<float>({.x = dx.view(), .y = dsum.view(), .mode = mode}, context);
      column_sum<double>({.x = x2.view(), .y = sum2.view(), .mode = mode}, cpu);
      dsum.download(sum.view());
      check_close("column_sum", sum.view(), sum2.view(), 1e-6, 1e-6);
    }
    CHECK(first_not_finite<float>(dx.view(), context) == -1);
    x[5000] = NAN;
    x[4097] = -INFINITY;
    const OnDevice bad(x.view());
    CHECK(first_not_finite<float>(bad.view(), context) == 4097);
    CHECK(first_not_finite<float>(View<const float>(), context) == -1);
    CHECK(squared_norm<float>(View<const float>(), context) == 0);
  });
}

namespace {

struct Product {
  std::int64_t m, n, k;
  bool trans_a = false, trans_b = false;
  bool bias = false;
  double alpha = 1;
  GradMode mode = GradMode::kSet;
  std::int64_t offset = 0;  // of the device pointers, in floats
};

void check_product(const Product& p, Precision precision, double error) {
  INFO(p.m << " x " << p.n << " x " << p.k << (p.trans_a ? " a^T" : "") << (p.trans_b ? " b^T" : "") << " offset "
           << p.offset << " precision " << static_cast<int>(precision));
  Buffer<float> a({p.trans_a ? p.k : p.m, p.trans_a ? p.m : p.k});
  Buffer<float> b({p.trans_b ? p.n : p.k, p.trans_b ? p.k : p.n});
  Buffer<float> bias({p.n});
  Buffer<float> c({p.m, p.n});
  Buffer<double> a2({a.view().dim(0), a.view().dim(1)});
  Buffer<double> b2({b.view().dim(0), b.view().dim(1)});
  Buffer<double> bias2({p.n});
  Buffer<double> c2({p.m, p.n});
  a.fill_uniform("a");
  b.fill_uniform("b");
  bias.fill_uniform("bias");
  c.fill_uniform("c");
  a2.fill_uniform("a");
  b2.fill_uniform("b");
  bias2.fill_uniform("bias");
  c2.fill_uniform("c");
  const CudaContext context(precision);
  const OnDevice da(a.view(), p.offset);
  const OnDevice db(b.view(), p.offset);
  const OnDevice dbias(bias.view());
  const OnDevice dc(c.view());
  Gemm<float> args{.a = da.view(), .b = db.view(), .c = dc.view(), .trans_a = p.trans_a, .trans_b = p.trans_b};
  Gemm<double> reference{.a = a2.view(), .b = b2.view(), .c = c2.view(), .trans_a = p.trans_a, .trans_b = p.trans_b};
  if (p.bias) {
    args.bias = dbias.view();
    reference.bias = bias2.view();
  }
  args.alpha = static_cast<float>(p.alpha);
  reference.alpha = p.alpha;
  args.mode = reference.mode = p.mode;
  gemm<float>(args, context);
  ref::gemm(reference);
  dc.download(c.view());
  check_close("c", c.view(), c2.view(), error * std::sqrt(static_cast<double>(p.k) + 1), 1e-6);
}

// Relative rounding of an operand, twice, over products of numbers of size up to 1 and standard deviation 1/3, at five
// standard deviations of their sum.
constexpr double kTf32Error = 5 * 2 * 0x1p-11 / 3;
constexpr double kBf16Error = 5 * 2 * 0x1p-9 / 3;
constexpr double kFp32Error = 1e-6;

}  // namespace

TEST_CASE("cuda gemm: every layout, mode, tail and precision equals the double reference", "[cuda][gemm]") {
  const FreshRuntime fresh;
  struct Rounding {
    Precision precision;
    double error;
  };
  for_each_schedule([] {
    for (const Rounding r : {Rounding{Precision::kFp32, kFp32Error}, Rounding{Precision::kTf32, kTf32Error},
                             Rounding{Precision::kBf16, kBf16Error}}) {
      for (const bool trans_a : {false, true}) {
        for (const bool trans_b : {false, true}) {
          check_product({5, 7, 3, trans_a, trans_b, true, -0.5, GradMode::kAdd}, r.precision, r.error);
          check_product({36, 40, 44, trans_a, trans_b}, r.precision, r.error);  // copies of 16 bytes, ragged tiles
        }
      }
    }
  });
  for (const Rounding r : {Rounding{Precision::kFp32, kFp32Error}, Rounding{Precision::kTf32, kTf32Error},
                           Rounding{Precision::kBf16, kBf16Error}}) {
    check_product({65, 67, 33}, r.precision, r.error);                // one past a tile in every direction
    check_product({64, 64, 128, false, true}, r.precision, r.error);  // whole tiles, more steps than stages
    check_product({36, 40, 44, true, false, false, 1, GradMode::kSet, 1}, r.precision, r.error);  // unaligned
    check_product({1, 1, 1}, r.precision, r.error);
    check_product({4, 4, 0, false, false, true}, r.precision, r.error);  // an empty sum
  }
}

}  // namespace dcase::test
