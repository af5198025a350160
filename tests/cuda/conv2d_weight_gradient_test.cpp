// The weight gradient of conv2d on the emulated device against double loops: every kernel that takes the arguments.

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <vector>

#include "kernels/conv2d/conv2d_ref.hpp"
#include "kernels/conv2d/conv2d_weight_gradient.hpp"
#include "kernels/conv2d/conv2d_weight_gradient_tile.hpp"
#include "tests/cuda/cuda_context.hpp"

namespace dcase::test {

using cuda::Conv2dWeightGradient;

namespace {

constexpr auto kSet = GradMode::kSet;
constexpr auto kAdd = GradMode::kAdd;
constexpr Precision kPrecisions[] = {Precision::kFp32, Precision::kTf32, Precision::kBf16};

struct Case {
  Conv2dShape shape;
  GradMode mode = kSet;
  std::int64_t most_splits = 65535;
  std::int64_t offset = 0;  // of the device pointers, in floats
};

std::string text(const Case& c) {
  const Conv2dShape& s = c.shape;
  return concat(s.N, "x", s.Ci, " [", s.M, ",", s.T, "] -> ", s.Co, " k ", s.Km, "x", s.Kt, " stride ", s.stride_m, "x",
                s.stride_t, " splits ", c.most_splits, " offset ", c.offset);
}

// Of a sum of products of uniform numbers in [-1,1], for each square root of their number; twice what was measured at
// the sizes below and at 64256 pixels in one division: 1.0e-6, 4.0e-4 and 3.1e-3. In tf32 and bf16 it is the operands'
// rounding, in fp32 that of up to 2048 sums in a row.
double tolerance(Precision rounding) {
  return rounding == Precision::kBf16 ? 6.2e-3 : rounding == Precision::kTf32 ? 8e-4 : 2e-6;
}

/// A case with its reference. With `normalized` the kernels get raw numbers, and x = relu(scale * raw + shift).
class Problem {
 public:
  explicit Problem(const Case& c, bool normalized = false)
      : case_(c),
        shape_(c.shape),
        x_({shape_.N, 1, shape_.M, shape_.T, shape_.Ci}),
        dy_({shape_.N, 1, shape_.My(), shape_.Ty(), shape_.Co}),
        dw_({shape_.Co, shape_.Ci, shape_.Km, shape_.Kt}),
        scale_({shape_.Ci}),
        shift_({shape_.Ci}),
        expected_({shape_.Co, shape_.Ci, shape_.Km, shape_.Kt}) {
    x_.fill_uniform("x");
    dy_.fill_uniform("dy");
    scale_.fill_uniform("scale", -1, 1);
    shift_.fill_uniform("shift", 0, 0.5);  // relu(shift) is not 0: padding comes behind the activation
    Buffer<double> x({shape_.N, 1, shape_.M, shape_.T, shape_.Ci});
    Buffer<double> dy({shape_.N, 1, shape_.My(), shape_.Ty(), shape_.Co});
    dy.fill_uniform("dy");
    expected_.fill_uniform("dw");
    for (std::int64_t i = 0; i < x.size(); ++i) {
      const double raw = static_cast<double>(x_[i]);
      const double scale = static_cast<double>(scale_[i % shape_.Ci]);
      const double shift = static_cast<double>(shift_[i % shape_.Ci]);
      x[i] = normalized ? std::max(0.0, scale * raw + shift) : raw;
    }
    ref::conv2d_backward({.x = x.view(),
                          .dy = dy.view(),
                          .dw = expected_.view(),
                          .stride_m = shape_.stride_m,
                          .stride_t = shape_.stride_t,
                          .dw_mode = c.mode});
  }

  /// run(args, shape, scale, shift, context) on device memory; dw is compared and returned.
  template <class Run>
  std::vector<float> check(const std::string& what, Precision precision, const Run& run) {
    INFO(text(case_) << ", " << what << ", precision " << static_cast<int>(precision));
    dw_.fill(NAN);
    if (case_.mode == kAdd) dw_.fill_uniform("dw");
    const CudaContext context(precision);
    const OnDevice x(x_.view(), case_.offset);
    const OnDevice dy(dy_.view(), case_.offset);
    const OnDevice dw(dw_.view(), case_.offset);
    const OnDevice scale(scale_.view(), case_.offset);
    const OnDevice shift(shift_.view(), case_.offset);
    run(Conv2dBackward<float>{.x = x.view(),
                              .dy = dy.view(),
                              .dw = dw.view(),
                              .stride_m = shape_.stride_m,
                              .stride_t = shape_.stride_t,
                              .dw_mode = case_.mode},
        shape_, scale.view(), shift.view(), static_cast<const Context&>(context));
    dw.download(dw_.view());
    const auto terms = static_cast<double>(shape_.N * shape_.My() * shape_.Ty() + 1);
    check_close("dw", dw_.view(), expected_.view(), tolerance(precision) * std::sqrt(terms), 0);
    return {dw_.view().data, dw_.view().data + dw_.size()};
  }

