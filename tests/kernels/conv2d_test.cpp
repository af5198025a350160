#include "kernels/conv2d/conv2d.hpp"

#include <memory>
#include <vector>

#include "kernels/common/onednn.hpp"
#include "kernels/conv1d/conv1d.hpp"
#include "kernels/conv2d/conv2d_ref.hpp"
#include "tests/support/compare.hpp"

using namespace dcase;
using namespace dcase::test;

namespace {

constexpr auto kSet = GradMode::kSet;
constexpr auto kAdd = GradMode::kAdd;

struct Case {
  Conv2dShape shape;
  bool x_grouped = false;
  bool y_grouped = false;
  ConvAlgorithm algorithm = ConvAlgorithm::kAuto;
  GradMode mode = kSet;
};

std::string text(const Case& c) {
  const Conv2dShape& s = c.shape;
  return concat(s.N, "x", s.Ci, " [", s.M, ",", s.T, "] -> ", s.Co, " k ", s.Km, "x", s.Kt, " stride ", s.stride_m, "x",
                s.stride_t, (c.x_grouped ? " x grouped" : ""), (c.y_grouped ? " y grouped" : ""), " ",
                name(c.algorithm));
}

template <class Real>
struct Arrays {
  explicit Arrays(const Case& c)
      : x(map(c.shape.N, c.shape.Ci, c.shape.M, c.shape.T, c.x_grouped)),
        dx(map(c.shape.N, c.shape.Ci, c.shape.M, c.shape.T, c.x_grouped)),
        y(map(c.shape.N, c.shape.Co, c.shape.My(), c.shape.Ty(), c.y_grouped)),
        dy(map(c.shape.N, c.shape.Co, c.shape.My(), c.shape.Ty(), c.y_grouped)),
        w({c.shape.Co, c.shape.Ci, c.shape.Km, c.shape.Kt}),
        dw({c.shape.Co, c.shape.Ci, c.shape.Km, c.shape.Kt}) {
    x->fill_uniform("x");
    dy->fill_uniform("dy");
    w.fill_uniform("w");
    if (c.mode == kAdd) {
      dx->fill_uniform("dx");
      dw.fill_uniform("dw");
    }
    forward = {.x = x->view(),
               .w = w.view(),
               .y = y->view(),
               .stride_m = c.shape.stride_m,
               .stride_t = c.shape.stride_t,
               .algorithm = c.algorithm};
    backward = {.x = x->view(),
                .w = w.view(),
                .dy = dy->view(),
                .dx = dx->view(),
                .dw = dw.view(),
                .stride_m = c.shape.stride_m,
                .stride_t = c.shape.stride_t,
                .algorithm = c.algorithm,
                .dx_mode = c.mode,
                .dw_mode = c.mode};
  }
  static std::unique_ptr<Buffer<Real>> map(std::int64_t N, std::int64_t C, std::int64_t M, std::int64_t T,
                                           bool grouped) {
    const std::int64_t B = grouped ? 16 : C;
    return std::unique_ptr<Buffer<Real>>(new Buffer<Real>({N, C / B, M, T, B}));
  }
  std::unique_ptr<Buffer<Real>> x, dx, y, dy;
  Buffer<Real> w, dw;
  Conv2dForward<Real> forward;
  Conv2dBackward<Real> backward;
};

double relative_l2(View<float> actual, View<double> expected) {
  double difference = 0;
  double norm = 0;
  for (std::int64_t i = 0; i < actual.size(); ++i) {
    difference += (actual[i] - expected[i]) * (actual[i] - expected[i]);
    norm += expected[i] * expected[i];
  }
  return std::sqrt(difference / norm);
}

/// Forward and both gradients against the double loops. `bound` is of the relative L2 error.
void check(const Case& c, const Context& context, double bound = 1e-6) {
  INFO(text(c));
  Arrays<float> actual(c);
  Arrays<double> expected(c);
  conv2d_forward<float>(actual.forward, context);
  conv2d_backward<float>(actual.backward, context);
  ref::conv2d_forward(expected.forward);
  ref::conv2d_backward(expected.backward);
  CHECK(relative_l2(actual.y->view(), expected.y->view()) <= bound);
  CHECK(relative_l2(actual.dx->view(), expected.dx->view()) <= bound);
  CHECK(relative_l2(actual.dw.view(), expected.dw.view()) <= bound);
  // Single elements: a wrong one among many would hide in the norm. Sums of `terms` products of numbers in [-1,1].
  const auto tolerance = [&](std::int64_t terms) { return 5 * bound * (1 + std::sqrt(static_cast<double>(terms))); };
  const std::int64_t taps = c.shape.Km * c.shape.Kt;
  check_close("y", actual.y->view(), expected.y->view(), tolerance(c.shape.Ci * taps), 0);
  check_close("dx", actual.dx->view(), expected.dx->view(), tolerance(c.shape.Co * taps), 0);
  check_close("dw", actual.dw.view(), expected.dw.view(), tolerance(c.shape.N * c.shape.My() * c.shape.Ty()), 0);
  CHECK(actual.y->guards_intact());
  CHECK(actual.dx->guards_intact());
  CHECK(actual.dw.guards_intact());
}

bool has_winograd(const Context& context) {
  return conv2d_plan({.N = 4, .Ci = 64, .M = 32, .T = 32, .Co = 64}, context).algorithm == ConvAlgorithm::kWinograd;
}

}  // namespace

