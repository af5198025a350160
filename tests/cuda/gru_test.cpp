// The GRU on the emulated device: every kernel of both passes against the double reference, in all schedules.

#include <cuda_bf16.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "kernels/gru/gru.hpp"
#include "kernels/gru/gru_layout.hpp"
#include "kernels/gru/gru_ref.hpp"
#include "tests/cuda/cuda_context.hpp"
#include "tests/support/gru_arrays.hpp"

namespace dcase::test {

namespace {

/// Copies of host views in device memory, one of each, `offset` floats from their alignment.
class Mirror {
 public:
  explicit Mirror(std::int64_t offset) : offset_(offset) {}
  template <class T>
  [[nodiscard]] View<float> operator()(const View<T>& host) {
    if (!host.present()) return {};
    auto& copy = copies_[host.data];
    if (copy == nullptr) copy = std::make_unique<OnDevice>(host, offset_);
    return copy->view();
  }
  void download(const View<float>& host) const { copies_.at(host.data)->download(host); }

 private:
  std::int64_t offset_;
  std::map<const float*, std::unique_ptr<OnDevice>> copies_;
};

/// The calls of `arrays` on the device, and their results.
class OnGpu {
 public:
  explicit OnGpu(GruArrays<float>& arrays, std::int64_t offset = 0) : arrays_(arrays), mirror_(offset) {
    const GruForward<float>& f = arrays.forward;
    forward = {.x = mirror_(f.x),
               .w_ih = {mirror_(f.w_ih[0]), mirror_(f.w_ih[1])},
               .w_hh = {mirror_(f.w_hh[0]), mirror_(f.w_hh[1])},
               .b_ih = {mirror_(f.b_ih[0]), mirror_(f.b_ih[1])},
               .b_hh = {mirror_(f.b_hh[0]), mirror_(f.b_hh[1])},
               .y = mirror_(f.y),
               .hn = mirror_(f.hn),
               .saved = {mirror_(f.saved.gates)}};
    const GruBackward<float>& b = arrays.backward;
    backward = {.x = forward.x,
                .w_ih = {forward.w_ih[0], forward.w_ih[1]},
                .w_hh = {forward.w_hh[0], forward.w_hh[1]},
                .y = forward.y,
                .saved = {forward.saved.gates},
                .dy = mirror_(b.dy),
                .dx = mirror_(b.dx),
                .dw_ih = {mirror_(b.dw_ih[0]), mirror_(b.dw_ih[1])},
                .dw_hh = {mirror_(b.dw_hh[0]), mirror_(b.dw_hh[1])},
                .db_ih = {mirror_(b.db_ih[0]), mirror_(b.db_ih[1])},
                .db_hh = {mirror_(b.db_hh[0]), mirror_(b.db_hh[1])},
                .dx_mode = b.dx_mode,
                .dw_mode = b.dw_mode};
  }
  GruForward<float> forward;
  GruBackward<float> backward;

  void download() {
    for (const auto& [what, buffer] : arrays_.outputs()) mirror_.download(buffer->view());
  }

