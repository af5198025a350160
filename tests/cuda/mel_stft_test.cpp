// The front end on the emulated device: both kernels against the double reference, stored signals, edges, rows.

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "engine/archive.hpp"
#include "kernels/mel_stft/mel_stft.hpp"
#include "kernels/mel_stft/mel_stft_ref.hpp"
#include "kernels/mel_stft/mel_stft_tile.cuh"
#include "tests/cuda/cuda_context.hpp"

namespace dcase::test {

namespace {

/// A parameter set far from the default: window above n_fft/2, odd number of mels, hop that divides nothing.
MelParameters other_parameters() {
  return {.sample_rate = 8000, .n_fft = 256, .window = 150, .hop = 37, .mels = 13, .f_min = 50, .f_max = 3700};
}

/// Few filters, some of them between two bins, at the transform that the tuned kernel takes; a window that fills it.
MelParameters few_mels() {
  return {.sample_rate = 8000, .n_fft = 2048, .window = 1024, .hop = 333, .mels = 9, .f_min = 1000, .f_max = 1100};
}

/// Deterministic noise with a slow swell, so that no two frames are alike.
std::vector<float> noise(std::int64_t samples) {
  Buffer<float> buffer({samples});
  buffer.fill_uniform("mel noise", -0.5, 0.5);
  std::vector<float> x;
  for (std::int64_t i = 0; i < samples; ++i)
    x.push_back(buffer[i] * static_cast<float>(0.2 + std::abs(std::sin(0.001 * static_cast<double>(i)))));
  return x;
}

template <class T>
View<const T> view_of(const std::vector<T>& values) {
  return View<const T>(values.data(), {static_cast<std::int64_t>(values.size())});
}

std::vector<double> doubles(const std::vector<float>& x) { return {x.begin(), x.end()}; }

/// PCM in device memory, in one of its two types; one sample behind 256 bytes, as any span of a recording may be.
class DevicePcm {
 public:
  explicit DevicePcm(const std::vector<float>& x) : f32_(static_cast<std::int64_t>(x.size()) + 1), i16_(1) {
    std::vector<float> shifted = {0};
    shifted.insert(shifted.end(), x.begin(), x.end());
    f32_.upload(shifted);
  }
  explicit DevicePcm(const std::vector<std::int16_t>& x) : f32_(1), i16_(static_cast<std::int64_t>(x.size()) + 1) {
    std::vector<std::int16_t> shifted = {0};
    shifted.insert(shifted.end(), x.begin(), x.end());
    i16_.upload(shifted);
  }
  [[nodiscard]] View<const float> f32(std::initializer_list<std::int64_t> shape, std::int64_t first = 0) const {
    return {f32_.data() + 1 + first, shape};
  }
  [[nodiscard]] View<const std::int16_t> i16(std::initializer_list<std::int64_t> shape) const {
    return {i16_.data() + 1, shape};
  }

