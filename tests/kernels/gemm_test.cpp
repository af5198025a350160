#include "kernels/gemm/gemm.hpp"

#include "kernels/gemm/gemm_ref.hpp"
#include "tests/support/compare.hpp"

using namespace dcase;
using namespace dcase::test;

namespace {

struct Case {
  std::int64_t m, n, k;
  bool trans_a = false, trans_b = false;
  bool bias = false;
  double alpha = 1;
  GradMode mode = GradMode::kSet;
};

template <class Real>
struct Operands {
  explicit Operands(const Case& wanted)
      : a({wanted.trans_a ? wanted.k : wanted.m, wanted.trans_a ? wanted.m : wanted.k}),
        b({wanted.trans_b ? wanted.n : wanted.k, wanted.trans_b ? wanted.k : wanted.n}),
        bias({wanted.n}),
        c({wanted.m, wanted.n}),
        args{.a = a.view(), .b = b.view(), .c = c.view(), .trans_a = wanted.trans_a, .trans_b = wanted.trans_b} {
    a.fill_uniform("a");
    b.fill_uniform("b");
    bias.fill_uniform("bias");
    if (wanted.mode == GradMode::kAdd) c.fill_uniform("c");
    if (wanted.bias) args.bias = bias.view();
    args.alpha = static_cast<Real>(wanted.alpha);
    args.mode = wanted.mode;
  }
  Buffer<Real> a, b, bias, c;
  Gemm<Real> args;
};

void check(const Case& c, const CpuContext& context) {
  INFO(c.m << " x " << c.n << " x " << c.k << (c.trans_a ? " a^T" : "") << (c.trans_b ? " b^T" : "")
           << (c.bias ? " bias" : "") << " alpha " << c.alpha << (c.mode == GradMode::kAdd ? " add" : " set"));
  Operands<float> actual(c);
  Operands<double> expected(c);
  gemm<float>(actual.args, context);
  ref::gemm(expected.args);
  // Errors of a sum of k products of size up to 1 grow with sqrt(k).
  check_close("c", actual.c.view(), expected.c.view(), 1e-6 * (1 + std::sqrt(static_cast<double>(c.k))), 1e-6);
  CHECK(actual.c.guards_intact());
}

}  // namespace

TEST_CASE("gemm: equals the reference in every combination of its options") {
  const CpuContext context;
  for (const bool trans_a : {false, true}) {
    for (const bool trans_b : {false, true}) {
      for (const bool bias : {false, true}) {
        for (const double alpha : {1.0, -0.5}) {
          for (const GradMode mode : {GradMode::kSet, GradMode::kAdd}) {
            check({5, 7, 3, trans_a, trans_b, bias, alpha, mode}, context);
            check({67, 35, 131, trans_a, trans_b, bias, alpha, mode}, context);
          }
        }
      }
    }
  }
}

TEST_CASE("gemm: single rows, columns and products") {
  const CpuContext context;
  for (const bool trans : {false, true}) {
    check({1, 1, 1, trans, !trans}, context);
    check({1, 130, 17, trans, trans}, context);
    check({130, 1, 17, trans, trans}, context);
    check({33, 65, 1, trans, !trans}, context);
  }
}

TEST_CASE("gemm: empty operands") {
  const CpuContext context;
  check({0, 3, 4}, context);
  check({3, 0, 4}, context);
  check({2, 3, 0}, context);                                         // zeros
  check({2, 3, 0, false, false, true, 1, GradMode::kAdd}, context);  // adds the bias
}

TEST_CASE("gemm: operands of higher rank are matrices of their last axis") {
  const CpuContext context;
  Buffer<float> x({2, 3, 5}), w({4, 5}), y({2, 3, 4});
  Buffer<double> x_ref({6, 5}), w_ref({4, 5}), y_ref({6, 4});
  gemm<float>({.a = x.fill_uniform("x").view(), .b = w.fill_uniform("w").view(), .c = y.view(), .trans_b = true},
              context);
  ref::gemm(
      {.a = x_ref.fill_uniform("x").view(), .b = w_ref.fill_uniform("w").view(), .c = y_ref.view(), .trans_b = true});
  check_close("y", y.view(), y_ref.view(), 1e-6, 1e-6);
}

TEST_CASE("gemm: repeated runs give the same bits and the arena stands still") {
  const CpuContext context;
  const Case c{150, 96, 210, true, false, true};
  Operands<float> first(c), second(c);
  gemm<float>(first.args, context);
  const auto growths = context.arena().statistics().growths;
  gemm<float>(second.args, context);
  CHECK(context.arena().statistics().growths == growths);
  CHECK(context.arena().statistics().bytes_in_use == 0);
  CHECK(std::equal(first.c.view().data, first.c.view().data + first.c.size(), second.c.view().data));
}

TEST_CASE("gemm: sizes that do not agree throw") {
  const CpuContext context;
  const auto refuses = [&](auto&& change) {
    Operands<float> o({5, 7, 3, false, false, true});
    Buffer<float> wrong({4, 6}), vector({7});
    change(o.args, wrong.view(), vector.view());
    CHECK_THROWS_AS(gemm<float>(o.args, context), Error);
  };
  refuses([](auto& args, auto wrong, auto) { args.a = wrong; });
  refuses([](auto& args, auto wrong, auto) { args.b = wrong; });
  refuses([](auto& args, auto wrong, auto) { args.c = wrong; });
  refuses([](auto& args, auto, auto vector) { args.a = vector; });
  refuses([](auto& args, auto, auto) { args.trans_a = true; });
  refuses([](auto& args, auto, auto) { args.trans_b = true; });
  refuses([](auto& args, auto, auto) { args.bias.shape[0] = 6; });
  refuses([](auto& args, auto, auto) { args.c.data = nullptr; });
  Operands<float> o({5, 7, 3});
  CHECK_THROWS_AS(gemm<float>(o.args, Context{.device = {.type = DeviceType::kCuda}}), Error);
}

TEST_CASE("gemm: cost counts products and one pass over each array") {
  Operands<float> o({.m = 5, .n = 7, .k = 3, .trans_b = true});
  CHECK(cost(o.args).flops == 2.0 * 5 * 7 * 3);
  CHECK(cost(o.args).bytes == 4.0 * (5 * 3 + 3 * 7 + 5 * 7));
  o.args.mode = GradMode::kAdd;
  CHECK(cost(o.args).bytes == 4.0 * (5 * 3 + 3 * 7 + 2 * 5 * 7));
}