  /// Each kernel that takes it, in the most exact precision it has; what they left, by name.
  std::map<std::string, std::vector<float>> check_variants() {
    std::map<std::string, std::vector<float>> results;
    for (const Precision precision : kPrecisions) {
      for (const auto& variant : cuda::conv2d_weight_gradient_variants()) {
        const Conv2dWeightGradient probe{.dy = aligned_dy(), .shape = shape_};
        if (results.contains(variant.name) || !variant.takes(probe, CudaContext(precision))) continue;
        results[variant.name] =
            check(variant.name, precision, [&](const auto& args, const auto& shape, auto, auto, const Context& on) {
              variant.run({.x = args.x.data,
                           .dy = args.dy.data,
                           .dw = args.dw.data,
                           .shape = shape,
                           .mode = args.dw_mode,
                           .most_splits = case_.most_splits},
                          on);
            });
      }
    }
    return results;
  }

  /// The product's function.
  std::vector<float> check_front(Precision precision) {
    return check("conv2d_weight_gradient", precision,
                 [](const auto& args, const auto& shape, auto, auto, const Context& on) {
                   cuda::conv2d_weight_gradient(args, shape, on);
                 });
  }
  std::vector<float> check_normalized(Precision precision) {
    return check("conv2d_weight_gradient, normalized", precision,
                 [](const auto& args, const auto& shape, auto scale, auto shift, const Context& on) {
                   cuda::conv2d_weight_gradient(args, shape, scale, shift, on);
                 });
  }

 private:
  // An address as aligned as the device's dy; never read.
  [[nodiscard]] const float* aligned_dy() const {
    return reinterpret_cast<const float*>(static_cast<std::uintptr_t>(256 + 4 * case_.offset));
  }