 private:
  DeviceBuffer<float> f32_;
  DeviceBuffer<std::int16_t> i16_;
};

/// `a.out` [N,M,T] by the kernel named, from device memory to the host.
void run(const char* kernel, MelBatchForward a, const MelTables& tables, const CudaContext& context,
         Buffer<float>& out) {
  const OnDevice device(out.view(), 1);
  a.out = device.view();
  check(a, tables.parameters());
  const cuda::MelBatch batch{a, tables};
  const auto table = cuda::mel_batch_variants();
  const auto variant =
      std::find_if(table.begin(), table.end(), [&](const auto& v) { return v.name == std::string(kernel); });
  REQUIRE(variant != table.end());
  REQUIRE(variant->takes(batch, context));
  variant->run(batch, context);
  device.download(out.view());
}

/// N items of S samples by each kernel that takes them, against the definition.
void compare_with_reference(const MelParameters& p, std::int64_t N, std::int64_t S, std::int64_t first_frame,
                            std::int64_t T, bool with_simple) {
  const CudaContext context;
  const MelTables tables(p);
  const std::vector<float> x = noise(N * S);
  const DevicePcm pcm(x);
  std::vector<double> power;
  for (std::int64_t n = 0; n < N; ++n) {
    const std::vector<float> item(x.begin() + n * S, x.begin() + (n + 1) * S);
    const std::vector<double> one = ref::mel_power(doubles(item), p, first_frame, T);
    power.insert(power.end(), one.begin(), one.end());
  }
  const std::vector<double> logs = ref::mel_log(power, p);
  for (const auto& variant : cuda::mel_batch_variants()) {
    const MelBatchForward any;
    if (!variant.takes({any, tables}, context)) continue;
    const bool simple = variant.name == std::string("simple");
    if (simple && !with_simple) continue;
    for (const bool log : {true, false}) {
      Buffer<float> out({N, p.mels, T});
      run(variant.name, {.pcm = pcm.f32({N, S}), .first_frame = first_frame, .log = log}, tables, context, out);
      const std::string what = concat(variant.name, ", n_fft ", p.n_fft, ", S ", S, log ? ", log" : ", power");
      // Rounding of the transform is relative to the frame's largest bin, not to each mel row: worst 5.1e-5 of a
      // logarithm, in the rows that pre-emphasis makes the quietest. The simple kernel sums in double: worst 2.3e-6.
      const double tolerance = simple ? 8e-6 : 1e-4;
      check_close(what, out.view(), view_of(log ? logs : power), log ? tolerance : 1e-7, log ? 0 : tolerance);
    }
  }
}

}  // namespace

TEST_CASE("cuda mel_stft: both kernels equal the double reference", "[cuda][mel_stft]") {
  const FreshRuntime fresh;
  for_each_schedule([] {
    compare_with_reference(other_parameters(), 2, 100, 0, 3, true);
    compare_with_reference(few_mels(), 2, 700, 0, 3, true);
  });
  // Lengths around the mirrored edge: one pre-emphasised sample, less than half a window, less than n_fft/2; frames
  // from the middle, one frame, and more than a block has.
  for (const std::int64_t S : {2, 3, 72, 481, 900}) {
    compare_with_reference(other_parameters(), 1, S, 0, mel_frames(S, other_parameters()), true);
    compare_with_reference(MelParameters{}, 1, S, 0, mel_frames(S), S == 481);
  }
  compare_with_reference(other_parameters(), 1, 900, 7, 1, true);
  compare_with_reference(MelParameters{}, 2, 8600, 0, 17, false);
  compare_with_reference(MelParameters{}, 1, 16000, 3, 29, false);
  compare_with_reference({.n_fft = 64, .window = 64, .hop = 20, .mels = 5}, 1, 130, 1, 3, true);
  compare_with_reference({.window = 1026, .mels = 4}, 1, 700, 1, 1, true);  // one beyond the tuned kernel
}

TEST_CASE("cuda mel_stft: stored reference signals", "[cuda][mel_stft]") {
  struct Signal {
    const char* name;
    double log_tolerance;
    double norm_tolerance;
  };
  // The tolerances of the CPU: tones leave bins far below the frame's peak, where float rounding of the transform
  // shows, and the norm of silence is the rounding of a mean divided by the floor 0.001.
  const std::vector<Signal> signals = {
      {"sweep", 2e-3, 1e-3},        {"noise", 5e-4, 5e-4},      {"clicks", 5e-4, 5e-4},   {"silence", 1e-6, 5e-3},
      {"half_silence", 5e-4, 5e-4}, {"short_0p3s", 5e-4, 5e-4}, {"long_10s", 2e-3, 1e-3}, {"quiet", 5e-4, 5e-4}};
  const FreshRuntime fresh;
  const Archive archive = Archive::open(golden("mel.safetensors"));
  const CudaContext context;
  const MelTables tables;
  for (const Signal& signal : signals) {
    const std::string name = signal.name;
    if (kChecked && name == "long_10s") continue;  // nothing in it that the others have not, and 500 frames
    std::vector<std::int16_t> samples;
    for (const std::int64_t v : archive.integers(name + ".pcm16")) samples.push_back(static_cast<std::int16_t>(v));
    const auto S = static_cast<std::int64_t>(samples.size());
    const std::int64_t T = mel_frames(S);
    const DevicePcm pcm(samples);
    Buffer<float> out({128, T});
    const OnDevice device(out.view());
    mel_forward({.pcm = PcmView(pcm.i16({S})), .out = device.view()}, tables, context);
    device.download(out.view());
    const std::vector<float> logmel = archive.floats(name + ".logmel");
    const std::vector<float> norm = archive.floats(name + ".norm");
    check_close(name + ", logmel", out.view(), view_of(logmel), signal.log_tolerance, 0);
    mel_normalize({.x = device.view(), .mean = {}, .std = {}}, tables.parameters(), context);
    device.download(out.view());
    check_close(name + ", norm", out.view(), view_of(norm), signal.norm_tolerance, 0);
    if (name != "short_0p3s") continue;
    const std::int64_t T2 = doubled_frames(T, 40);
    Buffer<float> repeated({128, T2});
    const OnDevice longer(repeated.view());
    mel_repeat({.x = device.view(), .y = longer.view()}, context);
    longer.download(repeated.view());
    std::int64_t different = 0;
    for (std::int64_t m = 0; m < 128; ++m)
      for (std::int64_t t = 0; t < T2; ++t) different += repeated[m * T2 + t] != out[m * T + t % T];
    CHECK(different == 0);
  }
}

TEST_CASE("cuda mel_stft: bits depend on no other frame, on no batch and on no sample type", "[cuda][mel_stft]") {
  const FreshRuntime fresh;
  const CudaContext context;
  const MelTables tables;
  const std::int64_t N = 2;
  const std::int64_t S = 9700;
  const std::int64_t T = mel_frames(S);  // 21: a block and a part of one
  std::vector<std::int16_t> integers;
  std::vector<float> x;
  for (const float v : noise(N * S)) {
    integers.push_back(static_cast<std::int16_t>(integers.size() < 2000 ? 0 : std::lround(v * 30000)));
    x.push_back(static_cast<float>(integers.back()) * 0x1p-17F);
  }
  const DevicePcm floats(x);
  const DevicePcm shorts(integers);
  Buffer<float> batch({N, 128, T});
  run("fft", {.pcm = floats.f32({N, S})}, tables, context, batch);
  CHECK(std::abs(batch[0] - std::log(1e-7F)) < 2e-6);  // silence, beside frames that are not silent
  Buffer<float> other({N, 128, T});
  run("fft", {.pcm = PcmView(shorts.i16({N, S}), 0x1p-17F)}, tables, context, other);
  CHECK(std::equal(batch.view().data, batch.view().data + batch.size(), other.view().data));

  // Frames first .. first+count-1 of the second item, from a span that starts `cut` hops into it.
  const auto check_part = [&](const char* what, std::int64_t first, std::int64_t count, std::int64_t cut,
                              std::int64_t samples, EdgeRule left, EdgeRule right) {
    Buffer<float> out({1, 128, count});
    run("fft",
        {.pcm = floats.f32({1, samples}, S + cut * 480), .first_frame = first - cut, .left = left, .right = right},
        tables, context, out);
    std::int64_t different = 0;
    for (std::int64_t m = 0; m < 128; ++m)
      for (std::int64_t t = 0; t < count; ++t) different += out[m * count + t] != batch[(128 + m) * T + first + t];
    INFO(what);
    CHECK(different == 0);
  };
  check_part("the middle", 5, 3, 0, S, EdgeRule::kReflect, EdgeRule::kReflect);
  check_part("the end", 19, 2, 0, S, EdgeRule::kReflect, EdgeRule::kReflect);
  check_part("a span inside", 5, 3, 4, 4 * 480 + 1, EdgeRule::kNeighbour, EdgeRule::kNeighbour);
  check_part("its end", 19, 2, 18, S - 18 * 480, EdgeRule::kNeighbour, EdgeRule::kReflect);
  check_part("its start", 0, 2, 0, 2 * 480 + 1, EdgeRule::kReflect, EdgeRule::kNeighbour);

  // Items of different lengths in one call, from the same memory.
  Buffer<float> first({128, 2});
  Buffer<float> second({128, 1});
  const OnDevice device_first(first.view());
  const OnDevice device_second(second.view());
  const std::vector<MelForward> items = {{.pcm = floats.f32({S}), .first_frame = 12, .out = device_first.view()},
                                         {.pcm = floats.f32({S}, S), .first_frame = 20, .out = device_second.view()}};
  mel_forward(items, tables, context);
  device_first.download(first.view());
  device_second.download(second.view());
  std::int64_t different = 0;
  for (std::int64_t m = 0; m < 128; ++m) {
    different += first[2 * m] != batch[m * T + 12];
    different += first[2 * m + 1] != batch[m * T + 13];
    different += second[m] != batch[(128 + m) * T + 20];
  }
  CHECK(different == 0);
}

TEST_CASE("cuda mel_stft: NaN and infinity touch their frames only, denormal power has its logarithm",
          "[cuda][mel_stft]") {
  const FreshRuntime fresh;
  const CudaContext context;
  const MelTables tables;
  std::vector<float> x = noise(9600);
  Buffer<float> loud({1, 128, 20});
  const DevicePcm whole(x);
  run("fft", {.pcm = whole.f32({1, 9600})}, tables, context, loud);

  const float factor = 0x1p-66F;
  std::vector<float> scaled = x;
  for (float& v : scaled) v *= factor;
  Buffer<float> quiet({1, 128, 20});
  const DevicePcm faint(scaled);
  run("fft", {.pcm = faint.f32({1, 9600})}, tables, context, quiet);
  double worst = 0;
  for (std::int64_t i = 0; i < quiet.size(); ++i)
    worst =
        std::max(worst, std::abs(static_cast<double>(quiet[i] - loud[i]) - 2 * std::log(static_cast<double>(factor))));
  CHECK(worst < 0.05);  // denormals have few bits

  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    x[4800] = value;
    const DevicePcm pcm(x);
    Buffer<float> out({1, 128, 20});
    run("fft", {.pcm = pcm.f32({1, 9600})}, tables, context, out);
    for (std::int64_t t = 0; t < 20; ++t) CHECK(std::isfinite(out[t]) == (t < 9 || t > 11));
  }
}

