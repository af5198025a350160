#pragma once
/// Log-mel front end: PCM -> mel spectrogram, its statistics over time, and normalisation.
///
///   y[n]   = x[n+1] - preemphasis * x[n]                                n = 0 .. S-2
///   X[f,k] = sum_j window[j] * y[f*hop - window/2 + j] * exp(-2 pi i k (j + (n_fft-window)/2) / n_fft)
///   P[m,f] = sum_k filter[m,k] * |X[f,k]|^2
///   out    = ln(P), with P == 0 replaced by zero_floor
///
/// Frame f is centred on y[f*hop]; the window (periodic Hamming, shorter than n_fft) is padded with zeros to n_fft. The
/// filters are triangles on the linear frequency axis with corners spaced evenly on the HTK mel scale
/// 2595 log10(1 + f/700), without area normalisation. A signal of S samples has 1 + (S-1)/hop frames.
///
/// The batch axis is N, M are mel rows, T frames, S samples. `out` is [M,T] (frames fastest), which as [N,M,T,1] is the
/// input of the models. A double version in plain loops stands in mel_stft_ref.hpp.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/common/context.hpp"
#include "kernels/common/variant.hpp"
#include "kernels/common/view.hpp"
#include "kernels/mel_stft/mel_crop.hpp"
#include "kernels/mel_stft/mel_filter.hpp"

namespace dcase {

/// The defaults are those of the three models; other values give other features.
struct MelParameters {
  int sample_rate = 24000;
  int n_fft = 2048;  // a power of two, 64 .. 65536
  int window = 960;  // even, at most n_fft
  int hop = 480;
  int mels = 128;
  double f_min = 0;
  double f_max = 12000;  // at most sample_rate / 2
  double preemphasis = 0.97;
  double zero_floor = 1e-7;  // stands for a mel power of exactly 0 before the logarithm
  double std_floor = 1e-3;   // smallest divisor of the normalisation

  friend bool operator==(const MelParameters&, const MelParameters&) = default;
};

/// Largest sample that is taken for sound, 120 dB above full scale: the power of a frame of such samples is far from
/// overflowing. Readers and sessions refuse louder ones.
inline constexpr float kLoudestPcm = 1e6F;

/// Throws Error(kArgument) naming the first field that is out of range.
void validate(const MelParameters& parameters);

/// Frames of a signal of `samples` samples: 1 + (samples-1)/hop, and 0 for fewer than two samples.
[[nodiscard]] std::int64_t mel_frames(std::int64_t samples, const MelParameters& parameters = {});

/// Frames after doubling `frames` in time until there are at least `at_least` (60 for 15 and 40).
[[nodiscard]] std::int64_t doubled_frames(std::int64_t frames, std::int64_t at_least);

namespace cpu {
struct MelPlan;  // tables of the fast path, in the layout it wants
}

/// Window, filter bank and twiddle factors, built once in double. Immutable, cheap to copy, shared between threads.
///
/// On a GPU the first use with an allocator also puts a copy into its memory, in the context's stream. All copies of
/// the object share it and keep it, so the allocators of their contexts outlive them.
class MelTables {
 public:
  explicit MelTables(const MelParameters& parameters = {});

  [[nodiscard]] const MelParameters& parameters() const;
  [[nodiscard]] std::span<const double> window() const;      // [window]
  [[nodiscard]] std::span<const MelFilter> filters() const;  // [mels]
  [[nodiscard]] std::span<const double> weights() const;     // all non-zero weights, row after row
  [[nodiscard]] const cpu::MelPlan& plan() const { return *plan_; }

 private:
  std::shared_ptr<const cpu::MelPlan> plan_;
};

/// Samples in float, or in 16 bits with the factor that makes them float (a power of two: the product is exact).
/// Exactly one of the two views is present.
struct PcmView {
  PcmView() = default;
  PcmView(View<const float> samples) : f32(samples) {}  // NOLINT(google-explicit-constructor)
  explicit PcmView(View<const std::int16_t> samples, float factor = 0x1p-15F) : i16(samples), scale(factor) {}

  [[nodiscard]] int rank() const { return f32.present() ? f32.rank : i16.rank; }
  [[nodiscard]] std::int64_t dim(int axis) const { return f32.present() ? f32.dim(axis) : i16.dim(axis); }