  Case case_;
  Conv2dShape shape_;
  Buffer<float> x_, dy_, dw_, scale_, shift_;
  Buffer<double> expected_;
};

// One past a tile of rows (8 or 4) and of columns (16); channels one past the narrow tile.
constexpr Conv2dShape kOdd{.N = 2, .Ci = 3, .M = 5, .T = 7, .Co = 4};
constexpr Conv2dShape kNarrow{.N = 2, .Ci = 17, .M = 9, .T = 17, .Co = 20};
constexpr Conv2dShape kWide{.N = 1, .Ci = 36, .M = 3, .T = 17, .Co = 41};
constexpr Conv2dShape kStrided{.N = 2, .Ci = 5, .M = 9, .T = 11, .Co = 6, .stride_m = 2, .stride_t = 2};
constexpr Conv2dShape kSequence{.N = 3, .Ci = 6, .M = 1, .T = 75, .Co = 9, .Km = 1, .stride_t = 2};
constexpr Conv2dShape kWidePoint{.N = 2, .Ci = 40, .M = 7, .T = 15, .Co = 36, .Km = 1, .Kt = 1, .stride_m = 1};
constexpr Conv2dShape kEven{.N = 2, .Ci = 3, .M = 6, .T = 8, .Co = 5, .Km = 2, .Kt = 4, .stride_m = 1, .stride_t = 3};
constexpr Conv2dShape kFirst{.N = 2, .Ci = 1, .M = 5, .T = 131, .Co = 8};
constexpr Conv2dShape kFirstWide{.N = 1, .Ci = 1, .M = 3, .T = 37, .Co = 52};

}  // namespace

TEST_CASE("cuda conv2d_weight_gradient: every kernel equals the double loops, the same bits in every schedule",
          "[cuda][conv2d]") {
  const FreshRuntime fresh;
  const Case cases[] = {{kOdd, kAdd}, {kNarrow, kSet, 2}, {kStrided},        {kSequence, kAdd, 1},
                        {kEven},      {kFirst, kSet, 2},  {kFirstWide, kAdd}};
  for (const Case& c : cases) {
    Problem problem(c);
    std::map<std::string, std::vector<float>> first;
    for_each_schedule([&] {
      const auto results = problem.check_variants();
      if (first.empty()) first = results;
      CHECK(results.size() == (c.shape.Ci == 1 ? 5 : 4));
      CHECK(results == first);
    });
  }
}

TEST_CASE("cuda conv2d_weight_gradient: sizes of the models, single pixels, unaligned maps", "[cuda][conv2d]") {
  const FreshRuntime fresh;
  const Case cases[] = {
      {{.N = 1, .Ci = 1, .M = 1, .T = 1, .Co = 1}},
      {{.N = 1, .Ci = 8, .M = 2, .T = 1, .Co = 8}},
      {{.N = 1, .Ci = 16, .M = 3, .T = 31, .Co = 8}},
      {{.N = 2, .Ci = 8, .M = 3, .T = 125, .Co = 16}, kAdd},
      {{.N = 1, .Ci = 16, .M = 2, .T = 251, .Co = 16}},
      {{.N = 1, .Ci = 64, .M = 3, .T = 31, .Co = 64}, kSet, 1},
      {{.N = 1, .Ci = 72, .M = 4, .T = 6, .Co = 68}},  // more than one wide block either way
      {{.N = 2, .Ci = 40, .M = 5, .T = 37, .Co = 34, .stride_m = 2, .stride_t = 2}},
      {{.N = 2, .Ci = 40, .M = 8, .T = 37, .Co = 48, .Km = 1, .Kt = 1, .stride_m = 2, .stride_t = 2}},
      {{.N = 1, .Ci = 1, .M = 5, .T = 251, .Co = 64}},
      {{.N = 1, .Ci = 1, .M = 4, .T = 375, .Co = 4}, kAdd},
      {{.N = 1, .Ci = 16, .M = 5, .T = 18, .Co = 16}, kSet, 65535, 1},
      {{.N = 1, .Ci = 1, .M = 5, .T = 18, .Co = 8}, kSet, 65535, 1},
  };
  for (const Case& c : cases) Problem(c).check_variants();
}

TEST_CASE("cuda conv2d_weight_gradient: more tiles in one division than are summed in a row", "[cuda][conv2d]") {
  const FreshRuntime fresh;
  Problem({{.N = 2, .Ci = 2, .M = 40, .T = 251, .Co = 3}, kAdd, 1}).check_variants();
}

TEST_CASE("cuda conv2d_weight_gradient: the kernel follows the precision", "[cuda][conv2d]") {
  const FreshRuntime fresh;
  Problem problem({kNarrow});
  auto results = problem.check_variants();
  CHECK(problem.check_front(Precision::kFp32) == results["tiled_fp32"]);
  CHECK(problem.check_front(Precision::kTf32) == results["tiled_tf32"]);
  CHECK(problem.check_front(Precision::kBf16) == results["tiled_bf16"]);
  Problem first({kFirst});
  CHECK(first.check_front(Precision::kBf16) == first.check_variants()["one_channel"]);
}

TEST_CASE("cuda conv2d_weight_gradient: no pixels give zeros, no weights nothing", "[cuda][conv2d]") {
  const FreshRuntime fresh;
  for (const Precision precision : kPrecisions) {
    for (const GradMode mode : {kSet, kAdd}) {
      Problem({{.N = 0, .Ci = 2, .M = 5, .T = 7, .Co = 3}, mode}).check_front(precision);
      Problem({{.N = 2, .Ci = 2, .M = 0, .T = 7, .Co = 3}, mode}).check_front(precision);
      Problem({{.N = 2, .Ci = 0, .M = 5, .T = 7, .Co = 3}, mode}).check_front(precision);
      Problem({{.N = 2, .Ci = 2, .M = 5, .T = 7, .Co = 0}, mode}).check_front(precision);
    }
  }
}

TEST_CASE("cuda conv2d_weight_gradient: sizes that int does not hold", "[cuda][conv2d]") {
  const FreshRuntime fresh;
  // A stride beyond what the tiled kernels count: one row of outputs, by the simple kernel.
  Conv2dShape far = kOdd;
  far.stride_m = std::int64_t{1} << 30;
  for (const Precision precision : kPrecisions) {
    Problem({far}).check_front(precision);
    Problem({far, kAdd}, true).check_normalized(precision);
  }
  const Conv2dShape huge{.N = 1, .Ci = 1, .M = 1, .T = std::int64_t{1} << 31, .Co = 1, .Km = 1, .Kt = 1};
  Buffer<float> dw({1, 1, 1, 1});
  CHECK_THROWS_WITH(cuda::conv2d_weight_gradient({.dw = dw.view()}, huge, CudaContext()),
                    "conv2d_weight_gradient: T is 2147483648, at most 2147483647");
}

TEST_CASE("cuda conv2d_weight_gradient: x is normalized on the way, padding is not", "[cuda][conv2d][conv_bn]") {
  const FreshRuntime fresh;
  Problem odd({kOdd, kAdd}, true);
  Problem narrow({kNarrow}, true);
  Problem wide({kWide}, true);
  Problem unaligned({kWide, kAdd, 1, 1}, true);
  Problem strided({kStrided}, true);
  Problem point({kWidePoint}, true);
  for_each_schedule([&] {
    for (const Precision precision : kPrecisions) {
      odd.check_normalized(precision);
      strided.check_normalized(precision);
    }
  });
  for (const Precision precision : kPrecisions) {
    narrow.check_normalized(precision);
    wide.check_normalized(precision);
    unaligned.check_normalized(precision);
    point.check_normalized(precision);
  }
  Problem({{.N = 0, .Ci = 2, .M = 5, .T = 7, .Co = 3}}, true).check_normalized(Precision::kFp32);
}

namespace {

// The largest number of different words that lanes ask of one bank at a time: `bytes` of each lane, as many lanes at a
// time as make 128 bytes.
template <class Address>
int words_of_a_bank(int bytes, const Address& address) {
  const int lanes = 128 / bytes;
  std::size_t most = 0;
  for (int first = 0; first < 32; first += lanes) {
    std::map<int, std::set<int>> words;
    for (int lane = first; lane < first + lanes; ++lane) {
      for (int word = address(lane) / 4; word < (address(lane) + bytes) / 4; ++word) words[word % 32].insert(word);
    }
    for (const auto& [bank, of_bank] : words) most = std::max(most, of_bank.size());
  }
  return static_cast<int>(most);
}

template <class Tile>
void check_banks(int store) {
  INFO("operands " << static_cast<int>(Tile::kOperands) << ", tile " << Tile::kTile << ", kernel " << Tile::kKernel);
  CHECK(Tile::kSharedBytes <= 99 * 1024);
  for (int first = 0; first < Tile::kThreads; first += 32) {
    const auto item = [&](int lane) { return first + lane; };
    const auto channel = [&](int lane) { return item(lane) % Tile::kChunks * Tile::kChunk; };
    CHECK(words_of_a_bank(16, [&](int lane) { return Tile::dy_offset(item(lane) / Tile::kChunks, channel(lane)); }) <=
          store);
    CHECK(words_of_a_bank(16, [&](int lane) {
            return Tile::offset(Tile::kXPixels, item(lane) / Tile::kChunks, channel(lane));
          }) <= store);
  }
  for (int step = 0; step < Tile::kSteps; ++step) {
    const int pixel = step * Tile::kStepPixels;
    for (int c = 0; c < Tile::kTile; c += 16) {
      for (int a = 0; a < Tile::kKernel; ++a) {
        for (int b = 0; b < Tile::kKernel; ++b) {
          if (Tile::kOperands == cuda::weight_gradient::ConvOperands::kBf16) {
            CHECK(words_of_a_bank(16, [&](int lane) { return Tile::dy_row(lane, step, c); }) == 1);
            CHECK(words_of_a_bank(16, [&](int lane) { return Tile::x_row(lane, step, a, b, c); }) == 1);
          } else if (Tile::kOperands == cuda::weight_gradient::ConvOperands::kTf32) {
            CHECK(words_of_a_bank(4, [&](int lane) {
                    return Tile::dy_offset(pixel + mma1688_a(lane, 0).column, c + mma1688_a(lane, 0).row);
                  }) == 1);
            CHECK(words_of_a_bank(4, [&](int lane) {
                    return Tile::x_offset(pixel + mma1688_b(lane, 0).row, a, b, c + mma1688_b(lane, 0).column);
                  }) == 1);
          } else {
            CHECK(words_of_a_bank(8, [&](int lane) { return Tile::dy_offset(pixel, c + lane / 4 * 2); }) == 1);
            CHECK(words_of_a_bank(16, [&](int lane) { return Tile::x_offset(pixel, a, b, c + lane % 4 * 4); }) == 1);
          }
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("cuda conv2d_weight_gradient: shared memory without bank conflicts", "[cuda][conv2d]") {
  using enum cuda::weight_gradient::ConvOperands;
  check_banks<cuda::weight_gradient::WeightGradientTile<kBf16, 64, 3>>(1);
  check_banks<cuda::weight_gradient::WeightGradientTile<kBf16, 16, 3>>(1);
  check_banks<cuda::weight_gradient::WeightGradientTile<kBf16, 64, 1>>(1);
  check_banks<cuda::weight_gradient::WeightGradientTile<kBf16, 16, 1>>(1);
  check_banks<cuda::weight_gradient::WeightGradientTile<kTf32, 64, 3>>(1);
  check_banks<cuda::weight_gradient::WeightGradientTile<kTf32, 64, 1>>(1);
  check_banks<cuda::weight_gradient::WeightGradientTile<kFp32, 64, 3>>(1);
  // Two pixels of 64 bytes, 96 apart, overlap by a quarter: the price of reading without conflicts.
  check_banks<cuda::weight_gradient::WeightGradientTile<kTf32, 16, 3>>(2);
  check_banks<cuda::weight_gradient::WeightGradientTile<kFp32, 16, 3>>(2);
}

}  // namespace dcase::test