TEST_CASE("conv2d: channels-last maps equal the reference") {
  const CpuContext context;
  for (const GradMode mode : {kSet, kAdd}) {
    check({.shape = {.N = 2, .Ci = 3, .M = 5, .T = 7, .Co = 4}, .mode = mode}, context);
    check({.shape = {.N = 1, .Ci = 1, .M = 9, .T = 11, .Co = 64}, .mode = mode}, context);
    check({.shape = {.N = 2, .Ci = 1, .M = 9, .T = 11, .Co = 8}, .mode = mode}, context);
    check({.shape = {.N = 3, .Ci = 8, .M = 6, .T = 37, .Co = 8}, .mode = mode}, context);
    check({.shape = {.N = 2, .Ci = 8, .M = 6, .T = 5, .Co = 16}, .mode = mode}, context);
    check({.shape = {.N = 2, .Ci = 24, .M = 7, .T = 5, .Co = 40, .stride_m = 2, .stride_t = 2}, .mode = mode}, context);
    check({.shape = {.N = 2, .Ci = 32, .M = 7, .T = 6, .Co = 48, .Km = 1, .Kt = 1, .stride_m = 2, .stride_t = 2},
           .mode = mode},
          context);
    check({.shape = {.N = 2, .Ci = 5, .M = 8, .T = 9, .Co = 7, .Km = 5, .Kt = 3, .stride_m = 1, .stride_t = 3},
           .mode = mode},
          context);
    check({.shape = {.N = 1, .Ci = 2, .M = 1, .T = 1, .Co = 3}, .mode = mode}, context);
    check({.shape = {.N = 2, .Ci = 3, .M = 5, .T = 7, .Co = 4, .Km = 2, .Kt = 4}, .mode = mode}, context);
  }
}

TEST_CASE("conv2d: every combination of map layouts equals the reference") {
  const CpuContext context;
  for (const bool x_grouped : {false, true}) {
    for (const bool y_grouped : {false, true}) {
      for (const GradMode mode : {kSet, kAdd}) {
        for (const ConvAlgorithm algorithm : {ConvAlgorithm::kAuto, ConvAlgorithm::kDirect}) {
          check({{.N = 2, .Ci = 32, .M = 6, .T = 9, .Co = 48}, x_grouped, y_grouped, algorithm, mode}, context, 2e-6);
          check({{.N = 1, .Ci = 16, .M = 5, .T = 3, .Co = 32, .Km = 1, .Kt = 1}, x_grouped, y_grouped, algorithm, mode},
                context);
          check({{.N = 1, .Ci = 48, .M = 5, .T = 8, .Co = 16, .stride_m = 2, .stride_t = 2},
                 x_grouped,
                 y_grouped,
                 algorithm,
                 mode},
                context);
        }
      }
    }
  }
}

TEST_CASE("conv2d: one channel into groups equals the reference") {
  const CpuContext context;
  for (const GradMode mode : {kSet, kAdd}) {
    check({.shape = {.N = 2, .Ci = 1, .M = 7, .T = 37, .Co = 32}, .y_grouped = true, .mode = mode}, context);
    check({.shape = {.N = 1, .Ci = 1, .M = 3, .T = 2, .Co = 16}, .y_grouped = true, .mode = mode}, context);
    check({.shape = {.N = 1, .Ci = 1, .M = 9, .T = 43, .Co = 48, .Km = 5, .Kt = 1, .stride_m = 3, .stride_t = 2},
           .y_grouped = true,
           .mode = mode},
          context);
  }
}

