#pragma once
// Two rungs. resample_simple_kernel takes any filter that has a table. resample_tile_kernel is for filters whose
// periods are short enough for shared memory: 44.1, 22.05, 48, 32, 16 and 8 kHz to 24 kHz among them.

#include "kernels/common/ptx.cuh"
#include "kernels/resample/resample_tile.cuh"

namespace dcase::cuda {

struct ResampleArguments {
  const float* x;  // [N,S]
  float* y;        // [N,S']
  std::int64_t items;
  std::int64_t samples;  // S
  std::int64_t outputs;  // S'
};

/// The filter as it is: output m has phase m mod up, whose taps begin at m / up * down + first[phase].
struct ResampleTable {
  const float* weights;       // [up,taps]
  const std::int32_t* first;  // [up]
  std::int64_t up, down;
  int taps;
};

inline constexpr int kResampleSimpleThreads = 256;

/// A thread computes one output. Neighbouring threads read other rows of the table: bound by the first-level cache.
__global__ void __launch_bounds__(kResampleSimpleThreads)
    resample_simple_kernel(ResampleArguments g, ResampleTable table) {
  const std::int64_t at = std::int64_t{blockIdx.x} * kResampleSimpleThreads + threadIdx.x;
  if (at >= g.items * g.outputs) return;
  const std::int64_t m = at % g.outputs;
  const float* const x = g.x + at / g.outputs * g.samples;
  const float* const weights = table.weights + m % table.up * table.taps;
  const std::int64_t first = m / table.up * table.down + table.first[m % table.up];
  float sum = 0;
  for (int k = 0; k < table.taps; ++k) {
    const std::int64_t n = first + k;
    if (n >= 0 && n < g.samples) sum = fmaf(weights[k], x[n], sum);
  }
  g.y[at] = sum;
}

/// Phases in groups of four. The taps of a group stand on one window, which begins at the first of the first phase and
/// is as long as the widest group needs; where a phase has no tap the weight is zero. A period is that of the filter or
/// an odd multiple of it, so that it has some groups.
struct ResampleTiles {
  const float4* weights;      // [groups,window], four phases each
  const std::int32_t* first;  // [groups]
  int groups, window;
  int up, down;  // outputs and inputs of a period
  int samples;   // inputs of 64 periods and the filter's length
};

/// A block computes 64 periods of an item: their inputs are copied to shared memory, all at once, a warp takes a group
/// of phases with periods as lanes, and the outputs leave through shared memory in one stretch. A read of x serves four
/// outputs, a broadcast of four weights eight; lanes read with the stride `down`, which is odd from 44.1 and 22.05 kHz
/// and free of bank conflicts then (from 48 kHz two lanes share a bank). Global memory is read once, up to the filter's
/// length at tile edges, and written once: what bounds it with 24 taps, next to shared memory. The simple kernel reads
/// x and a weight for each product.
__global__ void __launch_bounds__(kTileThreads) resample_tile_kernel(ResampleArguments g, ResampleTiles tiles) {
  SharedCarver carve;
  float* const x = carve.take<float>(static_cast<std::size_t>(tiles.samples));
  float* const y = carve.take<float>(static_cast<std::size_t>(resample_output_address(kTilePeriods, 0, tiles.up)));
  constexpr int kWarps = kTileThreads / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const std::int64_t span = std::int64_t{kTilePeriods} * tiles.up;  // outputs of a block
  const std::int64_t blocks = (g.outputs + span - 1) / span;        // of an item
  const std::int64_t item = blockIdx.x / blocks;
  const std::int64_t period = blockIdx.x % blocks * kTilePeriods;

  const float* const in = g.x + item * g.samples;
  const std::int64_t begin = period * tiles.down + tiles.first[0];
  for (int i = static_cast<int>(threadIdx.x); i < tiles.samples; i += kTileThreads) {
    const std::int64_t n = begin + i;
    const bool inside = n >= 0 && n < g.samples;
    copy_async_4(x + i, inside ? in + n : in, inside ? 4U : 0U);  // zeros outside the signal
  }
  copy_async_commit();
  copy_async_wait<0>();
  __syncthreads();  // the inputs are there

  for (int group = warp; group < tiles.groups; group += kWarps) {
    const float4* const weights = tiles.weights + group * tiles.window;
    const float* const low = x + resample_input_address(lane, tiles.down) + tiles.first[group] - tiles.first[0];
    const float* const high = low + resample_input_address(32, tiles.down);
    float sums[2][kTileGroup] = {};
    for (int k = 0; k < tiles.window; ++k) {
      const float4 w = weights[k];
      const float values[2] = {low[k], high[k]};
      DCASE_UNROLL for (int r = 0; r < 2; ++r) {
        sums[r][0] = fmaf(w.x, values[r], sums[r][0]);
        sums[r][1] = fmaf(w.y, values[r], sums[r][1]);
        sums[r][2] = fmaf(w.z, values[r], sums[r][2]);
        sums[r][3] = fmaf(w.w, values[r], sums[r][3]);
      }
    }
    DCASE_UNROLL for (int r = 0; r < 2; ++r) {
      DCASE_UNROLL for (int p = 0; p < kTileGroup; ++p) {
        const int phase = kTileGroup * group + p;
        if (phase < tiles.up) y[resample_output_address(lane + 32 * r, phase, tiles.up)] = sums[r][p];
      }
    }
  }
  __syncthreads();  // the outputs are there

  float* const out = g.y + item * g.outputs;
  for (int row = warp; row < kTilePeriods; row += kWarps) {
    const std::int64_t first = (period + row) * tiles.up;
    for (int phase = lane; phase < tiles.up && first + phase < g.outputs; phase += 32) {
      out[first + phase] = y[resample_output_address(row, phase, tiles.up)];
    }
  }
}

}  // namespace dcase::cuda
