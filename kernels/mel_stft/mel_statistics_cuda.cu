#include "kernels/common/launch.hpp"
#include "kernels/mel_stft/mel_statistics_kernels.cuh"
#include "kernels/mel_stft/mel_stft.hpp"

namespace dcase::cuda {
namespace {

// A warp a row.
Launch launch_over(const char* op, std::int64_t rows, const Context& context) {
  constexpr std::int64_t kRows = kRowThreads / 32;
  DCASE_CHECK(rows <= kRows * 2147483647, op, ": ", rows, " rows are too many");
  return {.grid = static_cast<unsigned>((rows + kRows - 1) / kRows),
          .block = kRowThreads,
          .stream = context.stream,
          .name = op};
}

}  // namespace

void mel_statistics(const MelStatistics& a, const Context& context) {
  check(a);
  const std::int64_t M = a.x.dim(0);
  if (M == 0) return;
  launch(mel_statistics_kernel, launch_over("mel_statistics", M, context), a.x.data, a.mean.data, a.std.data, M,
         a.x.dim(1));
}

void mel_normalize(const MelNormalize& a, const MelParameters& parameters, const Context& context) {
  const MelRows r = check(a);
  if (r.rows * r.frames == 0) return;
  launch(mel_normalize_kernel, launch_over("mel_normalize", r.rows, context), a.x.data, r.rows, r.frames,
         RowStatistics{a.mean.data, a.std.data, r.given, parameters.std_floor});
}

void mel_normalize_mixup(const MelNormalizeMixup& a, const MelParameters& parameters, const Context& context) {
  const MelRows r = check(a);
  if (r.rows * r.frames == 0) return;
  launch(mel_normalize_mixup_kernel, launch_over("mel_normalize_mixup", r.rows, context), a.x.data, a.perm.data,
         a.y.data, r.rows, a.x.dim(1), r.frames, RowStatistics{a.mean.data, a.std.data, r.given, parameters.std_floor},
         static_cast<float>(a.lam), static_cast<float>(1 - a.lam));
}

void mel_repeat(const MelRepeat& a, const Context& context) {
  check(a);
  if (a.y.size() == 0) return;
  launch(mel_repeat_kernel, launch_over("mel_repeat", a.x.dim(0), context), a.x.data, a.y.data, a.x.dim(0), a.x.dim(1),
         a.y.dim(1));
}

}  // namespace dcase::cuda
