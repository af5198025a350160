#include "train/data/resample.hpp"

#include <cmath>
#include <numbers>
#include <vector>

#include "engine/archive.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/test.hpp"

namespace dcase {

namespace {

std::vector<float> noise(std::int64_t samples) {
  test::Buffer<float> buffer({samples});
  buffer.fill_uniform("resample noise");
  return {buffer.view().data, buffer.view().data + samples};
}

/// The definition, term by term.
double resampled_at(const std::vector<float>& x, int in, int out, std::int64_t m) {
  const double fc = 0.99 * 0.5 * std::min(in, out);
  const double w = 6 / (2 * fc);
  double y = 0;
  for (std::size_t n = 0; n < x.size(); ++n) {
    const double t = static_cast<double>(n) / in - static_cast<double>(m) / out;
    if (std::abs(t) >= w) continue;
    const double pi = std::numbers::pi;
    const double h = std::abs(t) < 1e-13
                         ? 2 * fc / in
                         : 0.5 * (1 + std::cos(2 * pi * fc / 6 * t)) * std::sin(2 * pi * fc * t) / (pi * t) / in;
    y += h * static_cast<double>(x[n]);
  }
  return y;
}

}  // namespace

TEST_CASE("resample: the stored 44.1 to 24 kHz signal", "[resample]") {
  const Archive archive = Archive::open(test::golden("mel.safetensors"));
  std::vector<float> x;
  for (const std::int64_t v : archive.integers("resample.pcm16_44k")) x.push_back(static_cast<float>(v) / 32768);
  const std::vector<float> y = resample(x, 44100, 24000);
  const std::vector<float> expected = archive.floats("resample.out24k");
  const auto size = static_cast<std::int64_t>(y.size());
  test::check_close("24 kHz", View<const float>(y.data(), {size}),
                    View<const float>(expected.data(), {static_cast<std::int64_t>(expected.size())}), 2e-6, 0);
}

TEST_CASE("resample: any pair of rates follows the definition", "[resample]") {
  struct Rates {
    int in;
    int out;
    bool tabulated;
  };
  const auto rates = GENERATE(Rates{44100, 24000, true}, Rates{8000, 24000, true}, Rates{48000, 24000, true},
                              Rates{22050, 24000, true}, Rates{44101, 24000, true}, Rates{192000, 24000, true},
                              Rates{24000, 44100, true}, Rates{1000, 24000, true}, Rates{1000003, 999983, false},
                              Rates{3, 1, true}, Rates{767999, 24000, false}, Rates{16777215, 16777213, false});
  CHECK(ResampleFilter(rates.in, rates.out).tabulated() == rates.tabulated);
  const std::vector<float> x = noise(700);
  const std::vector<float> y = resample(x, rates.in, rates.out);
  REQUIRE(static_cast<std::int64_t>(y.size()) == resampled_length(700, rates.in, rates.out));
  double worst = 0;
  for (std::size_t m = 0; m < y.size(); ++m)
    worst = std::max(worst, std::abs(y[m] - resampled_at(x, rates.in, rates.out, static_cast<std::int64_t>(m))));
  INFO(rates.in << " to " << rates.out << " Hz");
  CHECK(worst < 1e-6);
}

TEST_CASE("resample: taps are symmetric about the output, with a gain of 1", "[resample]") {
  const ResampleFilter filter(1000003, 999983);  // primes: too many phases for a table
  CHECK(ResampleFilter(44100, 24000).taps() == 24);
  std::vector<float> buffer(static_cast<std::size_t>(filter.taps()));
  const float* weights = filter.weights(0, buffer.data());
  CHECK(weights == buffer.data());
  const std::int64_t centre = -filter.first_input(0);
  CHECK(std::abs(weights[centre] - 0.99 * 999983 / 1000003) < 1e-6);
  for (std::int64_t k = 1; k < 6; ++k) CHECK(std::abs(weights[centre + k] - weights[centre - k]) < 1e-7);
}

TEST_CASE("resample: blocks of any size give the bits of one block", "[resample]") {
  const int in = GENERATE(44100, 8000, 1000003);
  const int out = in == 1000003 ? 999983 : 24000;
  const std::vector<float> x = noise(70001);  // more than two internal slices
  const std::vector<float> whole = resample(x, in, out);
  Resampler resampler(std::make_shared<const ResampleFilter>(in, out));
  for (const std::size_t block : {std::size_t{1}, std::size_t{7}, std::size_t{333}, std::size_t{40000}}) {
    std::vector<float> y;
    const std::vector<float> part(x.begin(), x.begin() + (block == 1 ? 3001 : 70001));
    for (std::size_t begin = 0; begin < part.size(); begin += block)
      resampler.push(std::span(part).subspan(begin, std::min(block, part.size() - begin)), y);
    resampler.finish(y);  // ready for the next signal
    INFO(in << " Hz in blocks of " << block);
    CHECK((y == (block == 1 ? resample(part, in, out) : whole)));
  }
}

TEST_CASE("resample: lengths, equal rates and the ends of a signal", "[resample]") {
  CHECK(resampled_length(441000, 44100, 24000) == 240000);
  CHECK(resampled_length(22050, 44100, 24000) == 12000);
  CHECK(resampled_length(1, 44100, 24000) == 1);
  CHECK(resampled_length(2, 44100, 24000) == 2);
  CHECK(resampled_length(0, 44100, 24000) == 0);
  CHECK(resampled_length(std::int64_t{1} << 60, 44100, 24000) == 627440274615971144);
  CHECK_THROWS_AS(resampled_length(std::int64_t{1} << 62, 1, 24000), Error);

  const std::vector<float> x = noise(100);
  CHECK((resample(x, 24000, 24000) == x));
  CHECK(resample({}, 44100, 24000).empty());
  // A constant stays constant away from the ends: the filter passes it with a gain of 1.
  const std::vector<float> constant = resample(std::vector<float>(2000, 0.5F), 44100, 24000);
  for (std::size_t m = 20; m + 20 < constant.size(); ++m) CHECK(std::abs(constant[m] - 0.5F) < 2e-3);
}

TEST_CASE("resample: impossible rates throw", "[resample]") {
  CHECK_THROWS_AS(ResampleFilter(0, 24000), Error);
  CHECK_THROWS_AS(ResampleFilter(24000, -1), Error);
  CHECK_THROWS_AS(ResampleFilter((1 << 24) + 1, 1 << 24), Error);
  CHECK_THROWS_AS(ResampleFilter(1, 1024), Error);
  CHECK_NOTHROW(ResampleFilter(1, 1023));
  CHECK_THROWS_AS(Resampler(nullptr), Error);
}

}  // namespace dcase