TEST_CASE("cuda mel_stft: signals cut from a pool", "[cuda][mel_stft]") {
  const FreshRuntime fresh;
  constexpr std::int64_t kPool = 2100;
  constexpr std::int64_t kFrames = 2;
  // Both ends, an odd start, overlap, frames of the middle, the shortest signal that has the frames; and what no pool
  // has.
  const std::vector<MelCrop> crops = {{0, 700, 0},  {701, 900, 1},     {500, 700, 0},      {1301, 799, 0}, {1, 340, 0},
                                      {-1, 700, 0}, {1401, 700, 0},    {0, 1, 0},          {2101, 0, 0},   {0, 700, 2},
                                      {0, 700, -1}, {4, INT64_MAX, 0}, {0, 700, INT64_MAX}};
  constexpr std::size_t kGood = 5;
  const std::vector<float> x = noise(kPool);
  std::vector<std::int16_t> integers;
  for (const float v : x) integers.push_back(static_cast<std::int16_t>(std::lround(v * 32767)));
  std::vector<float> rounded;
  for (const std::int16_t v : integers) rounded.push_back(static_cast<float>(v) * 0x1p-15F);

  for (const MelParameters& p :
       {few_mels(),
        MelParameters{.sample_rate = 8000, .window = 900, .hop = 333, .mels = 3, .f_min = 100, .f_max = 400}}) {
    std::vector<double> expected;
    for (std::size_t n = 0; n < kGood; ++n) {
      const auto first = rounded.begin() + crops[n].begin;
      const std::vector<float> item(first, first + crops[n].samples);
      const std::vector<double> log = ref::mel_log(ref::mel_power(doubles(item), p, crops[n].first_frame, kFrames), p);
      expected.insert(expected.end(), log.begin(), log.end());
    }
    for_each_schedule([&] {
      const CudaContext context;
      const MelTables tables(p);
      const DevicePcm pcm16(integers);
      const DevicePcm pcm32(rounded);
      DeviceBuffer<MelCrop> device_crops(static_cast<std::int64_t>(crops.size()));
      device_crops.upload(crops);
      const auto N = static_cast<std::int64_t>(crops.size());
      for (const char* kernel : {"fft", "simple"}) {
        for (const bool floats : {true, false}) {
          Buffer<float> out({N, p.mels, kFrames});
          run(kernel,
              {.pcm = floats ? PcmView(pcm32.f32({kPool})) : PcmView(pcm16.i16({kPool})),
               .crops = View<const MelCrop>(device_crops.data(), {N}),
               .out = {}},
              tables, context, out);
          const std::int64_t good = kGood * p.mels * kFrames;
          check_close(concat(kernel, floats ? ", float" : ", int16"), View<const float>(out.view().data, {good}),
                      view_of(expected), 1e-4, 0);
          for (std::int64_t i = good; i < out.size(); ++i) REQUIRE(std::isnan(out[i]));
        }
      }
    });
  }
}