  View<const float> f32;
  View<const std::int16_t> i16;
  float scale = 1;
};

/// What stands beyond an end of the PCM.
enum class EdgeRule : std::uint8_t {
  kReflect,    ///< the signal ends here: y is mirrored about its first or last sample (again and again where it is
               ///< shorter than half a window, so that any S >= 2 has a result; y of one sample is constant)
  kNeighbour,  ///< the signal goes on: a frame that reaches beyond this end is an error
};

/// out[m,t] = log-mel (or mel power) of frame first_frame + t
///
/// Frames count from pcm[0]; a part of a recording gives the recording's own frames when it starts at a multiple of
/// hop. Frame f reads pcm[f*hop - window/2] .. pcm[f*hop + window/2], both included. Throws kArgument for S < 2, for
/// frames the signal does not have, and for frames that need samples beyond a kNeighbour end.
struct MelForward {
  PcmView pcm;  // [S]
  std::int64_t first_frame = 0;
  EdgeRule left = EdgeRule::kReflect;
  EdgeRule right = EdgeRule::kReflect;
  bool log = true;  // false: mel power, for inspection
  View<float> out;  // [M,T], overwritten
};

/// The same for N items, of equal length or cut from a pool. `crops` is in memory of context.device, as all views.
/// Error(kArgument) on the CPU for a crop that the pool does not have, or frames that it has not; CUDA cannot look at
/// crops before it starts: the item becomes NaN.
struct MelBatchForward {
  PcmView pcm;                // [N,S], or the pool [P]
  View<const MelCrop> crops;  // absent, or [N]; first_frame, left and right are not used then
  std::int64_t first_frame = 0;
  EdgeRule left = EdgeRule::kReflect;
  EdgeRule right = EdgeRule::kReflect;
  bool log = true;
  View<float> out;  // [N,M,T] or [N,M,T,1], overwritten
};

/// mean[m], std[m] (unbiased) of row m over time. Two passes in double; std is not clamped, and 0 for T = 1.
struct MelStatistics {
  View<const float> x;  // [M,T]
  View<float> mean;     // [M], overwritten
  View<float> std;      // [M], overwritten
};

/// x[n,m,t] = (x[n,m,t] - mean[n,m]) / max(std[n,m], std_floor)   in place
/// Without `mean` and `std` each row of each item is normalised by its own statistics.
struct MelNormalize {
  View<float> x;           // [M,T], [N,M,T] or [N,M,T,1]
  View<const float> mean;  // absent, or [M] or [N,M]
  View<const float> std;   // present if `mean` is
};

/// y[n] = lam * x'[n] + (1 - lam) * x'[perm[n]], where x' is what MelNormalize makes of x: mix-up of normalised items
/// in the pass that normalises them, which the statistics over time keep apart from the pass of MelBatchForward. `perm`
/// as in kernels/mixup.
struct MelNormalizeMixup {
  View<const float> x;            // [N,M,T] or [N,M,T,1]
  View<const float> mean;         // absent, or [M] or [N,M]
  View<const float> std;          // present if `mean` is
  View<const std::int64_t> perm;  // [N]
  double lam = 1;
  View<float> y;  // as x, overwritten; overlaps x in nothing
};

/// y[m,t] = x[m, t mod T]: a short spectrogram repeated in time, y having doubled_frames(T, 40) columns for the tagging
/// rule. Repeating the logarithm is the same as the logarithm of the repeated power.
struct MelRepeat {
  View<const float> x;  // [M,T]
  View<float> y;        // [M,T2], overwritten
};

/// Statistics of a recording that comes in blocks of frames; any length in constant memory.
/// One block gives what MelStatistics gives.
class MelMoments {
 public:
  explicit MelMoments(int mels) : mean_(static_cast<std::size_t>(mels)), squares_(static_cast<std::size_t>(mels)) {}
  void add(View<const float> x);  // [M,T]
  [[nodiscard]] std::int64_t frames() const { return frames_; }
  void result(View<float> mean, View<float> std) const;  // [M] each, overwritten

