// Convolution on the emulated device against the double loops: every variant on every shape that it takes.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/conv1d/conv1d.hpp"
#include "kernels/conv2d/conv2d.hpp"
#include "kernels/conv2d/conv2d_halo_places.hpp"
#include "kernels/conv2d/conv2d_ref.hpp"
#include "kernels/conv2d/conv2d_tiled_places.hpp"
#include "tests/cuda/cuda_context.hpp"

namespace dcase::test {

namespace {

constexpr Precision kPrecisions[] = {Precision::kFp32, Precision::kTf32, Precision::kBf16};

// Relative rounding of an operand, twice, over products of numbers of size up to 1 and standard deviation 1/3, at four
// standard deviations of their sum; with fp32 the rounding of the sum. The worst errors seen are 0.3 of it in tf32, 0.6
// in bf16 and 0.5 in fp32.
double error_of(Precision precision) {
  switch (precision) {
    case Precision::kTf32:
      return 4 * 2 * 0x1p-11 / 3;
    case Precision::kBf16:
      return 4 * 2 * 0x1p-9 / 3;
    case Precision::kFp32:
      break;
  }
  return 5e-7;
}

struct Case {
  Conv2dShape shape;
  GradMode mode = GradMode::kSet;
  std::int64_t offset = 0;  // of the device pointers, in floats
};

std::string text(const Case& c, Precision precision) {
  const Conv2dShape& s = c.shape;
  return concat(s.N, "x", s.Ci, " [", s.M, ",", s.T, "] -> ", s.Co, " k ", s.Km, "x", s.Kt, " stride ", s.stride_m, "x",
                s.stride_t, " offset ", c.offset, " precision ", static_cast<int>(precision));
}

/// The names of the variants that ran.
using Names = std::vector<std::string>;

bool ran(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// 16-byte accesses are served eight lanes at a time: they are to fall into eight different groups of four banks.
template <class Place>
bool conflict_free(const Place& place) {
  for (int first = 0; first < 32; first += 8) {
    unsigned groups = 0;
    for (int lane = first; lane < first + 8; ++lane) groups |= 1U << place(lane) % 8;
    if (groups != 0xFF) return false;
  }
  return true;
}

/// y and dx of all variants that take the case, and of the operator, against the reference.
Names check(const Case& c, Precision precision) {
  INFO(text(c, precision));
  const Conv2dShape& s = c.shape;
  Buffer<float> x({s.N, 1, s.M, s.T, s.Ci}), w({s.Co, s.Ci, s.Km, s.Kt}), dy({s.N, 1, s.My(), s.Ty(), s.Co});
  Buffer<double> x2({s.N, 1, s.M, s.T, s.Ci}), w2({s.Co, s.Ci, s.Km, s.Kt}), dy2({s.N, 1, s.My(), s.Ty(), s.Co});
  Buffer<float> y({s.N, 1, s.My(), s.Ty(), s.Co}), dx({s.N, 1, s.M, s.T, s.Ci});
  Buffer<double> y2({s.N, 1, s.My(), s.Ty(), s.Co}), dx2({s.N, 1, s.M, s.T, s.Ci});
  x.fill_uniform("x");
  w.fill_uniform("w");
  dy.fill_uniform("dy");
  x2.fill_uniform("x");
  w2.fill_uniform("w");
  dy2.fill_uniform("dy");
  dx2.fill_uniform("dx");
  ref::conv2d_forward({.x = x2.view(), .w = w2.view(), .y = y2.view(), .stride_m = s.stride_m, .stride_t = s.stride_t});
  Conv2dBackward<double> backward2{.x = {}, .w = w2.view(), .dy = dy2.view(), .dx = dx2.view()};
  backward2.stride_m = s.stride_m;
  backward2.stride_t = s.stride_t;
  backward2.dx_mode = c.mode;
  ref::conv2d_backward(backward2);

  const CudaContext context(precision);
  const OnDevice on_x(x.view(), c.offset), on_w(w.view(), c.offset), on_dy(dy.view(), c.offset);
  const double error = error_of(precision);
  const auto tolerance = [&](std::int64_t terms) { return error * (1 + std::sqrt(static_cast<double>(terms))); };
  Names names;
  for (const auto& variant : cuda::conv2d_forward_variants()) {
    y.fill(NAN);
    const OnDevice on_y(y.view(), c.offset);
    Conv2dForward<float> args{.x = on_x.view(), .w = on_w.view(), .y = on_y.view()};
    args.stride_m = s.stride_m;
    args.stride_t = s.stride_t;
    if (!variant.takes(args, context)) continue;
    variant.run(args, context);
    on_y.download(y.view());
    check_close(concat(variant.name, " y"), y.view(), y2.view(), tolerance(s.Ci * s.Km * s.Kt), 1e-6);
    names.push_back(concat("forward ", variant.name));
  }
  for (const auto& variant : cuda::conv2d_data_gradient_variants()) {
    dx.fill(NAN);
    if (c.mode == GradMode::kAdd) dx.fill_uniform("dx");
    const OnDevice on_dx(dx.view(), c.offset);
    Conv2dBackward<float> args{.x = {}, .w = on_w.view(), .dy = on_dy.view(), .dx = on_dx.view()};
    args.stride_m = s.stride_m;
    args.stride_t = s.stride_t;
    args.dx_mode = c.mode;
    if (!variant.takes(args, context)) continue;
    variant.run(args, context);
    on_dx.download(dx.view());
    check_close(concat(variant.name, " dx"), dx.view(), dx2.view(), tolerance(s.Co * s.Km * s.Kt), 1e-6);
    names.push_back(concat("data_gradient ", variant.name));
  }
  return names;
}

}  // namespace

TEST_CASE("cuda conv2d: awkward shapes, both gradient modes and every precision equal the reference",
          "[cuda][conv2d]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    for (const Precision precision : kPrecisions) {
      check({{.N = 2, .Ci = 3, .M = 5, .T = 7, .Co = 4}}, precision);
      check(
          {{.N = 1, .Ci = 5, .M = 4, .T = 3, .Co = 7, .Km = 5, .Kt = 3, .stride_m = 1, .stride_t = 3}, GradMode::kAdd},
          precision);
    }
  });
  for (const Precision precision : kPrecisions) {
    check({{.N = 1, .Ci = 1, .M = 1, .T = 1, .Co = 1}}, precision);
    check({{.N = 2, .Ci = 12, .M = 7, .T = 5, .Co = 20, .stride_m = 2, .stride_t = 2}, GradMode::kAdd}, precision);
    check({{.N = 2, .Ci = 8, .M = 7, .T = 6, .Co = 12, .Km = 1, .Kt = 1, .stride_m = 2, .stride_t = 2}}, precision);
    check({{.N = 1, .Ci = 2, .M = 6, .T = 9, .Co = 3, .Km = 4, .Kt = 2, .stride_m = 3, .stride_t = 1}}, precision);
    check({{.N = 1, .Ci = 8, .M = 1, .T = 31, .Co = 8, .Km = 1}, GradMode::kAdd, 1}, precision);
    check({{.N = 1, .Ci = 8, .M = 9, .T = 8, .Co = 65}}, precision);
  }
}

