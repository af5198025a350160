// Squeeze-and-excitation's factors on the emulated device against the double reference.

#include "kernels/elementwise/channel_scale.hpp"

#include "tests/cuda/cuda_context.hpp"
#include "tests/support/threads.hpp"

namespace dcase::test {

namespace {

struct Sizes {
  std::int64_t n, p, c;
  std::int64_t offset = 0;  // of the device pointers, in floats
};

/// Arguments and results of both operators; `tail` is the one with residual and ReLU.
template <class Real>
struct Data {
  explicit Data(const Sizes& d)
      : x{d.n, d.p, d.c},
        s{d.n, d.c},
        residual{d.n, d.p, d.c},
        y{d.n, d.p, d.c},
        dy{d.n, d.p, d.c},
        dx{d.n, d.p, d.c},
        ds{d.n, d.c},
        dresidual{d.n, d.p, d.c} {
    x.fill_uniform("x");
    s.fill_uniform("s", 0, 1);
    residual.fill_uniform("residual");
    dy.fill_uniform("dy");
  }
  Buffer<Real> x, s, residual, y, dy, dx, ds, dresidual;
};

struct OnDeviceData {
  OnDeviceData(Data<float>& d, std::int64_t offset)
      : x(d.x.view(), offset),
        s(d.s.view(), offset),
        residual(d.residual.view(), offset),
        y(d.y.view(), offset),
        dy(d.dy.view(), offset),
        dx(d.dx.view(), offset),
        ds(d.ds.view(), offset),
        dresidual(d.dresidual.view(), offset) {}
  void download(Data<float>& d) const {
    y.download(d.y.view());
    dx.download(d.dx.view());
    ds.download(d.ds.view());
    dresidual.download(d.dresidual.view());
  }
  OnDevice x, s, residual, y, dy, dx, ds, dresidual;
};

View<float> view_of(const OnDevice& array) { return array.view(); }
template <class Real>
View<Real> view_of(Buffer<Real>& array) {
  return array.view();
}

template <class Real, class Arrays>
ChannelScaleBackward<Real> plain_backward(Arrays& d, GradMode mode) {
  return {.x = view_of(d.x),
          .s = view_of(d.s),
          .dy = view_of(d.dy),
          .dx = view_of(d.dx),
          .ds = view_of(d.ds),
          .dx_mode = mode,
          .ds_mode = mode};
}

template <class Real, class Arrays>
ScaleResidualReluBackward<Real> tail_backward(Arrays& d, GradMode mode) {
  return {.x = view_of(d.x),
          .s = view_of(d.s),
          .y = view_of(d.y),
          .dy = view_of(d.dy),
          .dx = view_of(d.dx),
          .ds = view_of(d.ds),
          .dresidual = view_of(d.dresidual),
          .dx_mode = mode,
          .ds_mode = mode,
          .dresidual_mode = mode};
}

template <class Real, class Arrays>
void forward(Arrays& d, bool tail, const Context& context) {
  if (tail) {
    scale_residual_relu_forward<Real>(
        {.x = view_of(d.x), .s = view_of(d.s), .residual = view_of(d.residual), .y = view_of(d.y)}, context);
  } else {
    channel_scale_forward<Real>({.x = view_of(d.x), .s = view_of(d.s), .y = view_of(d.y)}, context);
  }
}

template <class Real, class Arrays>
void run(Arrays& d, bool tail, GradMode mode, const Context& context) {
  forward<Real>(d, tail, context);
  if (tail) {
    scale_residual_relu_backward(tail_backward<Real>(d, mode), context);
  } else {
    channel_scale_backward(plain_backward<Real>(d, mode), context);
  }
}

void check_sizes(const Sizes& sizes, GradMode mode) {
  for (const bool tail : {false, true}) {
    CAPTURE(sizes.n, sizes.p, sizes.c, sizes.offset, tail);
    Data<float> f(sizes);
    Data<double> d(sizes);
    if (mode == GradMode::kAdd) {
      f.dx.fill_uniform("before"), f.ds.fill_uniform("before"), f.dresidual.fill_uniform("before");
      d.dx.fill_uniform("before"), d.ds.fill_uniform("before"), d.dresidual.fill_uniform("before");
    }
    const CudaContext context;
    const OnDeviceData on(f, sizes.offset);
    run<float>(on, tail, mode, context);
    on.download(f);
    const CpuContext cpu;
    run<double>(d, tail, mode, cpu);
    // Roundings of a product and two sums of numbers up to 2; ds adds up to four products in float.
    check_close("y", f.y.view(), d.y.view(), 1.2e-7, 1e-7);
    check_close("dx", f.dx.view(), d.dx.view(), 1.2e-7, 1e-7);
    check_close("ds", f.ds.view(), d.ds.view(), 5e-7, 2e-7);
    if (tail) check_close("dresidual", f.dresidual.view(), d.dresidual.view(), 1.2e-7, 1e-7);
  }
}

// Both widths, aligned and not; no positions; no items.
const Sizes kSmall[] = {{2, 5, 3}, {1, 1, 1}, {3, 7, 8}, {3, 7, 8, 1}, {2, 0, 4}, {0, 5, 3}, {2, 21, 36}};

}  // namespace

TEST_CASE("cuda channel_scale: equals the double reference", "[cuda][elementwise]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    for (const Sizes& s : kSmall) check_sizes(s, GradMode::kSet);
  });
  for (const Sizes& s : kSmall) check_sizes(s, GradMode::kAdd);
  // Several chunks of positions with a ragged end; several blocks of lanes with idle ones.
  check_sizes({2, 1031, 6}, GradMode::kSet);
  check_sizes({1, 251, 132}, GradMode::kSet);
  check_sizes({1, 31, 67}, GradMode::kSet);
}

