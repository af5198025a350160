#include "kernels/batchnorm/batchnorm.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <type_traits>

#include "kernels/batchnorm/batchnorm_variants.hpp"
#include "kernels/pool2d/windows.hpp"

// All passes stream one or two maps, so what counts is that each map is read once a pass and that nothing of a map's
// size is written in between. The arithmetic stands in batchnorm_loops.hpp.

namespace dcase::cpu {

namespace {

using batchnorm::Loops;
using batchnorm::Row;

/// Numbers a channel, in the lane order of PooledMaps, so that loops read them like one more row.
template <class Number>
class Lanes {
 public:
  template <class Of>
  Lanes(const Context& context, const PooledMaps& maps, const Of& of_channel) : values_(context, maps.lanes()) {
    for (std::int64_t lane = 0; lane < values_.size(); ++lane) {
      values_[lane] = static_cast<Number>(of_channel(maps.channel_of_lane(lane)));
    }
  }
  [[nodiscard]] const Number* at(const RowSpan& span) const { return values_.data() + span.lane; }

 private:
  Scratch<Number> values_;
};

/// 1 / sqrt(variance + eps)
template <class Args>
double inverse_deviation(const Args& a, std::int64_t c) {
  return 1 / std::sqrt(static_cast<double>(a.variance[c]) + a.eps);
}

/// What normalises the channels: z = (x - mean) * scale + beta.
template <class Real>
class Normaliser {
 public:
  template <class Args>
  Normaliser(const Context& context, const PooledMaps& maps, const Args& a)
      : mean_(context, maps, [&](std::int64_t c) { return a.mean[c]; }),
        scale_(context, maps,
               [&](std::int64_t c) { return static_cast<double>(a.gamma[c]) * inverse_deviation(a, c); }),
        beta_(context, maps, [&](std::int64_t c) { return a.beta[c]; }) {}

  void fill(Row<Real>& row, const RowSpan& span) const {
    row.mean = mean_.at(span);
    row.scale = scale_.at(span);
    row.beta = beta_.at(span);
  }

 private:
  Lanes<Real> mean_;
  Lanes<Real> scale_;
  Lanes<Real> beta_;
};

/// A row with what is the same for all of them.
template <class Real, class Args>
Row<Real> common_row(const PooledMaps& maps, const Args& a) {
  Row<Real> row;
  row.fine_step = maps.fine_step();
  row.fine_row = maps.fine_row();
  row.fine_frame = maps.fine_frame();
  row.coarse_step = maps.coarse_step();
  if constexpr (requires { a.relu; }) {
    row.pool_m = a.pool_m;
    row.pool_t = a.pool_t;
    row.relu = a.relu;
  }
  return row;
}

/// Calls body(span) for all rows of windows and runs of channels, in parallel.
template <class Body>
void for_all_spans(const PooledMaps& maps, const Body& body) {
  for_chunks(maps.window_row_count(), maps.rows_per_chunk(),
             [&](std::int64_t, std::int64_t begin, std::int64_t end) { maps.for_spans(begin, end, body); });
}

/// Runs row_sums(span, first, second) over all rows of windows, in parallel chunks; `first` and `second` accumulate
/// for the lanes of the span. total(c, sum of first, sum of second) then gets the sums of each channel, taken in the
/// order of the chunks.
template <class RowSums, class Total>
void channel_sums(const PooledMaps& maps, const Context& context, const RowSums& row_sums, const Total& total) {
  const std::int64_t c_count = maps.channel_count();
  const std::int64_t lanes = maps.lanes();
  const std::int64_t chunks = ceil_div(maps.window_row_count(), maps.rows_per_chunk());
  const Scratch<double> partial(context, chunks * 2 * lanes);  // [chunks,2,lanes]
  for_chunks(
      maps.window_row_count(), maps.rows_per_chunk(), [&](std::int64_t chunk, std::int64_t begin, std::int64_t end) {
        double* first = partial.data() + chunk * 2 * lanes;
        double* second = first + lanes;
        std::fill_n(first, 2 * lanes, 0.0);
        maps.for_spans(begin, end, [&](const RowSpan& span) { row_sums(span, first + span.lane, second + span.lane); });
      });
  const Scratch<double> sums(context, 2 * c_count);  // [2,C]
  std::fill_n(sums.data(), sums.size(), 0.0);
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    const double* first = partial.data() + chunk * 2 * lanes;
    maps.fold_lanes(first, sums.data());
    maps.fold_lanes(first + lanes, sums.data() + c_count);
  }
  for (std::int64_t c = 0; c < c_count; ++c) total(c, sums[c], sums[c_count + c]);
}

template <class Real>
const Loops<Real>& loops_of(const BatchnormVariant& variant) {
  if constexpr (std::is_same_v<Real, float>) {
    return *variant.float_loops;
  } else {
    return *variant.double_loops;
  }
}

bool always() { return true; }
#if defined(DCASE_X86_VARIANTS)
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

constexpr BatchnormVariant kVariants[] = {
#if defined(DCASE_X86_VARIANTS)
    {"avx2", has_avx2, &batchnorm::kAvx2Float, &batchnorm::kAvx2Double},
#endif
    {"generic", always, &batchnorm::kGenericFloat, &batchnorm::kGenericDouble},
};

const BatchnormVariant& best_variant() {
  return *std::find_if(std::begin(kVariants), std::end(kVariants),
                       [](const BatchnormVariant& v) { return v.supported(); });
}

}  // namespace