TEST_CASE("cuda mel_stft: mix-up in the pass that normalises", "[cuda][mel_stft]") {
  const FreshRuntime fresh;
  const std::int64_t N = 4;
  const std::int64_t M = 5;
  const std::int64_t T = 41;
  const MelParameters p;
  Buffer<float> x({N, M, T, 1});
  x.fill_uniform("mixed rows", -20, 5);
  Buffer<float> means({N, M});
  Buffer<float> stds({N, M});
  means.fill_uniform("means", -10, 0);
  stds.fill_uniform("stds", 0.5, 3);  // values up to 30, whose last digit is 1.9e-6
  const std::vector<std::int64_t> partners = {2, 1, 0, 2};
  const CpuContext cpu;
  for (const bool own : {true, false}) {
    Buffer<float> expected({N, M, T, 1});
    mel_normalize_mixup({.x = x.view(),
                         .mean = own ? View<const float>() : View<const float>(means.view()),
                         .std = own ? View<const float>() : View<const float>(stds.view()),
                         .perm = view_of(partners),
                         .lam = 0.7,
                         .y = expected.view()},
                        p, cpu);
    for_each_schedule([&] {
      const CudaContext context;
      const OnDevice device(x.view());
      const OnDevice device_means(means.view());
      const OnDevice device_stds(stds.view());
      DeviceBuffer<std::int64_t> perm(N);
      Buffer<float> y({N, M, T, 1});
      const auto mix = [&](const std::vector<std::int64_t>& with) {
        perm.upload(with);
        const OnDevice device_y(y.view());
        mel_normalize_mixup({.x = device.view(),
                             .mean = own ? View<const float>() : View<const float>(device_means.view()),
                             .std = own ? View<const float>() : View<const float>(device_stds.view()),
                             .perm = View<const std::int64_t>(perm.data(), {N}),
                             .lam = 0.7,
                             .y = device_y.view()},
                            p, context);
        device_y.download(y.view());
      };
      mix(partners);
      check_close(own ? "own" : "given", y.view(), expected.view(), 2e-6, 0);  // a fused multiply-add or none
      mix({0, -1, 4, 3});
      for (std::int64_t n = 0; n < N; ++n) {
        for (std::int64_t i = 0; i < M * T; ++i) REQUIRE(std::isnan(y[n * M * T + i]) == (n == 1 || n == 2));
      }
    });
  }
}