TEST_CASE("cuda conv2d: the halo kernel equals the reference over partial tiles, stages and columns",
          "[cuda][conv2d]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    for (const Precision precision : {Precision::kTf32, Precision::kBf16}) {
      // Two stages, the second one ragged, on one tile.
      const Names names = check({{.N = 1, .Ci = 20, .M = 3, .T = 5, .Co = 10}}, precision);
      CHECK(ran(names, precision == Precision::kTf32 ? "forward halo_tf32" : "forward halo_bf16"));
    }
  });
  for (const Precision precision : {Precision::kTf32, Precision::kBf16}) {
    const std::string halo = precision == Precision::kTf32 ? "halo_tf32" : "halo_bf16";
    for (const Case& c : {Case{{.N = 1, .Ci = 20, .M = 17, .T = 31, .Co = 36}},
                          Case{{.N = 1, .Ci = 8, .M = 1, .T = 125, .Co = 8}, GradMode::kAdd},
                          Case{{.N = 1, .Ci = 64, .M = 16, .T = 16, .Co = 64}},
                          Case{{.N = 2, .Ci = 36, .M = 2, .T = 17, .Co = 68}, GradMode::kAdd}}) {
      const Names names = check(c, precision);
      CHECK(ran(names, "forward " + halo));
      CHECK(ran(names, "data_gradient " + halo));
    }
    // Not aligned, or not made of 16 bytes: left to others.
    CHECK(!ran(check({{.N = 1, .Ci = 16, .M = 3, .T = 4, .Co = 16}, GradMode::kSet, 1}, precision), "forward " + halo));
    CHECK(!ran(check({{.N = 1, .Ci = 18, .M = 3, .T = 4, .Co = 16}}, precision), "forward " + halo));
  }
}