TEST_CASE("conv2d: Winograd is within its error bound of the reference", "[winograd]") {
  const CpuContext context;
  if (!has_winograd(context)) skip("no Winograd on this machine: it needs AVX-512");
  for (const bool grouped : {false, true}) {
    for (const GradMode mode : {kSet, kAdd}) {
      // Tiles are 4 x 4: sizes below, at and above their edges.
      check({{.N = 2, .Ci = 32, .M = 8, .T = 13, .Co = 64}, grouped, grouped, ConvAlgorithm::kWinograd, mode}, context,
            2e-6);
      check({{.N = 1, .Ci = 16, .M = 3, .T = 4, .Co = 16}, grouped, grouped, ConvAlgorithm::kWinograd, mode}, context,
            2e-6);
      check({{.N = 3, .Ci = 48, .M = 5, .T = 1, .Co = 32}, grouped, !grouped, ConvAlgorithm::kWinograd, mode}, context,
            2e-6);
    }
  }
}

TEST_CASE("conv2d: a grown model's layer by Winograd and direct agree", "[winograd]") {
  const CpuContext context;
  if (!has_winograd(context)) skip("no Winograd on this machine: it needs AVX-512");
  const Conv2dShape shape{.N = 2, .Ci = 256, .M = 16, .T = 31, .Co = 256};
  Arrays<float> winograd({shape, true, true, ConvAlgorithm::kWinograd});
  Arrays<float> direct({shape, true, true, ConvAlgorithm::kDirect});
  for (auto* arrays : {&winograd, &direct}) {
    conv2d_forward<float>(arrays->forward, context);
    conv2d_backward<float>(arrays->backward, context);
  }
  const auto as_double = [](View<float> view) { return std::vector<double>(view.data, view.data + view.size()); };
  const auto error = [&](View<float> a, View<float> b) {
    std::vector<double> reference = as_double(b);
    return relative_l2(a, View<double>(reference.data(), {b.size()}));
  };
  CHECK(error(winograd.y->view(), direct.y->view()) <= 2e-6);
  CHECK(error(winograd.dx->view(), direct.dx->view()) <= 2e-6);
  CHECK(error(winograd.dw.view(), direct.dw.view()) <= 2e-6);
}

TEST_CASE("conv2d: gradients of the reference match finite differences") {
  const Case c{.shape = {.N = 2, .Ci = 3, .M = 5, .T = 4, .Co = 2, .stride_m = 2, .stride_t = 1}};
  Arrays<double> a(c);
  ref::conv2d_backward(a.backward);
  const auto loss = [&] {
    ref::conv2d_forward(a.forward);
    return weighted_sum(a.y->view(), a.dy->view());
  };
  check_gradient("dx", a.x->view(), a.dx->view(), loss);
  check_gradient("dw", a.w.view(), a.dw.view(), loss);
}

TEST_CASE("conv2d: a pack gives the same bits, follows the version and stands still in memory") {
  const CpuContext context;
  for (const bool grouped : {false, true}) {
    const Case c{{.N = 4, .Ci = 32, .M = 16, .T = 20, .Co = 64}, grouped, grouped};
    Arrays<float> plain(c), packed(c);
    Conv2dPack pack;
    packed.forward.pack = packed.backward.pack = &pack;
    for (const std::uint64_t version : {7, 8}) {
      packed.forward.version = packed.backward.version = version;
      for (Arrays<float>* arrays : {&plain, &packed}) {
        arrays->w.fill_uniform(version == 7 ? "old" : "new");
        conv2d_forward<float>(arrays->forward, context);
        conv2d_backward<float>(arrays->backward, context);
      }
      const auto equal = [](View<float> a, View<float> b) { return std::equal(a.data, a.data + a.size(), b.data); };
      CHECK(equal(plain.y->view(), packed.y->view()));
      CHECK(equal(plain.dx->view(), packed.dx->view()));
      CHECK(equal(plain.dw.view(), packed.dw.view()));
    }
    const auto growths = context.arena().statistics().growths;
    packed.forward.version = packed.backward.version = 9;
    conv2d_forward<float>(packed.forward, context);
    conv2d_backward<float>(packed.backward, context);
    conv2d_forward<float>(plain.forward, context);
    CHECK(context.arena().statistics().growths == growths);
  }
  CHECK(context.arena().statistics().bytes_in_use == 0);  // the packs gave their memory back
}