 private:
  std::int64_t frames_ = 0;
  std::vector<double> mean_;     // [M]
  std::vector<double> squares_;  // [M] sum of squared deviations from mean_
};

/// Throw Error(kArgument) where a call breaks the contract.
void check(const MelForward& a, const MelParameters& p);
void check(const MelBatchForward& a, const MelParameters& p);
void check(const MelStatistics& a);
void check(const MelRepeat& a);
/// What a normalisation goes over: row r has the statistics r mod `given`, or its own where that is 0.
struct MelRows {
  std::int64_t rows = 0;
  std::int64_t frames = 0;
  std::int64_t given = 0;
};
[[nodiscard]] MelRows check(const MelNormalize& a);
[[nodiscard]] MelRows check(const MelNormalizeMixup& a);

/// Results do not depend on the number of threads, on the batch around an item, or on which frames are asked for.
namespace cpu {
void mel_forward(std::span<const MelForward> items, const MelTables& tables, const Context& context);
void mel_batch_forward(const MelBatchForward& a, const MelTables& tables, const Context& context);
void mel_statistics(const MelStatistics& a, const Context& context);
void mel_normalize(const MelNormalize& a, const MelParameters& parameters, const Context& context);
void mel_normalize_mixup(const MelNormalizeMixup& a, const MelParameters& parameters, const Context& context);
void mel_repeat(const MelRepeat& a, const Context& context);
}  // namespace cpu

/// The same on a GPU; PCM, outputs and statistics are in its memory. Everything is put into the context's stream,
/// nothing is waited for.
namespace cuda {
void mel_forward(std::span<const MelForward> items, const MelTables& tables, const Context& context);
void mel_batch_forward(const MelBatchForward& a, const MelTables& tables, const Context& context);
void mel_statistics(const MelStatistics& a, const Context& context);
void mel_normalize(const MelNormalize& a, const MelParameters& parameters, const Context& context);
void mel_normalize_mixup(const MelNormalizeMixup& a, const MelParameters& parameters, const Context& context);
void mel_repeat(const MelRepeat& a, const Context& context);

/// A batch with its tables, by which its kernel is chosen.
struct MelBatch {
  const MelBatchForward& args;
  const MelTables& tables;
};
[[nodiscard]] std::span<const Variant<MelBatch>> mel_batch_variants();
}  // namespace cuda

/// One item. Runs on context.device.
inline void mel_forward(const MelForward& a, const MelTables& tables, const Context& context) {
  if constexpr (kHasCuda) {
    if (!context.device.is_cpu()) return cuda::mel_forward(std::span<const MelForward>(&a, 1), tables, context);
  }
  require_cpu(context, "mel_forward");
  cpu::mel_forward(std::span<const MelForward>(&a, 1), tables, context);
}
/// Items of any lengths, in parallel over items and blocks of frames.
inline void mel_forward(std::span<const MelForward> items, const MelTables& tables, const Context& context) {
  if constexpr (kHasCuda) {
    if (!context.device.is_cpu()) return cuda::mel_forward(items, tables, context);
  }
  require_cpu(context, "mel_forward");
  cpu::mel_forward(items, tables, context);
}
inline void mel_batch_forward(const MelBatchForward& a, const MelTables& tables, const Context& context) {
  if constexpr (kHasCuda) {
    if (!context.device.is_cpu()) return cuda::mel_batch_forward(a, tables, context);
  }
  require_cpu(context, "mel_batch_forward");
  cpu::mel_batch_forward(a, tables, context);
}
inline void mel_statistics(const MelStatistics& a, const Context& context) {
  if constexpr (kHasCuda) {
    if (!context.device.is_cpu()) return cuda::mel_statistics(a, context);
  }
  require_cpu(context, "mel_statistics");
  cpu::mel_statistics(a, context);
}
inline void mel_normalize(const MelNormalize& a, const MelParameters& parameters, const Context& context) {
  if constexpr (kHasCuda) {
    if (!context.device.is_cpu()) return cuda::mel_normalize(a, parameters, context);
  }
  require_cpu(context, "mel_normalize");
  cpu::mel_normalize(a, parameters, context);
}
inline void mel_normalize_mixup(const MelNormalizeMixup& a, const MelParameters& parameters, const Context& context) {
  if constexpr (kHasCuda) {
    if (!context.device.is_cpu()) return cuda::mel_normalize_mixup(a, parameters, context);
  }
  require_cpu(context, "mel_normalize_mixup");
  cpu::mel_normalize_mixup(a, parameters, context);
}
inline void mel_repeat(const MelRepeat& a, const Context& context) {
  if constexpr (kHasCuda) {
    if (!context.device.is_cpu()) return cuda::mel_repeat(a, context);
  }
  require_cpu(context, "mel_repeat");
  cpu::mel_repeat(a, context);
}

}  // namespace dcase
