#include "kernels/batchnorm/batchnorm.hpp"

#include "kernels/batchnorm/batchnorm_kernels.cuh"

namespace dcase::cuda {
namespace {

template <class Args>
BatchnormParameters parameters_of(const Args& a) {
  return {.mean = a.mean.data,
          .variance = a.variance.data,
          .gamma = a.gamma.data,
          .beta = a.beta.data,
          .eps = static_cast<float>(a.eps),
          .relu = a.relu};
}

// Both sums of Terms over all windows, given to `finish` channel by channel.
template <class Terms, class Finish>
void channel_sums(const char* op, const Terms& terms, const typename Terms::Walk& windows, std::int64_t channels,
                  const Finish& finish, const Context& context) {
  // Blocks that are resident together on any GPU since 2020, but none without some batches for each thread.
  constexpr std::int64_t kBlocks = 512;
  const Lanes lanes(op, channels, Terms::kWidth);
  const std::int64_t chunk_least = std::int64_t{4} * Terms::kBatch * lanes.rows;
  const std::int64_t wanted = std::max<std::int64_t>(1, kBlocks / lanes.blocks);
  const std::int64_t chunk = std::max<std::int64_t>(chunk_least, (windows.count + wanted - 1) / wanted);
  const auto chunks = static_cast<unsigned>(std::max<std::int64_t>(1, (windows.count + chunk - 1) / chunk));
  const Scratch<double> partial(context, std::int64_t{chunks} * 2 * channels);
  launch(batchnorm_sums_kernel<Terms>,
         {.grid = {chunks, lanes.blocks}, .block = kLaneThreads, .stream = context.stream, .name = op}, terms,
         partial.data(), windows, lanes, static_cast<unsigned>(chunk));
  launch(batchnorm_finish_kernel<Finish>,
         {.grid = (lanes.channels + kFinishChannels - 1) / kFinishChannels,
          .block = kFinishChannels * kFinishRows,
          .stream = context.stream,
          .name = op},
         partial.data(), chunks, lanes.channels, finish);
}

}  // namespace

void batchnorm_statistics(const BatchnormStatistics<float>& a, const Context& context) {
  check(a);
  if (a.x.size() == 0) return;
  const char* op = "batchnorm_statistics";
  const auto windows = walk_windows<Windows<1, 1>>(op, a.x, a.x, 1, 1, Partial::kLeftOut);
  const StatisticsFinish finish{.x = a.x.data,
                                .strides = windows.fine,
                                .count = static_cast<double>(positions(a.x)),
                                .mean = a.mean.data,
                                .variance = a.variance.data};
  if (a.x.dim(4) % 4 == 0 && aligned16(a.x.data)) {
    channel_sums(op, StatisticsTerms<4>{a.x.data}, windows, channels(a.x), finish, context);
  } else {
    channel_sums(op, StatisticsTerms<1>{a.x.data}, windows, channels(a.x), finish, context);
  }
}

void batchnorm_update_running(const BatchnormUpdateRunning<float>& a, const Context& context) {
  check(a);
  const Lanes lanes("batchnorm_update_running", a.mean.dim(0), 1);
  if (lanes.channels == 0) return;
  launch(batchnorm_running_kernel,
         {.grid = (lanes.channels + kLaneThreads - 1) / kLaneThreads,
          .block = kLaneThreads,
          .stream = context.stream,
          .name = "batchnorm_update_running"},
         a.mean.data, a.variance.data, a.running_mean.data, a.running_variance.data, lanes.channels, a.momentum,
         static_cast<double>(a.count) / static_cast<double>(a.count - 1));
}

void batchnorm_forward(const BatchnormForward<float>& a, const Context& context) {
  check(a);
  if (a.y.size() == 0) return;
  const char* op = "batchnorm_forward";
  with_windows(a.x, a.y, a.pool_m, a.pool_t, aligned16(a.x.data, a.y.data), [&](auto kind) {
    using Kind = decltype(kind);
    const auto windows = walk_windows<typename Kind::Walk>(op, a.x, a.y, a.pool_m, a.pool_t, Partial::kLeftOut);
    const Lanes lanes(op, channels(a.x), Kind::width);
    launch(batchnorm_forward_kernel<Kind>,
           {.grid = {lanes.strided(windows.count, Kind::batch), lanes.blocks},
            .block = kLaneThreads,
            .stream = context.stream,
            .name = op},
           a.x.data, a.y.data, parameters_of(a), windows, lanes);
  });
}

void batchnorm_backward(const BatchnormBackward<float>& a, const Context& context) {
  check(a);
  const std::int64_t c = channels(a.x);
  if (c == 0) return;
  const char* op = "batchnorm_backward";
  const bool from_statistics = a.dx.present() && a.batch_statistics;
  const Scratch<float> offset(context, from_statistics ? c : 0);
  const Scratch<float> slope(context, offset.size());
  with_windows(a.x, a.dy, a.pool_m, a.pool_t, aligned16(a.x.data, a.dy.data, a.dx.data), [&](auto kind) {
    using Kind = decltype(kind);
    if (from_statistics || a.dgamma.present() || a.dbeta.present()) {
      const GradientTerms<Kind> terms{.x = a.x.data, .dy = a.dy.data, .parameters = parameters_of(a)};
      const GradientFinish finish{.variance = a.variance.data,
                                  .gamma = a.gamma.data,
                                  .eps = a.eps,
                                  .count = static_cast<double>(positions(a.x)),
                                  .dgamma = a.dgamma.data,
                                  .dbeta = a.dbeta.data,
                                  .add_dgamma = a.dgamma_mode == GradMode::kAdd,
                                  .add_dbeta = a.dbeta_mode == GradMode::kAdd,
                                  .offset = offset.data(),
                                  .slope = slope.data()};
      channel_sums(op, terms, walk_windows<typename Kind::Walk>(op, a.x, a.dy, a.pool_m, a.pool_t, Partial::kLeftOut),
                   c, finish, context);
    }
    if (a.dx.size() == 0) return;
    const auto windows = walk_windows<typename Kind::Walk>(op, a.x, a.dy, a.pool_m, a.pool_t, Partial::kVisited);
    const Lanes lanes(op, c, Kind::width);
    launch(batchnorm_dx_kernel<Kind>,
           {.grid = {lanes.strided(windows.count, Kind::batch), lanes.blocks},
            .block = kLaneThreads,
            .stream = context.stream,
            .name = op},
           a.x.data, a.dy.data, a.dx.data, parameters_of(a), offset.data(), slope.data(), a.dx_mode == GradMode::kAdd,
           windows, lanes);
  });
}

}  // namespace dcase::cuda