TEST_CASE("cuda conv2d: the first layer's kernel equals the reference over partial tiles", "[cuda][conv2d]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    const Names names = check({{.N = 1, .Ci = 1, .M = 5, .T = 33, .Co = 12}}, Precision::kFp32);
    CHECK(ran(names, "forward one_channel"));
  });
  CHECK(ran(check({{.N = 2, .Ci = 1, .M = 33, .T = 31, .Co = 8}}, Precision::kBf16), "forward one_channel"));
  CHECK(ran(check({{.N = 1, .Ci = 1, .M = 9, .T = 3, .Co = 64}}, Precision::kBf16), "forward one_channel"));
  // The data gradient of a layer with one output channel is such a convolution too.
  const Names names = check({{.N = 1, .Ci = 8, .M = 3, .T = 9, .Co = 1}, GradMode::kAdd}, Precision::kFp32);
  CHECK(ran(names, "data_gradient one_channel"));
  CHECK(!ran(check({{.N = 1, .Ci = 1, .M = 9, .T = 3, .Co = 6}}, Precision::kFp32), "forward one_channel"));
}

TEST_CASE("cuda conv2d: the tiled kernel equals the reference over partial tiles, stages and columns",
          "[cuda][conv2d]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    for (const Precision precision : kPrecisions) {
      // More than one stage, not whole; upsampling in the data gradient.
      check({{.N = 2, .Ci = 20, .M = 3, .T = 5, .Co = 10, .stride_m = 2, .stride_t = 2}}, precision);
    }
  });
  for (const Precision precision : kPrecisions) {
    check({{.N = 3, .Ci = 12, .M = 9, .T = 11, .Co = 68, .Km = 1, .Kt = 1}, GradMode::kAdd}, precision);
    check({{.N = 1, .Ci = 9, .M = 11, .T = 12, .Co = 5, .stride_m = 2, .stride_t = 1}, GradMode::kAdd, 1}, precision);
  }
}

TEST_CASE("cuda conv2d: the halo kernel's accesses to shared memory have no bank conflicts", "[cuda][conv2d]") {
  CHECK(cuda::kHaloInputPlaces % 8 == 0);  // both buffers start at the same bank
  for (int warp = 0; warp < 8; ++warp) {
    CHECK(conflict_free([&](int lane) {
      const int thread = 32 * warp + lane;
      return cuda::halo_input_place(thread % cuda::kHaloChunks, thread / cuda::kHaloChunks);
    }));
    CHECK(conflict_free([&](int lane) { return 32 * warp + lane; }));  // cp.async of weights
    for (int r = 0; r < cuda::kHaloWarpRows + 2; ++r) {
      for (int b = 0; b < 3; ++b) CHECK(conflict_free([&](int lane) { return cuda::halo_a_place(lane, warp, r, b); }));
    }
    for (int tap = 0; tap < 9; ++tap) {
      for (int pair : {0, 1}) CHECK(conflict_free([&](int lane) { return cuda::halo_b_place(lane, warp, tap, pair); }));
    }
  }
}