TEST_CASE("cuda mel_stft: statistics and normalisation of rows", "[cuda][mel_stft]") {
  const FreshRuntime fresh;
  const std::int64_t M = 9;  // more than the warps of a block
  const std::int64_t T = 75;
  const MelParameters p;
  Buffer<float> x({M, T});
  x.fill_uniform("mel rows", -3, 1);
  for (std::int64_t t = 0; t < T; ++t) x[2 * T + t] = -1000 + x[2 * T + t] * 1e-3F;  // large mean, small deviation
  for (std::int64_t t = 0; t < T; ++t) x[3 * T + t] = -16.118F;                      // constant: the floor
  std::vector<double> expected(x.view().data, x.view().data + M * T);
  ref::mel_normalize(expected, M, p.std_floor);
  const CpuContext cpu;
  Buffer<float> mean({M});
  Buffer<float> std({M});
  mel_statistics({.x = x.view(), .mean = mean.view(), .std = std.view()}, cpu);

  for_each_schedule([&] {
    const CudaContext context;
    const OnDevice rows(x.view());
    Buffer<float> m({M});
    Buffer<float> s({M});
    const OnDevice device_mean(m.view());
    const OnDevice device_std(s.view());
    mel_statistics({.x = rows.view(), .mean = device_mean.view(), .std = device_std.view()}, context);
    device_mean.download(m.view());
    device_std.download(s.view());
    // Sums in double: what is left is the rounding of the results.
    check_close("mean", m.view(), mean.view(), 0, 1.2e-7);
    check_close("std", s.view(), std.view(), 1e-12, 1.2e-7);

    Buffer<float> y({M, T});
    mel_normalize({.x = rows.view(), .mean = {}, .std = {}}, p, context);
    rows.download(y.view());
    check_close("own", y.view(), view_of(expected), 1e-6, 1e-6);

    // Given ones: shared by the items, or an item's own; as the CPU.
    Buffer<float> given({2, M, T, 1});
    given.fill_uniform("items", -30, 10);
    Buffer<float> means({2, M});
    Buffer<float> stds({2, M});
    means.fill_uniform("means");
    stds.fill_uniform("stds", -1e-3, 4e-3);  // around the floor
    const OnDevice device_means(means.view());
    const OnDevice device_stds(stds.view());
    for (const bool shared : {true, false}) {
      const auto part = [shared](View<const float> all) {
        return shared ? View<const float>(all.data, {all.dim(1)}) : all;
      };
      Buffer<float> actual({2, M, T, 1});
      Buffer<float> wanted({2, M, T, 1});
      std::copy_n(given.view().data, given.size(), wanted.view().data);
      const OnDevice device(given.view());
      mel_normalize({.x = device.view(), .mean = part(device_means.view()), .std = part(device_stds.view())}, p,
                    context);
      mel_normalize({.x = wanted.view(), .mean = part(means.view()), .std = part(stds.view())}, p, cpu);
      device.download(actual.view());
      check_close("given", actual.view(), wanted.view(), 0, 1.2e-7);
    }

    // One frame has deviation 0.
    Buffer<float> one({M, 1});
    one.fill_uniform("one frame");
    const OnDevice device_one(one.view());
    mel_normalize({.x = device_one.view(), .mean = {}, .std = {}}, p, context);
    device_one.download(one.view());
    for (std::int64_t row = 0; row < M; ++row) CHECK(one[row] == 0);
  });
}