TEST_CASE("cuda channel_scale: the same bits in every schedule, in place, without some gradients",
          "[cuda][elementwise]") {
  const FreshRuntime fresh;
  const Sizes sizes{2, 301, 36};
  for (const bool tail : {false, true}) {
    CAPTURE(tail);
    Data<float> first(sizes);
    {
      const CudaContext context;
      const OnDeviceData on(first, 0);
      run<float>(on, tail, GradMode::kSet, context);
      on.download(first);
    }
    for_each_schedule([&] {
      Data<float> d(sizes);
      const CudaContext context;
      const OnDeviceData on(d, 0);
      run<float>(on, tail, GradMode::kSet, context);
      on.download(d);
      check_same_bits("y", d.y.view(), first.y.view());
      check_same_bits("dx", d.dx.view(), first.dx.view());
      check_same_bits("ds", d.ds.view(), first.ds.view());
    });
    Data<float> d(sizes);
    const CudaContext context;
    const OnDeviceData on(d, 0);
    forward<float>(on, tail, context);
    const OnDevice in_place(d.dy.view());
    if (tail) {
      auto a = tail_backward<float>(on, GradMode::kSet);
      a.dx = a.ds = {};
      a.dy = a.dresidual = in_place.view();
      scale_residual_relu_backward(a, context);
      in_place.download(d.dy.view());
      check_same_bits("dresidual alone, over dy", d.dy.view(), first.dresidual.view());
      a = tail_backward<float>(on, GradMode::kSet);
      a.dx = a.dresidual = {};
      scale_residual_relu_backward(a, context);
      on.ds.download(d.ds.view());
      check_same_bits("ds alone", d.ds.view(), first.ds.view());
      scale_residual_relu_forward<float>(
          {.x = on.x.view(), .s = on.s.view(), .residual = on.residual.view(), .y = on.residual.view()}, context);
      on.residual.download(d.y.view());
    } else {
      auto a = plain_backward<float>(on, GradMode::kSet);
      a.ds = {};
      a.dy = a.dx = in_place.view();
      channel_scale_backward(a, context);
      in_place.download(d.dx.view());
      check_same_bits("dx alone, over dy", d.dx.view(), first.dx.view());
      channel_scale_forward<float>({.x = on.x.view(), .s = on.s.view(), .y = on.x.view()}, context);
      on.x.download(d.y.view());
    }
    check_same_bits("y in place", d.y.view(), first.y.view());
  }
}

TEST_CASE("cuda channel_scale: wrong shapes throw with the operator's name", "[cuda][elementwise]") {
  const FreshRuntime fresh;
  const CudaContext context;
  Data<float> d({2, 5, 3});
  const OnDeviceData on(d, 0);
  CHECK_THROWS_WITH(channel_scale_forward<float>({.x = on.x.view(), .s = on.x.view(), .y = on.y.view()}, context),
                    "channel_scale_forward: s has shape [2,5,3], expected [2,3]");
  CHECK_THROWS_WITH(scale_residual_relu_forward<float>({.x = on.x.view(), .s = on.s.view(), .y = on.y.view()}, context),
                    "scale_residual_relu_forward: residual has shape [], expected [2,5,3]");
  auto plain = plain_backward<float>(on, GradMode::kSet);
  plain.ds = on.x.view();
  CHECK_THROWS_WITH(channel_scale_backward(plain, context),
                    "channel_scale_backward: ds has shape [2,5,3], expected [2,3]");
  auto tail = tail_backward<float>(on, GradMode::kSet);
  tail.dresidual = on.s.view();
  CHECK_THROWS_WITH(scale_residual_relu_backward(tail, context),
                    "scale_residual_relu_backward: dresidual has shape [2,3], expected [2,5,3]");
  View<float> many(on.x.view().data, {65536, 1, 1});
  CHECK_THROWS_WITH(channel_scale_forward<float>({.x = many, .s = {many.data, {65536, 1}}, .y = many}, context),
                    "channel_scale_forward: 65536 items, at most 65535");
}

}  // namespace dcase::test