TEST_CASE("cuda conv2d: the tiled kernel's accesses to shared memory have no bank conflicts", "[cuda][conv2d]") {
  CHECK(cuda::kTiledInputPlaces % 8 == 0);
  CHECK((cuda::kTiledInputPlaces + cuda::kTiledWeightPlaces) % 8 == 0);
  for (int warp = 0; warp < 8; ++warp) {
    CHECK(conflict_free([&](int lane) {  // stores of the input
      const int thread = 32 * warp + lane;
      return cuda::tiled_input_place(thread % cuda::kTiledChunks, thread / cuda::kTiledChunks);
    }));
    for (int chunk : {0, 2}) {
      for (int half : {0, 1}) {
        CHECK(conflict_free([&](int lane) { return cuda::tiled_a_place(lane, warp, chunk, half); }));
        CHECK(conflict_free([&](int lane) { return cuda::tiled_b_place(lane, warp, chunk, half); }));
      }
    }
    // fp32: eight lanes read the weights of eight columns, and of the input one position that they share.
    CHECK(conflict_free(
        [&](int lane) { return cuda::tiled_weight_place(0, cuda::tiled_thread_column(32 * warp + lane)); }));
    CHECK(cuda::tiled_thread_row(32 * warp) == cuda::tiled_thread_row(32 * warp + 15));
  }
  // Pairs of outputs, 8 bytes: sixteen lanes at a time.
  for (int first : {0, 16}) {
    unsigned pairs = 0;
    for (int lane = first; lane < first + 16; ++lane) {
      const MatrixPlace p = mma16n8_c(lane, 0);
      pairs |= 1U << (p.row * cuda::kTiledOutputPitch + p.column) / 2 % 16;
    }
    CHECK(pairs == 0xFFFF);
  }
}

TEST_CASE("cuda conv2d: empty maps and empty sums", "[cuda][conv2d]") {
  const FreshRuntime fresh;
  const CudaContext context;
  Buffer<float> y({1, 1, 3, 4, 2}), dx({1, 1, 3, 4, 5}), w({2, 5, 3, 3});
  const OnDevice on_y(y.view()), on_dx(dx.view()), on_w(w.fill(1).view());
  const auto all_zero = [](View<float> v) {
    return std::all_of(v.data, v.data + v.size(), [](float e) { return e == 0; });
  };
  conv2d_forward<float>({.x = {nullptr, {1, 1, 3, 4, 0}}, .w = {nullptr, {2, 0, 3, 3}}, .y = on_y.view()}, context);
  on_y.download(y.view());
  CHECK(all_zero(y.view()));
  conv2d_backward<float>(
      {.x = {}, .w = {on_w.view().data, {0, 5, 3, 3}}, .dy = {nullptr, {1, 1, 3, 4, 0}}, .dx = on_dx.view()}, context);
  on_dx.download(dx.view());
  CHECK(all_zero(dx.view()));
  conv2d_forward<float>({.x = {nullptr, {0, 1, 3, 4, 5}}, .w = on_w.view(), .y = {nullptr, {0, 1, 3, 4, 2}}}, context);
}

TEST_CASE("cuda conv2d: the product runs the first variant that takes the shape, and its plan is channels-last",
          "[cuda][conv2d]") {
  const FreshRuntime fresh;
  const CudaContext context;
  const Conv2dShape shape{.N = 1, .Ci = 3, .M = 4, .T = 5, .Co = 6, .stride_m = 2, .stride_t = 2};
  const Conv2dPlan plan = conv2d_plan(shape, context);
  CHECK(plan.algorithm == ConvAlgorithm::kDirect);
  CHECK(plan.x_group == 3);
  CHECK(plan.y_group == 6);
  Buffer<float> x({1, 1, 4, 5, 3}), w({6, 3, 3, 3}), y({1, 1, 2, 3, 6}), expected({1, 1, 2, 3, 6});
  const OnDevice on_x(x.fill_uniform("x").view()), on_w(w.fill_uniform("w").view()), on_y(y.view());
  Conv2dForward<float> args{.x = on_x.view(), .w = on_w.view(), .y = on_y.view(), .stride_m = 2, .stride_t = 2};
  for (const auto& variant : cuda::conv2d_forward_variants()) {
    if (variant.name != conv2d_implementation(shape, ConvPass::kForward, context)) continue;
    variant.run(args, context);
    on_y.download(expected.view());
  }
  conv2d_forward<float>(args, context);
  on_y.download(y.view());
  CHECK(std::equal(y.view().data, y.view().data + y.size(), expected.view().data));
}