std::span<const BatchnormVariant> batchnorm_variants() { return kVariants; }

template <class Real>
void batchnorm_statistics(const BatchnormStatistics<Real>& a, const Context& context, const BatchnormVariant& variant) {
  check(a);
  const PooledMaps maps("batchnorm_statistics", "x", a.x, "x", a.x, 1, 1);
  if (maps.channel_count() == 0) return;

  const auto first_value = [&](std::int64_t c) {
    const std::int64_t b = a.x.dim(4);
    return static_cast<double>(a.x[c / b * a.x.dim(2) * a.x.dim(3) * b + c % b]);
  };
  const Lanes<double> origin(context, maps, first_value);
  const Row<Real> common = common_row<Real>(maps, a);
  channel_sums(
      maps, context,
      [&](const RowSpan& span, double* sum, double* square) {
        Row<Real> row = common;
        row.count = span.count;
        row.width = span.width;
        row.x = a.x.data + span.fine;
        row.origin = origin.at(span);
        row.first = sum;
        row.second = square;
        loops_of<Real>(variant).statistics(row);
      },
      [&](std::int64_t c, double sum, double square) {
        const double count = static_cast<double>(maps.position_count());
        const double shift = sum / count;
        a.mean[c] = static_cast<Real>(first_value(c) + shift);
        a.variance[c] = static_cast<Real>(std::max(square / count - shift * shift, 0.0));
      });
}

template <class Real>
void batchnorm_update_running(const BatchnormUpdateRunning<Real>& a, const Context&) {
  check(a);
  const double unbiased = static_cast<double>(a.count) / static_cast<double>(a.count - 1);
  for (std::int64_t c = 0; c < a.mean.dim(0); ++c) {
    const double mean = static_cast<double>(a.mean[c]);
    const double variance = static_cast<double>(a.variance[c]) * unbiased;
    a.running_mean[c] =
        static_cast<Real>((1 - a.momentum) * static_cast<double>(a.running_mean[c]) + a.momentum * mean);
    a.running_variance[c] =
        static_cast<Real>((1 - a.momentum) * static_cast<double>(a.running_variance[c]) + a.momentum * variance);
  }
}

template <class Real>
void batchnorm_forward(const BatchnormForward<Real>& a, const Context& context, const BatchnormVariant& variant) {
  check(a);
  const PooledMaps maps("batchnorm_forward", "x", a.x, "y", a.y, a.pool_m, a.pool_t);
  const Normaliser<Real> normaliser(context, maps, a);
  const Row<Real> common = common_row<Real>(maps, a);
  for_all_spans(maps, [&](const RowSpan& span) {
    Row<Real> row = common;
    row.count = span.count;
    row.width = span.width;
    row.x = a.x.data + span.fine;
    row.y = a.y.data + span.coarse;
    normaliser.fill(row, span);
    loops_of<Real>(variant).forward(row);
  });
}