 private:
  GruArrays<float>& arrays_;
  Mirror mirror_;
};

/// Worst deviation allowed, absolute and relative. Gradients of parameters are sums over N*T rows, and theirs is
/// multiplied by 1 + N*T/16. At most four times what was measured.
struct Tolerance {
  double state;    // y, hn, gates
  double bias;     // gradients of the biases: the recurrence's work alone
  double product;  // gradients that are matrix products of the recurrence's work
};

Tolerance tolerance_of(const char* kernel, Precision precision) {
  Tolerance t = {5e-7, 7e-7, 1e-6};                       // 1.7e-7, 1.9e-7, 2.7e-7: rounding of float
  if (precision == Precision::kTf32) t.product = 1.2e-3;  // 3.1e-4: a gradient of a gate rounded to 11 bits
  if (precision == Precision::kBf16) t.product = 1.2e-2;  // 3.6e-3: to 8 bits
  if (std::string(kernel) == "mma") {
    t.state = 5e-3;   // 1.6e-3: the state rounded to 8 bits at each step
    t.bias = 2.5e-3;  // 7.2e-4: from such states
  }
  return t;
}

/// The nearest number of 8 bits: rounding it as an operand of a product changes nothing.
template <class Real>
void round_to_bf16(View<Real> view) {
  for (std::int64_t i = 0; i < view.size(); ++i) {
    view[i] = static_cast<Real>(__bfloat162float(__float2bfloat16_rn(static_cast<float>(view[i]))));
  }
}

/// Numbers whose products with the tensor cores' operands are as exact as in float: what remains in reduced precision
/// is the rounding of the state and of the gates' gradients.
template <class Real>
std::unique_ptr<GruArrays<Real>> make_arrays(const GruCase& c, Precision precision) {
  auto arrays = std::make_unique<GruArrays<Real>>(c);
  if (precision == Precision::kFp32) return arrays;
  round_to_bf16(arrays->x.view());
  for (int d = 0; d < 2; ++d) {
    round_to_bf16(arrays->weights.w_ih[d].view());
    round_to_bf16(arrays->weights.w_hh[d].view());
  }
  return arrays;
}

/// Kernel v of both tables.
void check_kernel(std::size_t v, const GruCase& c, Precision precision, std::int64_t offset) {
  const auto& forward = cuda::gru_forward_variants()[v];
  const auto& backward = cuda::gru_backward_variants()[v];
  INFO("N " << c.N << " T " << c.T << " F " << c.F << " H " << c.H << " offset " << offset << " precision "
            << static_cast<int>(precision) << " " << forward.name);
  const CudaContext context(precision);
  const auto actual = make_arrays<float>(c, precision);
  OnGpu gpu(*actual, offset);
  REQUIRE(forward.takes(gpu.forward, context) == backward.takes(gpu.backward, context));
  if (!forward.takes(gpu.forward, context)) return;
  forward.run(gpu.forward, context);
  backward.run(gpu.backward, context);
  gpu.download();

  const auto expected = make_arrays<double>(c, precision);
  ref::gru_forward(expected->forward);
  ref::gru_backward(expected->backward);
  const auto a = actual->outputs();
  const auto e = expected->outputs();
  const Tolerance tolerance = tolerance_of(forward.name, precision);
  const double rows = 1 + static_cast<double>(c.N * c.T) / 16;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto& [what, buffer] = a[i];
    const double error = what == "y" || what == "hn" || what == "gates" ? tolerance.state
                         : what[1] == 'b'                               ? tolerance.bias * rows
                                                                        : tolerance.product * rows;
    check_close(what, buffer->view(), e[i].second->view(), error, error);
  }
}

void check(const GruCase& c, Precision precision, std::int64_t offset = 0) {
  for (std::size_t v = 0; v < cuda::gru_forward_variants().size(); ++v) check_kernel(v, c, precision, offset);
}

constexpr auto kAdd = GradMode::kAdd;
constexpr std::size_t kMma = 0;  // in the tables

bool equal(View<float> a, View<float> b) { return std::equal(a.data, a.data + a.size(), b.data); }

// Banks that the words of a warp's access fall into, counting a word that several lanes share once; of the 4-byte words
// at `first` to first + count - 1 of each lane.
template <class Word>
int worst_bank(int lanes, int count, const Word& word) {
  std::set<int> words[32];
  int worst = 0;
  for (int lane = 0; lane < lanes; ++lane) {
    for (int i = 0; i < count; ++i) {
      auto& bank = words[(word(lane) + i) % 32];
      bank.insert(word(lane) + i);
      worst = std::max(worst, static_cast<int>(bank.size()));
    }
  }
  return worst;
}

}  // namespace