TEST_CASE("conv2d: aligned maps, as tensors are, give the same bits as unaligned ones") {
  // Buffers of these tests are not aligned to 64 bytes and go through copies; maps from the arena are worked on in
  // place.
  const CpuContext context;
  for (const bool grouped : {false, true}) {
    const Case c{{.N = 4, .Ci = 32, .M = 17, .T = 19, .Co = 64}, grouped, grouped};
    INFO(text(c));
    Arrays<float> copied(c), in_place(c);
    const Scratch<float> x(context, copied.x->size()), dx(context, copied.dx->size());
    const Scratch<float> y(context, copied.y->size()), dy(context, copied.dy->size());
    std::copy_n(copied.x->view().data, x.size(), x.data());
    std::copy_n(copied.dy->view().data, dy.size(), dy.data());
    in_place.forward.x.data = x.data();
    in_place.forward.y.data = y.data();
    in_place.backward.x.data = x.data();
    in_place.backward.dx.data = dx.data();
    in_place.backward.dy.data = dy.data();
    for (Arrays<float>* arrays : {&copied, &in_place}) {
      conv2d_forward<float>(arrays->forward, context);
      conv2d_backward<float>(arrays->backward, context);
    }
    CHECK(std::equal(y.data(), y.data() + y.size(), copied.y->view().data));
    CHECK(std::equal(dx.data(), dx.data() + dx.size(), copied.dx->view().data));
    CHECK(std::equal(in_place.dw.view().data, in_place.dw.view().data + in_place.dw.size(), copied.dw.view().data));
  }
}

TEST_CASE("conv2d: cost counts products and one pass over each array") {
  Arrays<float> a({.shape = {.N = 2, .Ci = 3, .M = 5, .T = 7, .Co = 4, .stride_m = 2, .stride_t = 2}});
  const Cost forward = cost(a.forward);
  CHECK(forward.flops == 2.0 * 2 * 4 * 3 * 4 * 3 * 9);
  CHECK(forward.bytes == 4.0 * (2 * 3 * 5 * 7 + 4 * 3 * 9 + 2 * 4 * 3 * 4));
  CHECK(cost(a.backward).flops == 2 * forward.flops);
  a.backward.dx = {};
  CHECK(cost(a.backward).bytes == forward.bytes);
}

TEST_CASE("conv2d: a pack keeps its weights until the version changes") {
  const CpuContext context;
  Arrays<float> a({.shape = {.N = 1, .Ci = 3, .M = 4, .T = 5, .Co = 6}});
  Conv2dPack pack;
  a.forward.pack = &pack;
  conv2d_forward<float>(a.forward, context);
  const std::vector<float> before(a.y->view().data, a.y->view().data + a.y->size());
  a.w.fill(0);
  conv2d_forward<float>(a.forward, context);
  CHECK(std::equal(before.begin(), before.end(), a.y->view().data));
  a.forward.version = 1;
  conv2d_forward<float>(a.forward, context);
  CHECK(std::all_of(a.y->view().data, a.y->view().data + a.y->size(), [](float v) { return v == 0; }));
}

TEST_CASE("conv2d: empty maps") {
  const CpuContext context;
  Arrays<float> none({.shape = {.N = 0, .Ci = 3, .M = 4, .T = 5, .Co = 6}});
  conv2d_forward<float>(none.forward, context);
  conv2d_backward<float>(none.backward, context);
  CHECK(std::all_of(none.dw.view().data, none.dw.view().data + none.dw.size(), [](float v) { return v == 0; }));
  Arrays<float> short_map({.shape = {.N = 2, .Ci = 3, .M = 4, .T = 0, .Co = 6, .stride_m = 2, .stride_t = 2}});
  REQUIRE(short_map.y->size() == 0);
  conv2d_forward<float>(short_map.forward, context);
  conv2d_backward<float>(short_map.backward, context);
  CHECK(std::all_of(short_map.dw.view().data, short_map.dw.view().data + short_map.dw.size(),
                    [](float v) { return v == 0; }));
}