TEST_CASE("cuda mel_stft: one copy of the tables serves all who share them", "[cuda][mel_stft]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  DeviceArena arena(kGpu, stream.handle());
  const Context context{.device = kGpu, .stream = stream.handle(), .allocator = &arena};
  {
    const MelTables tables(other_parameters());
    const MelTables copy = tables;
    const DevicePcm pcm(noise(100));
    Buffer<float> out({13, 3});
    const OnDevice device(out.view());
    CHECK(arena.statistics().bytes_in_use == 0);
    mel_forward({.pcm = pcm.f32({100}), .out = device.view()}, tables, context);
    const std::size_t in_use = arena.statistics().bytes_in_use;
    CHECK(in_use > 0);
    mel_forward({.pcm = pcm.f32({100}), .out = device.view()}, copy, context);
    CHECK(arena.statistics().bytes_in_use == in_use);
    DeviceArena other(kGpu, stream.handle());
    const MelTables elsewhere(other_parameters());
    mel_forward({.pcm = pcm.f32({100}), .out = device.view()}, elsewhere,
                {.device = kGpu, .stream = stream.handle(), .allocator = &other});
    CHECK(arena.statistics().bytes_in_use == in_use);
    CHECK(other.statistics().bytes_in_use == in_use);
    stream.synchronize();
  }
  CHECK(arena.statistics().bytes_in_use == 0);
}