TEST_CASE("cuda gru: every kernel equals the reference in every schedule", "[cuda][gru]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    check({.N = 2, .T = 3, .F = 3, .H = 7}, Precision::kFp32);
    check({.N = 1, .T = 4, .F = 2, .H = 36, .dx_mode = kAdd, .dw_mode = kAdd}, Precision::kFp32, 1);
    check_kernel(kMma, {.N = 2, .T = 3, .F = 3, .H = 7}, Precision::kBf16, 0);
    check_kernel(kMma, {.N = 9, .T = 4, .F = 2, .H = 36, .dx_mode = kAdd, .dw_mode = kAdd}, Precision::kBf16, 1);
    check_kernel(kMma, {.N = 1, .T = 3, .F = 2, .H = 130}, Precision::kBf16, 0);  // four blocks, one without units
  });
}

TEST_CASE("cuda gru: every kernel equals the reference at more sizes", "[cuda][gru]") {
  const FreshRuntime fresh;
  struct Run {
    GruCase c;
    std::int64_t offset = 0;
  };
  for (const Run& r : {Run{{.N = 1, .T = 1, .F = 1, .H = 1}}, Run{{.N = 8, .T = 2, .F = 4, .H = 16, .dw_mode = kAdd}},
                       Run{{.N = 9, .T = 16, .F = 11, .H = 33}},    // one past a tile in every direction
                       Run{{.N = 2, .T = 3, .F = 6, .H = 100}, 1},  // unaligned weights
                       Run{{.N = 3, .T = 5, .F = 7, .H = 128}}}) {
    check(r.c, Precision::kFp32, r.offset);
    check_kernel(kMma, r.c, Precision::kBf16, r.offset);
  }
  check({.N = 9, .T = 3, .F = 11, .H = 33}, Precision::kTf32);
  check({.N = 9, .T = 3, .F = 11, .H = 33}, Precision::kBf16);
  check_kernel(kMma, {.N = 9, .T = 3, .F = 3, .H = 256}, Precision::kBf16, 0);
}

TEST_CASE("cuda gru: more units than a block has threads", "[cuda][gru]") {
  const FreshRuntime fresh;
  const GruCase c{.N = 1, .T = 2, .F = 1, .H = 1027};
  GruArrays<float> actual(c);
  GruArrays<double> expected(c);
  ref::gru_forward(expected.forward);
  ref::gru_backward(expected.backward);
  const CudaContext context;
  OnGpu gpu(actual);
  gru_forward<float>(gpu.forward, context);
  for (int d = 0; d < 2; ++d) gpu.backward.dw_ih[d] = gpu.backward.dw_hh[d] = {};  // products, and large ones
  gru_backward<float>(gpu.backward, context);
  gpu.download();
  // Measured: 9.2e-9, and 1.3e-7 for the gradients, which are sums over all units.
  check_close("y", actual.y.view(), expected.y.view(), 3e-8, 3e-8);
  for (int d = 0; d < 2; ++d) {
    check_close("db_hh", actual.gradients.b_hh[d].view(), expected.gradients.b_hh[d].view(), 5e-7, 5e-7);
  }
}

TEST_CASE("cuda gru: the same bits in every schedule, with and without optional outputs", "[cuda][gru]") {
  const FreshRuntime fresh;
  const GruCase c{.N = 3, .T = 4, .F = 5, .H = 20};
  for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
    std::unique_ptr<GruArrays<float>> first;
    for_each_schedule([&] {
      const CudaContext context(precision);
      auto arrays = std::make_unique<GruArrays<float>>(c);
      OnGpu gpu(*arrays);
      gru_forward<float>(gpu.forward, context);
      gru_backward<float>(gpu.backward, context);
      gpu.download();
      if (first == nullptr) {
        first = std::move(arrays);
        return;
      }
      const auto a = first->outputs();
      const auto b = arrays->outputs();
      for (std::size_t i = 0; i < a.size(); ++i) {
        INFO(a[i].first);
        CHECK(equal(a[i].second->view(), b[i].second->view()));
      }
    });
    const CudaContext context(precision);
    GruArrays<float> bare(c);
    OnGpu gpu(bare);
    gpu.forward.hn = {};
    gpu.forward.saved = {};
    gru_forward<float>(gpu.forward, context);
    gpu.download();
    CHECK(equal(bare.y.view(), first->y.view()));
  }
}