TEST_CASE("conv2d: an absent gradient is not computed and needs no input") {
  const CpuContext context;
  const Case c{.shape = {.N = 2, .Ci = 3, .M = 5, .T = 7, .Co = 4}};
  Arrays<float> both(c), only_dx(c), only_dw(c);
  conv2d_backward<float>(both.backward, context);
  only_dx.backward.x = {};
  only_dx.backward.dw = {};
  conv2d_backward<float>(only_dx.backward, context);
  only_dw.backward.w = {};
  only_dw.backward.dx = {};
  conv2d_backward<float>(only_dw.backward, context);
  CHECK(std::equal(both.dx->view().data, both.dx->view().data + both.dx->size(), only_dx.dx->view().data));
  CHECK(std::equal(both.dw.view().data, both.dw.view().data + both.dw.size(), only_dw.dw.view().data));
}

TEST_CASE("conv2d: arguments that do not agree throw") {
  const CpuContext context;
  const auto refuses = [&](auto&& change) {
    Arrays<float> a({.shape = {.N = 2, .Ci = 3, .M = 5, .T = 7, .Co = 4}});
    change(a);
    CHECK_THROWS_AS(conv2d_forward<float>(a.forward, context), Error);
    CHECK_THROWS_AS(conv2d_backward<float>(a.backward, context), Error);
  };
  refuses([](auto& a) { a.forward.x.shape[4] = a.backward.x.shape[4] = a.backward.dx.shape[4] = 2; });
  refuses([](auto& a) { a.forward.x.rank = a.backward.x.rank = a.backward.dx.rank = 4; });
  refuses([](auto& a) { a.forward.w.shape[0] = a.backward.w.shape[0] = a.backward.dw.shape[0] = 3; });
  refuses([](auto& a) { a.forward.y.shape[3] = a.backward.dy.shape[3] = 6; });
  refuses([](auto& a) { a.forward.stride_m = a.backward.stride_m = 0; });
  refuses([](auto& a) { a.forward.y.data = nullptr, a.backward.dy.data = nullptr; });
  refuses([](auto& a) { a.forward.w = {}, a.backward.w = {}; });
  refuses([](auto& a) { a.forward.x = {}, a.backward.x = {}; });
  refuses([](auto& a) { a.forward.algorithm = a.backward.algorithm = ConvAlgorithm::kWinograd; });  // 3 channels
  refuses([](auto& a) {  // neither channels-last nor grouped by 16
    a.forward.y.shape[1] = a.backward.dy.shape[1] = 2;
    a.forward.y.shape[4] = a.backward.dy.shape[4] = 2;
  });
}

TEST_CASE("conv1d: equals conv2d on one row and refuses other ranks") {
  const CpuContext context;
  for (const std::int64_t stride : {1, 2}) {
    const Case c{.shape = {.N = 2, .Ci = 5, .M = 1, .T = 9, .Co = 4, .Km = 1, .Kt = 3, .stride_t = stride}};
    Arrays<double> expected(c);
    ref::conv2d_forward(expected.forward);
    ref::conv2d_backward(expected.backward);
    const std::int64_t Ty = c.shape.Ty();
    Buffer<float> x({2, 9, 5}), w({4, 5, 3}), y({2, Ty, 4}), dy({2, Ty, 4}), dx({2, 9, 5}), dw({4, 5, 3});
    x.fill_uniform("x");
    w.fill_uniform("w");
    dy.fill_uniform("dy");
    conv1d_forward<float>({.x = x.view(), .w = w.view(), .y = y.view(), .stride = stride}, context);
    conv1d_backward<float>(
        {.x = x.view(), .w = w.view(), .dy = dy.view(), .dx = dx.view(), .dw = dw.view(), .stride = stride}, context);
    check_close("y", y.view(), expected.y->view(), 1e-5, 0);
    check_close("dx", dx.view(), expected.dx->view(), 1e-5, 0);
    check_close("dw", dw.view(), expected.dw.view(), 1e-5, 0);
    CHECK_THROWS_AS(conv1d_forward<float>({.x = w.view(), .w = x.view(), .y = y.view(), .stride = stride}, context),
                    Error);
  }
}