template <class Real>
void batchnorm_backward(const BatchnormBackward<Real>& a, const Context& context, const BatchnormVariant& variant) {
  check(a);
  const PooledMaps maps("batchnorm_backward", "x", a.x, "dy", a.dy, a.pool_m, a.pool_t);
  const std::int64_t c_count = maps.channel_count();

  const Normaliser<Real> normaliser(context, maps, a);
  Row<Real> common = common_row<Real>(maps, a);
  common.accumulate = a.dx_mode == GradMode::kAdd;
  const auto row_of = [&](const RowSpan& span) {
    Row<Real> row = common;
    row.count = span.count;
    row.width = span.width;
    row.x = a.x.data + span.fine;
    row.dy = a.dy.data + span.coarse;
    normaliser.fill(row, span);
    return row;
  };

  const Scratch<double> sums(context, 2 * c_count);  // [2,C]: sum of dz, sum of dz * (x - mean)
  if (a.dgamma.present() || a.dbeta.present() || (a.dx.present() && a.batch_statistics)) {
    channel_sums(
        maps, context,
        [&](const RowSpan& span, double* sum_dz, double* sum_product) {
          Row<Real> row = row_of(span);
          row.first = sum_dz;
          row.second = sum_product;
          loops_of<Real>(variant).backward_sums(row);
        },
        [&](std::int64_t c, double sum_dz, double sum_product) {
          sums[c] = sum_dz;
          sums[c_count + c] = sum_product;
          const double dgamma = sum_product * inverse_deviation(a, c);
          if (a.dgamma.present()) put_gradient(a.dgamma[c], static_cast<Real>(dgamma), a.dgamma_mode);
          if (a.dbeta.present()) put_gradient(a.dbeta[c], static_cast<Real>(sum_dz), a.dbeta_mode);
        });
  }
  if (!a.dx.present() || a.dx.size() == 0) return;

  // The formula of the contract with its constants gathered: dx = scale * dz - offset - slope * (x - mean). Constant
  // statistics have no terms but the first; zeros there cost nothing beside the traffic.
  const double count = static_cast<double>(maps.position_count());
  const Lanes<Real> offset(context, maps, [&](std::int64_t c) {
    if (!a.batch_statistics) return 0.0;
    return static_cast<double>(a.gamma[c]) * inverse_deviation(a, c) * sums[c] / count;
  });
  const Lanes<Real> slope(context, maps, [&](std::int64_t c) {
    if (!a.batch_statistics) return 0.0;
    const double r = inverse_deviation(a, c);
    return static_cast<double>(a.gamma[c]) * r * r * r * sums[c_count + c] / count;
  });
  for_all_spans(maps, [&](const RowSpan& span) {
    Row<Real> row = row_of(span);
    row.offset = offset.at(span);
    row.slope = slope.at(span);
    row.dx = a.dx.data + span.fine;
    loops_of<Real>(variant).backward_dx(row);
  });
  // Positions that no window covers: dz = 0, the terms of the statistics remain.
  for_chunks(maps.fine_row_count(), maps.rows_per_chunk(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t fine_row = begin; fine_row < end; ++fine_row) {
      maps.for_uncovered(fine_row, [&](const RowSpan& span) {
        Row<Real> row;
        normaliser.fill(row, span);
        for (std::int64_t i = 0; i < span.count; ++i) {
          const Real* x = a.x.data + span.fine + i * maps.fine_frame();
          Real* dx = a.dx.data + span.fine + i * maps.fine_frame();
          for (std::int64_t j = 0; j < span.width; ++j) {
            put_gradient(dx[j], -offset.at(span)[j] - slope.at(span)[j] * (x[j] - row.mean[j]), a.dx_mode);
          }
        }
      });
    }
  });
}

template <class Real>
void batchnorm_statistics(const BatchnormStatistics<Real>& a, const Context& context) {
  batchnorm_statistics(a, context, best_variant());
}

template <class Real>
void batchnorm_forward(const BatchnormForward<Real>& a, const Context& context) {
  batchnorm_forward(a, context, best_variant());
}

template <class Real>
void batchnorm_backward(const BatchnormBackward<Real>& a, const Context& context) {
  batchnorm_backward(a, context, best_variant());
}

template void batchnorm_statistics(const BatchnormStatistics<float>&, const Context&);
template void batchnorm_statistics(const BatchnormStatistics<double>&, const Context&);
template void batchnorm_statistics(const BatchnormStatistics<float>&, const Context&, const BatchnormVariant&);
template void batchnorm_statistics(const BatchnormStatistics<double>&, const Context&, const BatchnormVariant&);
template void batchnorm_update_running(const BatchnormUpdateRunning<float>&, const Context&);
template void batchnorm_update_running(const BatchnormUpdateRunning<double>&, const Context&);
template void batchnorm_forward(const BatchnormForward<float>&, const Context&);
template void batchnorm_forward(const BatchnormForward<double>&, const Context&);
template void batchnorm_forward(const BatchnormForward<float>&, const Context&, const BatchnormVariant&);
template void batchnorm_forward(const BatchnormForward<double>&, const Context&, const BatchnormVariant&);
template void batchnorm_backward(const BatchnormBackward<float>&, const Context&);
template void batchnorm_backward(const BatchnormBackward<double>&, const Context&);
template void batchnorm_backward(const BatchnormBackward<float>&, const Context&, const BatchnormVariant&);
template void batchnorm_backward(const BatchnormBackward<double>&, const Context&, const BatchnormVariant&);

}  // namespace dcase::cpu