TEST_CASE("cuda gru: gates that are fully open or shut", "[cuda][gru]") {
  const FreshRuntime fresh;
  const GruCase c{.N = 2, .T = 3, .F = 5, .H = 9};
  GruArrays<double> expected(c);
  for (std::int64_t i = 0; i < c.N * c.T * c.F; ++i) expected.x[i] *= 500;
  ref::gru_forward(expected.forward);
  ref::gru_backward(expected.backward);
  for (std::size_t v = 0; v < cuda::gru_forward_variants().size(); ++v) {
    INFO(cuda::gru_forward_variants()[v].name);
    const CudaContext context;
    GruArrays<float> actual(c);
    for (std::int64_t i = 0; i < c.N * c.T * c.F; ++i) actual.x[i] *= 500;
    OnGpu gpu(actual);
    cuda::gru_forward_variants()[v].run(gpu.forward, context);
    cuda::gru_backward_variants()[v].run(gpu.backward, context);
    gpu.download();
    // Measured: 4.1e-7 in float. With the state in bf16 1.3e-6, and 1.7e-3 in u, which no gate saturates.
    const double error = v == kMma ? 5e-6 : 1.5e-6;
    const double error_u = v == kMma ? 5e-3 : 1.5e-6;
    check_close("y", actual.y.view(), expected.y.view(), error, error);
    check_close("gates", actual.gates.view(), expected.gates.view(), error_u, error_u);
    check_close("dx", actual.dx.view(), expected.dx.view(), error, error);
  }
}

TEST_CASE("cuda gru: gradients that are absent are left out", "[cuda][gru]") {
  const FreshRuntime fresh;
  const CudaContext context;
  const GruCase c{.N = 2, .T = 5, .F = 3, .H = 4};
  GruArrays<float> all(c), one(c), none(c);
  OnGpu gpu_all(all), gpu_one(one), gpu_none(none);
  for (OnGpu* gpu : {&gpu_all, &gpu_one, &gpu_none}) gru_forward<float>(gpu->forward, context);
  gru_backward<float>(gpu_all.backward, context);
  GruBackward<float>& only = gpu_one.backward;
  only.dx = {};
  for (int d = 0; d < 2; ++d) only.dw_ih[d] = only.db_ih[d] = only.db_hh[d] = {};
  only.dw_hh[0] = {};
  gru_backward<float>(only, context);
  gpu_none.backward.dw_hh[0] = gpu_none.backward.dw_hh[1] = {};
  gru_backward<float>(gpu_none.backward, context);
  for (OnGpu* gpu : {&gpu_all, &gpu_one, &gpu_none}) gpu->download();
  CHECK(equal(one.gradients.w_hh[1].view(), all.gradients.w_hh[1].view()));
  CHECK(std::isnan(one.gradients.w_hh[0][0]));
  CHECK(std::isnan(one.dx[0]));
  CHECK(std::isnan(none.gradients.w_hh[1][0]));
  CHECK(equal(none.dx.view(), all.dx.view()));
}

TEST_CASE("cuda gru: no sequences and no frames", "[cuda][gru]") {
  const FreshRuntime fresh;
  for (const GruCase& c : {GruCase{.N = 0, .T = 3, .F = 4, .H = 5}, GruCase{.N = 2, .T = 0, .F = 4, .H = 5}}) {
    for (std::size_t v = 0; v < cuda::gru_forward_variants().size(); ++v) {
      const CudaContext context(Precision::kBf16);
      GruArrays<float> a(c);
      OnGpu gpu(a);
      cuda::gru_forward_variants()[v].run(gpu.forward, context);
      cuda::gru_backward_variants()[v].run(gpu.backward, context);
      gpu.download();
      for (const auto& [what, buffer] : a.outputs()) {
        INFO(what << " " << cuda::gru_forward_variants()[v].name);
        CHECK(std::all_of(buffer->view().data, buffer->view().data + buffer->size(), [](float x) { return x == 0; }));
      }
    }
  }
}

