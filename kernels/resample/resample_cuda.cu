#include <algorithm>
#include <cstddef>
#include <limits>
#include <span>
#include <vector>

#include "kernels/common/launch.hpp"
#include "kernels/resample/resample.hpp"
#include "kernels/resample/resample_kernels.cuh"

namespace dcase::cuda {
namespace {

constexpr std::int64_t kFewestPhases = 32;        // of a period: eight groups, two for each warp
constexpr std::int64_t kSharedLimit = 96 * 1024;  // bytes that a block may have on every device since sm_80

std::int64_t shared_bytes(const ResampleTiles& tiles) {
  const std::int64_t inputs = (tiles.samples + 3) / 4 * 4;
  return (inputs + resample_output_address(kTilePeriods, 0, tiles.up)) * static_cast<std::int64_t>(sizeof(float));
}

// The tiles of a filter, without their arrays. There are no groups where a block has not enough shared memory.
ResampleTiles tiles_of(const ResampleFilter& filter) {
  std::int64_t multiple = (kFewestPhases + filter.up() - 1) / filter.up();
  multiple += 1 - multiple % 2;  // an odd multiple keeps an odd `down` odd
  const std::int64_t up = multiple * filter.up();
  const std::int64_t down = multiple * filter.down();
  if (std::max(up, down) > kSharedLimit) return {};
  std::int64_t widest = 0;
  for (std::int64_t phase = 0; phase < up; phase += kTileGroup) {
    const std::int64_t last = std::min(phase + kTileGroup, up) - 1;
    widest = std::max(widest, filter.first_input(last) - filter.first_input(phase));
  }
  ResampleTiles tiles = {};
  tiles.groups = static_cast<int>((up + kTileGroup - 1) / kTileGroup);
  tiles.window = static_cast<int>(widest) + filter.taps();
  tiles.up = static_cast<int>(up);
  tiles.down = static_cast<int>(down);
  const std::int64_t reach = filter.first_input((tiles.groups - 1) * kTileGroup) - filter.first_input(0);
  tiles.samples = (kTilePeriods - 1) * tiles.down + static_cast<int>(reach) + tiles.window;
  return shared_bytes(tiles) <= kSharedLimit ? tiles : ResampleTiles{};
}

struct DeviceFilter {
  ResampleTable table;
  ResampleTiles tiles;
};

// The filter in the memory of the context's device; the first use there copies it, in one block.
DeviceFilter device_filter(const ResampleFilter& filter, const Context& context) {
  ResampleTiles tiles = tiles_of(filter);
  const std::int64_t up = filter.up();
  const int taps = filter.taps();
  std::size_t bytes = 0;
  const auto reserve = [&bytes](std::int64_t size) {
    const std::size_t at = bytes;
    bytes += static_cast<std::size_t>((size + 15) / 16 * 16);
    return at;
  };
  const std::size_t weights = reserve(up * taps * std::int64_t{sizeof(float)});
  const std::size_t first = reserve(up * std::int64_t{sizeof(std::int32_t)});
  const std::size_t tile_weights = reserve(std::int64_t{tiles.groups} * tiles.window * std::int64_t{sizeof(float4)});
  const std::size_t tile_first = reserve(tiles.groups * std::int64_t{sizeof(std::int32_t)});

  const std::byte* const block =
      filter.device_copies().get(static_cast<std::int64_t>(bytes), context, [&](std::byte* device) {
        std::vector<std::byte> host(bytes);
        const auto put = [&host](std::size_t at, const auto& values) {
          const auto from = std::as_bytes(std::span(values));
          std::copy(from.begin(), from.end(), host.begin() + static_cast<std::ptrdiff_t>(at));
        };
        std::vector<std::int32_t> firsts;
        for (std::int64_t m = 0; m < up; ++m) firsts.push_back(static_cast<std::int32_t>(filter.first_input(m)));
        std::vector<float> grouped(static_cast<std::size_t>(tiles.groups * tiles.window * kTileGroup));
        std::vector<std::int32_t> group_firsts;
        for (int phase = 0; phase < tiles.up; ++phase) {
          const int group = phase / kTileGroup;
          const std::int64_t begin = filter.first_input(group * kTileGroup);
          if (phase % kTileGroup == 0) group_firsts.push_back(static_cast<std::int32_t>(begin));
          const std::int64_t shift = filter.first_input(phase) - begin;
          for (int k = 0; k < taps; ++k) {
            const std::int64_t at = (group * tiles.window + shift + k) * kTileGroup + phase % kTileGroup;
            grouped[static_cast<std::size_t>(at)] = filter.weights(phase, nullptr)[k];
          }
        }
        const float* const table = filter.weights(0, nullptr);
        put(weights, std::vector<float>(table, table + up * taps));
        put(first, firsts);
        put(tile_weights, grouped);
        put(tile_first, group_firsts);
        // The runtime has taken pageable memory when the call returns.
        DCASE_CUDA_CALL(cudaMemcpyAsync(device, host.data(), bytes, cudaMemcpyHostToDevice,
                                        static_cast<cudaStream_t>(context.stream.handle)));
      });
  tiles.weights = reinterpret_cast<const float4*>(block + tile_weights);
  tiles.first = reinterpret_cast<const std::int32_t*>(block + tile_first);
  return {.table = {.weights = reinterpret_cast<const float*>(block + weights),
                    .first = reinterpret_cast<const std::int32_t*>(block + first),
                    .up = up,
                    .down = filter.down(),
                    .taps = taps},
          .tiles = tiles};
}

ResampleArguments arguments(const ResampleForward& a) {
  return {.x = a.x.data, .y = a.y.data, .items = a.x.dim(0), .samples = a.x.dim(1), .outputs = a.y.dim(1)};
}

unsigned checked_blocks(std::int64_t blocks) {
  DCASE_CHECK(blocks <= std::numeric_limits<int>::max(), "resample_forward: ", blocks,
              " blocks, at most 2147483647: fewer items at a time");
  return static_cast<unsigned>(blocks);
}

bool takes_tile(const ResampleCall& call, const Context&) { return tiles_of(call.filter).groups > 0; }
void run_tile(const ResampleCall& call, const Context& context) {
  const ResampleArguments g = arguments(call.args);
  const ResampleTiles tiles = device_filter(call.filter, context).tiles;
  const std::int64_t span = std::int64_t{kTilePeriods} * tiles.up;
  launch(resample_tile_kernel,
         {.grid = checked_blocks((g.outputs + span - 1) / span * g.items),
          .block = kTileThreads,
          .smem = static_cast<std::size_t>(shared_bytes(tiles)),
          .stream = context.stream,
          .name = "resample_tile"},
         g, tiles);
}

bool takes_all(const ResampleCall&, const Context&) { return true; }
void run_simple(const ResampleCall& call, const Context& context) {
  const ResampleArguments g = arguments(call.args);
  launch(resample_simple_kernel,
         {.grid = checked_blocks((g.items * g.outputs + kResampleSimpleThreads - 1) / kResampleSimpleThreads),
          .block = kResampleSimpleThreads,
          .stream = context.stream,
          .name = "resample_simple"},
         g, device_filter(call.filter, context).table);
}

constexpr Variant<ResampleCall> kVariants[] = {{.name = "tile", .takes = takes_tile, .run = run_tile},
                                               {.name = "simple", .takes = takes_all, .run = run_simple}};

}  // namespace

std::span<const Variant<ResampleCall>> resample_variants() { return kVariants; }

void resample_forward(const ResampleForward& a, const ResampleFilter& filter, const Context& context) {
  const char* op = "resample_forward";
  DCASE_CHECK(a.x.rank == 2, op, ": x has shape ", shape_string(a.x), ", expected [N,S]");
  const std::int64_t N = a.x.dim(0);
  const std::int64_t S = a.x.dim(1);
  check_shape(op, "x", a.x, {N, S});
  check_shape(op, "y", a.y, {N, resampled_length(S, filter.in_rate(), filter.out_rate())});
  if (a.y.size() == 0) return;
  if (filter.identity()) {
    DCASE_CUDA_CALL(cudaMemcpyAsync(a.y.data, a.x.data, static_cast<std::size_t>(N * S) * sizeof(float),
                                    cudaMemcpyDeviceToDevice, static_cast<cudaStream_t>(context.stream.handle)));
    return;
  }
  DCASE_CHECK(filter.tabulated(), op, ": the filter from ", filter.in_rate(), " to ", filter.out_rate(),
              " Hz has too many phases for a table");
  const ResampleCall call{a, filter};
  choose_variant(resample_variants(), call, context).run(call, context);
}

}  // namespace dcase::cuda