TEST_CASE("cuda conv1d: is conv2d on maps of one row", "[cuda][conv2d]") {
  const FreshRuntime fresh;
  const CudaContext context;
  const CpuContext cpu;
  for (const std::int64_t stride : {1, 2}) {
    const std::int64_t Ty = (9 - 1) / stride + 1;
    Buffer<float> x({2, 9, 5}), w({4, 5, 3}), y({2, Ty, 4}), y2({2, Ty, 4}), dy({2, Ty, 4}), dx({2, 9, 5}),
        dx2({2, 9, 5});
    const OnDevice on_x(x.fill_uniform("x").view()), on_w(w.fill_uniform("w").view()), on_y(y.view());
    const OnDevice on_dy(dy.fill_uniform("dy").view()), on_dx(dx.view());
    conv1d_forward<float>({.x = on_x.view(), .w = on_w.view(), .y = on_y.view(), .stride = stride}, context);
    conv1d_forward<float>({.x = x.view(), .w = w.view(), .y = y2.view(), .stride = stride}, cpu);
    Conv1dBackward<float> gpu_args{.x = {}, .w = on_w.view(), .dy = on_dy.view(), .dx = on_dx.view()};
    Conv1dBackward<float> cpu_args{.x = {}, .w = w.view(), .dy = dy.view(), .dx = dx2.view()};
    gpu_args.stride = cpu_args.stride = stride;
    conv1d_backward<float>(gpu_args, context);
    conv1d_backward<float>(cpu_args, cpu);
    on_y.download(y.view());
    on_dx.download(dx.view());
    check_close("y", y.view(), y2.view(), 5e-6, 0);
    check_close("dx", dx.view(), dx2.view(), 5e-6, 0);
  }
}

TEST_CASE("cuda conv2d: arguments that do not agree are refused by name", "[cuda][conv2d]") {
  const FreshRuntime fresh;
  const CudaContext context;
  Buffer<float> memory({4096});
  const OnDevice on(memory.fill(0).view());
  float* const p = on.view().data;
  const Conv2dForward<float> good{
      .x = {p, {1, 1, 3, 4, 16}}, .w = {p, {16, 16, 3, 3}}, .y = {p + 1024, {1, 1, 3, 4, 16}}};
  Conv2dForward<float> a = good;
  a.algorithm = ConvAlgorithm::kWinograd;
  CHECK_THROWS_WITH(conv2d_forward<float>(a, context), "conv2d_forward: no Winograd convolution on CUDA: use kAuto");
  CHECK_THROWS_AS(conv2d_plan({.N = 1, .Ci = 16, .M = 4, .T = 4, .Co = 16}, context, ConvAlgorithm::kWinograd), Error);
  a = good;
  a.x = {p, {1, 2, 3, 4, 16}};
  a.w = {p, {16, 32, 3, 3}};
  CHECK_THROWS_WITH(conv2d_forward<float>(a, context),
                    "conv2d_forward: x has shape [1,2,3,4,16], on CUDA maps are channels-last [N,1,M,T,C]");
  a = good;
  a.y.shape[3] = 5;
  CHECK_THROWS_WITH(conv2d_forward<float>(a, context), Catch::Matchers::Contains("conv2d_forward: y has shape"));
  Conv2dBackward<float> b{.x = {}, .w = {}, .dy = good.y, .dx = {p, {1, 1, 3, 4, 16}}};
  CHECK_THROWS_WITH(conv2d_backward<float>(b, context), "conv2d_backward: dx is wanted, w is missing");
}

}  // namespace dcase::test