TEST_CASE("cuda gru: the kernel is chosen by size, precision and device", "[cuda][gru]") {
  const FreshRuntime fresh;
  const auto chosen = [](std::int64_t H, Precision precision) {
    GruArrays<float> a({.N = 1, .T = 1, .F = 1, .H = H});
    const CudaContext context(precision);
    const std::string name = cuda::choose_variant(cuda::gru_forward_variants(), a.forward, context).name;
    CHECK(name == cuda::choose_variant(cuda::gru_backward_variants(), a.backward, context).name);
    return name;
  };
  CHECK(chosen(128, Precision::kBf16) == "mma");
  CHECK(chosen(128, Precision::kTf32) == "registers");
  CHECK(chosen(128, Precision::kFp32) == "registers");
  CHECK(chosen(129, Precision::kFp32) == "simple");
  CHECK(chosen(257, Precision::kBf16) == "simple");
#ifdef DCASE_EMULATED  // which device it is, the test decides
  CHECK(chosen(256, Precision::kBf16) == "mma");
  fake::set_compute_capability(8, 6);  // no clusters
  CHECK(chosen(128, Precision::kBf16) == "mma");
  CHECK(chosen(256, Precision::kBf16) == "simple");
#endif
}

TEST_CASE("cuda gru: sizes that do not agree throw with the operator's name", "[cuda][gru]") {
  const FreshRuntime fresh;
  const CudaContext context;
  GruArrays<float> a({.N = 2, .T = 5, .F = 3, .H = 4});
  OnGpu gpu(a);
  GruForward<float> forward = gpu.forward;
  forward.w_hh[1].shape[0] = 11;
  CHECK_THROWS_WITH(gru_forward<float>(forward, context), "gru_forward: w_hh[1] has shape [11,4], expected [12,4]");
  GruBackward<float> backward = gpu.backward;
  backward.dw_hh[1].shape[0] = 3;
  CHECK_THROWS_WITH(gru_backward<float>(backward, context), "gru_backward: dw_hh[1] has shape [3,4], expected [12,4]");
  float* const nothing = gpu.forward.y.data;  // refused before anything is read
  const std::int64_t H = 3073;
  forward = {.x = {nothing, {1, 1, 1}},
             .w_ih = {{nothing, {3 * H, 1}}, {nothing, {3 * H, 1}}},
             .w_hh = {{nothing, {3 * H, H}}, {nothing, {3 * H, H}}},
             .b_ih = {{nothing, {3 * H}}, {nothing, {3 * H}}},
             .b_hh = {{nothing, {3 * H}}, {nothing, {3 * H}}},
             .y = {nothing, {1, 1, 2 * H}}};
  CHECK_THROWS_WITH(gru_forward<float>(forward, context), "gru_forward: H is 3073, at most 3072");
}

TEST_CASE("cuda gru: shared memory is read and written without bank conflicts", "[cuda][gru]") {
  // ldmatrix and 16-byte loads go through in phases of eight lanes, 128 bytes each.
  for (const int columns : {32, 64, 128, 256, 3 * 32, 3 * 64, 3 * 128, 3 * 256}) {
    for (int first = 0; first < columns; first += 32) {
      for (int phase = 0; phase < 4; ++phase) {
        CHECK(worst_bank(8, 4, [&](int lane) { return cuda::gru_tile_row_of(columns, 8 * phase + lane, first) / 2; }) ==
              1);
      }
    }
    for (int unit0 = 0; unit0 < columns; unit0 += 16) {
      for (int i = 0; i < 4; ++i) {
        CHECK(worst_bank(32, 1, [&](int lane) {
                const MatrixPlace p = mma16n8_c(lane, i);
                return cuda::gru_tile_at(columns, p.column, unit0 + p.row) / 2;
              }) == 1);
      }
    }
  }
  for (int warp = 0; warp < 8; ++warp) {
    for (int phase = 0; phase < 4; ++phase) {
      CHECK(worst_bank(8, 4, [&](int lane) { return cuda::gru_lane(32 * warp + 8 * phase + lane).summand(1); }) == 1);
    }
    CHECK(worst_bank(32, 1, [&](int lane) { return cuda::gru_lane(32 * warp + lane).unit; }) == 1);
  }
}

}  // namespace dcase::test