TEST_CASE("conv2d: no layer of the models runs reference code") {
  const CpuContext context;
  if (onednn::isa() < onednn::Isa::kAvx2) skip("oneDNN has plain code only below AVX2");
  for (const std::int64_t width : {1, 8}) {
    for (const std::int64_t T : {251, 1500}) {
      const std::vector<Conv2dShape> layers = {
          {.N = 2, .Ci = 1, .M = 128, .T = T, .Co = 64 / width},
          {.N = 2, .Ci = 64 / width, .M = 128, .T = T, .Co = 64 / width},
          {.N = 2, .Ci = 64 / width, .M = 64, .T = T / 2, .Co = 128 / width},
          {.N = 2, .Ci = 128 / width, .M = 64, .T = T / 2, .Co = 128 / width},
          {.N = 2, .Ci = 128 / width, .M = 32, .T = T / 4, .Co = 256 / width},
          {.N = 2, .Ci = 256 / width, .M = 32, .T = T / 4, .Co = 256 / width},
          {.N = 2, .Ci = 256 / width, .M = 16, .T = T / 8, .Co = 256 / width},
          {.N = 2, .Ci = 256 / width, .M = 8, .T = T / 40, .Co = 384 / width, .stride_m = 2, .stride_t = 2},
          {.N = 2,
           .Ci = 256 / width,
           .M = 8,
           .T = T / 40,
           .Co = 384 / width,
           .Km = 1,
           .Kt = 1,
           .stride_m = 2,
           .stride_t = 2},
          {.N = 2, .Ci = 384 / width, .M = 4, .T = (T / 40 + 1) / 2, .Co = 384 / width},
          // v1 and v2: sequences
          {.N = 2, .Ci = 512 / width, .M = 1, .T = T / 40, .Co = 256 / width, .Km = 1, .stride_t = 2},
          {.N = 2, .Ci = 512 / width, .M = 1, .T = T / 40, .Co = 256 / width, .Km = 1, .Kt = 1, .stride_t = 2},
          {.N = 2, .Ci = 256 / width, .M = 1, .T = (T / 40 + 1) / 2, .Co = 256 / width, .Km = 1}};
      for (const Conv2dShape& shape : layers) {
        for (const ConvPass pass : {ConvPass::kForward, ConvPass::kDataGradient, ConvPass::kWeightGradient}) {
          for (const ConvAlgorithm algorithm : {ConvAlgorithm::kAuto, ConvAlgorithm::kDirect}) {
            const std::string implementation = conv2d_implementation(shape, pass, context, algorithm);
            INFO(text({.shape = shape, .algorithm = algorithm})
                 << " pass " << static_cast<int>(pass) << ": " << implementation);
            CHECK(implementation.find("ref") == std::string::npos);
            CHECK(implementation.find("gemm") == std::string::npos);
          }
        }
      }
    }
  }
}

TEST_CASE("conv2d: the plan follows the machine and the wish") {
  const CpuContext context;
  const Conv2dShape wide{.N = 4, .Ci = 64, .M = 32, .T = 32, .Co = 128};
  const Conv2dPlan plan = conv2d_plan(wide, context);
  if (onednn::isa() < onednn::Isa::kAvx512) {
    CHECK(plan.algorithm == ConvAlgorithm::kDirect);
    CHECK_THROWS_AS(conv2d_plan(wide, context, ConvAlgorithm::kWinograd), Error);
  }
  CHECK(plan.x_group == (plan.algorithm == ConvAlgorithm::kWinograd ? 16 : 64));
  CHECK(plan.y_group == (plan.algorithm == ConvAlgorithm::kWinograd ? 16 : 128));
  const Conv2dPlan direct = conv2d_plan(wide, context, ConvAlgorithm::kDirect);
  CHECK(direct.algorithm == ConvAlgorithm::kDirect);
  CHECK(direct.x_group == 64);
  Conv2dShape strided = wide;
  strided.stride_m = 2;
  CHECK(conv2d_plan(strided, context).algorithm == ConvAlgorithm::kDirect);
  CHECK_THROWS_AS(conv2d_plan(strided, context, ConvAlgorithm::kWinograd), Error);
  Conv2dShape narrow = wide;
  narrow.Ci = 8;
  CHECK(conv2d_plan(narrow, context).algorithm == ConvAlgorithm::kDirect);
}