TEST_CASE("cuda mel_stft: nothing to do, and wrong arguments", "[cuda][mel_stft]") {
  const FreshRuntime fresh;
  const CudaContext context;
  const MelTables tables;
  const DevicePcm pcm(noise(960));
  Buffer<float> out({128, 2});
  const OnDevice device(out.view());
  float* const p = device.view().data;
  CHECK_NOTHROW(
      mel_forward({.pcm = pcm.f32({960}), .first_frame = 2, .out = View<float>(p, {128, 0})}, tables, context));
  CHECK_NOTHROW(mel_batch_forward({.pcm = pcm.f32({0, 960}), .out = View<float>(p, {0, 128, 2})}, tables, context));
  CHECK_NOTHROW(mel_normalize({.x = View<float>(p, {0, 128, 2}), .mean = {}, .std = {}}, {}, context));
  CHECK_NOTHROW(mel_repeat({.x = View<const float>(p, {128, 0}), .y = View<float>(p, {128, 0})}, context));
  CHECK_THROWS_WITH(mel_forward({.pcm = pcm.f32({1}), .out = device.view()}, tables, context),
                    "mel_forward: pcm has 1 samples; a frame needs at least 2");
  CHECK_THROWS_WITH(mel_forward({.pcm = pcm.f32({960}), .first_frame = 1, .out = device.view()}, tables, context),
                    "mel_forward: frames 1 .. 3 of 2 (960 samples)");
  CHECK_THROWS_WITH(mel_batch_forward({.pcm = pcm.f32({3, 320}), .out = View<float>(p, {2, 128, 1})}, tables, context),
                    "mel_batch_forward: out has shape [2,128,1], expected [3,128,1]");
  CHECK_THROWS_WITH(
      mel_forward({.pcm = pcm.f32({960}), .right = EdgeRule::kNeighbour, .out = View<float>(p, {128, 2})}, tables,
                  context),
      "mel_forward: frame 1 reaches beyond the right end of the pcm (960 samples), which is not an end of the signal");
  CHECK_THROWS_WITH(
      mel_statistics({.x = device.view(), .mean = View<float>(p, {128}), .std = View<float>(p, {127})}, context),
      "mel_statistics: std has shape [127], expected [128]");
  CHECK_THROWS_AS(mel_normalize({.x = device.view(), .mean = View<const float>(p, {128}), .std = {}}, {}, context),
                  Error);
  CHECK_THROWS_AS(mel_repeat({.x = View<const float>(p, {128, 0}), .y = device.view()}, context), Error);
  const MelCrop crop;  // never looked at
  CHECK_THROWS_WITH(mel_batch_forward({.pcm = pcm.f32({1, 960}), .crops = View<const MelCrop>(&crop, {1}), .out = {}},
                                      tables, context),
                    "mel_batch_forward: a pool of pcm has 2 axes, expected [P]");
  CHECK_THROWS_WITH(
      mel_batch_forward(
          {.pcm = pcm.f32({960}), .crops = View<const MelCrop>(&crop, {1}), .out = View<float>(p, {2, 128, 1})}, tables,
          context),
      "mel_batch_forward: out has shape [2,128,1], expected [1,128,1]");
  CHECK_THROWS_WITH(
      mel_normalize_mixup(
          {.x = View<const float>(p, {1, 128, 2}), .mean = {}, .std = {}, .perm = {}, .y = View<float>(p, {1, 128, 2})},
          {}, context),
      Catch::Contains("mel_normalize_mixup: perm"));
}

TEST_CASE("cuda mel_stft: no two lanes of an access share a bank", "[cuda][mel_stft]") {
  // Words of 4 bytes: one bank each of 32. Pairs go in two halves of the warp.
  const auto banks = [](auto address, int lanes, int words) {
    std::set<int> used;
    for (int lane = 0; lane < lanes; ++lane)
      for (int word = 0; word < words; ++word) used.insert((address(lane) + word) % 32);
    return static_cast<int>(used.size());
  };
  for (const int j : {0, 7, 15}) {
    for (const int half : {0, 16})
      CHECK(banks([&](int lane) { return cuda::mel_sample_address(half + lane, j); }, 16, 2) == 32);
  }
  for (int i = 0; i < 32; ++i) {
    CHECK(banks([&](int lane) { return cuda::mel_exchange_address(lane, i); }, 32, 1) == 32);
    CHECK(banks([&](int lane) { return cuda::mel_exchange_address(i, lane); }, 32, 1) == 32);
  }
  for (const int bin : {0, 1, 517})
    CHECK(banks([&](int lane) { return cuda::mel_power_address(lane, bin); }, 32, 1) == 32);
}

}  // namespace dcase::test
