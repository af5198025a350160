#include "kernels/batchnorm/batchnorm.hpp"

#include <cmath>

#include "kernels/pool2d/windows.hpp"

// All passes stream one or two maps and do a few flops a value, so they are bound by memory: what counts is that each
// map is read once a pass, that nothing of a map's size is written in between, and that inner loops run over
// neighbouring channels (kernels/pool2d/windows.hpp) so that vector units keep up with the stream.

namespace dcase::cpu {

namespace {

/// Numbers a channel, in the lane order of PooledMaps, so that inner loops read them like one more row.
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

/// What normalises a channel: z = (x - mean) * scale + beta. The difference comes first: folding the mean into one
/// offset would cancel where |mean| >> deviation. Forward and backward use this one expression, so that both see the
/// same side of the ReLU.
template <class Real>
struct Normaliser {
  const Real* mean;
  const Real* scale;
  const Real* beta;
  [[nodiscard]] Real operator()(Real x, std::int64_t j) const { return (x - mean[j]) * scale[j] + beta[j]; }
};

template <class Real>
class NormaliserLanes {
 public:
  template <class Args>
  NormaliserLanes(const Context& context, const PooledMaps& maps, const Args& a)
      : mean_(context, maps, [&](std::int64_t c) { return a.mean[c]; }),
        scale_(context, maps,
               [&](std::int64_t c) { return static_cast<double>(a.gamma[c]) * deviation_inverse(a, c); }),
        beta_(context, maps, [&](std::int64_t c) { return a.beta[c]; }) {}
  [[nodiscard]] Normaliser<Real> at(const RowSpan& span) const {
    return {mean_.at(span), scale_.at(span), beta_.at(span)};
  }
  template <class Args>
  [[nodiscard]] static double deviation_inverse(const Args& a, std::int64_t c) {
    return 1 / std::sqrt(static_cast<double>(a.variance[c]) + a.eps);
  }

 private:
  Lanes<Real> mean_;
  Lanes<Real> scale_;
  Lanes<Real> beta_;
};

template <class Args>
void check_parameters(const char* op, const Args& a, std::int64_t c) {
  check_shape(op, "mean", a.mean, {c});
  check_shape(op, "variance", a.variance, {c});
  check_shape(op, "gamma", a.gamma, {c});
  check_shape(op, "beta", a.beta, {c});
  DCASE_CHECK(a.eps >= 0, op, ": eps is ", a.eps);
}

/// Runs row(span, first, second) over all rows of windows, in parallel chunks; `first` and `second` accumulate in
/// double for the lanes of the span. total(c, sum of first, sum of second) then gets the sums of each channel, taken
/// in the order of the chunks.
template <class Row, class Total>
void channel_sums(const PooledMaps& maps, const Context& context, const Row& row_sums, const Total& total) {
  const std::int64_t lanes = maps.lanes();
  const std::int64_t chunks = ceil_div(maps.window_row_count(), maps.rows_per_chunk());
  const Scratch<double> partial(context, chunks * 2 * lanes);  // [chunks,2,lanes]
  for_chunks(
      maps.window_row_count(), maps.rows_per_chunk(), [&](std::int64_t chunk, std::int64_t begin, std::int64_t end) {
        double* first = partial.data() + chunk * 2 * lanes;
        double* second = first + lanes;
        std::fill_n(first, 2 * lanes, 0.0);
        for (std::int64_t row = begin; row < end; ++row) {
          maps.for_spans(row, [&](const RowSpan& span) { row_sums(span, first + span.lane, second + span.lane); });
        }
      });
  const Scratch<double> sums(context, 2 * maps.channel_count());  // [2,C]
  std::fill_n(sums.data(), sums.size(), 0.0);
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    const double* first = partial.data() + chunk * 2 * lanes;
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      const std::int64_t c = maps.channel_of_lane(lane);
      sums[c] += first[lane];
      sums[maps.channel_count() + c] += first[lanes + lane];
    }
  }
  for (std::int64_t c = 0; c < maps.channel_count(); ++c) total(c, sums[c], sums[maps.channel_count() + c]);
}

/// sum and square += x - origin, (x - origin)^2. The difference of two floats is exact in double, and so is nearly
/// its square: the statistics of a float map are those of exact arithmetic to about 1e-14.
template <class Real>
void statistics_row(const Real* x, const double* origin, std::int64_t step, const RowSpan& span, double* sum,
                    double* square) {
  std::int64_t i = 0;
  // Four positions a visit: the accumulators live in memory (a lane each), and this quarters their traffic.
  for (; i + 4 <= span.count; i += 4) {
    const Real* in = x + i * step;
#pragma omp simd
    for (std::int64_t j = 0; j < span.width; ++j) {
      const double a = static_cast<double>(in[j]) - origin[j];
      const double b = static_cast<double>(in[step + j]) - origin[j];
      const double c = static_cast<double>(in[2 * step + j]) - origin[j];
      const double d = static_cast<double>(in[3 * step + j]) - origin[j];
      sum[j] += (a + b) + (c + d);
      square[j] += (a * a + b * b) + (c * c + d * d);
    }
  }
  for (; i < span.count; ++i) {
    const Real* in = x + i * step;
#pragma omp simd
    for (std::int64_t j = 0; j < span.width; ++j) {
      const double a = static_cast<double>(in[j]) - origin[j];
      sum[j] += a;
      square[j] += a * a;
    }
  }
}

template <bool kRelu, class Window, class Real>
void forward_row(const Real* x, Normaliser<Real> normalise, Real* y, const PooledMaps& maps, const RowSpan& span,
                 Window window) {
  const Real inverse = Real(1) / static_cast<Real>(window.m() * window.t());
  const std::int64_t row = maps.fine_row();
  const std::int64_t frame = maps.fine_frame();
  const std::int64_t width = span.width;
  for (std::int64_t i = 0; i < span.count; ++i) {
    const Real* in = x + i * maps.fine_step();
    Real* out = y + i * maps.coarse_step();
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      Real sum = 0;
      for (int m = 0; m < window.m(); ++m) {
        for (int t = 0; t < window.t(); ++t) {
          const Real z = normalise(in[m * row + t * frame + j], j);
          sum += kRelu && z < 0 ? Real(0) : z;  // a NaN passes
        }
      }
      out[j] = sum * inverse;
    }
  }
}

/// sum_dz and sum_dzx += dz, dz * (x - mean) over one row of windows. The terms of one window are added in Real, the
/// windows in double.
template <bool kRelu, class Window, class Real>
void backward_sums_row(const Real* x, Normaliser<Real> normalise, const Real* dy, const PooledMaps& maps,
                       const RowSpan& span, Window window, double* sum_dz, double* sum_dzx) {
  const Real inverse = Real(1) / static_cast<Real>(window.m() * window.t());
  const std::int64_t row = maps.fine_row();
  const std::int64_t frame = maps.fine_frame();
  const std::int64_t width = span.width;
  for (std::int64_t i = 0; i < span.count; ++i) {
    const Real* in = x + i * maps.fine_step();
    const Real* grad = dy + i * maps.coarse_step();
#pragma omp simd
    for (std::int64_t j = 0; j < width; ++j) {
      const Real g = grad[j] * inverse;
      Real dz = 0;
      Real dzx = 0;
      for (int m = 0; m < window.m(); ++m) {
        for (int t = 0; t < window.t(); ++t) {
          const Real value = in[m * row + t * frame + j];
          const Real passed = kRelu && !(normalise(value, j) > 0) ? Real(0) : g;
          dz += passed;
          dzx += passed * (value - normalise.mean[j]);
        }
      }
      sum_dz[j] += static_cast<double>(dz);
      sum_dzx[j] += static_cast<double>(dzx);
    }
  }
}

/// dx = scale * dz - offset - slope * (x - mean): the formula of the contract with its constants gathered.
template <bool kRelu, bool kAdd, class Window, class Real>
void backward_dx_row(const Real* x, Normaliser<Real> normalise, const Real* offset, const Real* slope, const Real* dy,
                     Real* dx, const PooledMaps& maps, const RowSpan& span, Window window) {
  const Real inverse = Real(1) / static_cast<Real>(window.m() * window.t());
  const std::int64_t width = span.width;
  for (std::int64_t i = 0; i < span.count; ++i) {
    const Real* grad = dy + i * maps.coarse_step();
    for (int m = 0; m < window.m(); ++m) {
      for (int t = 0; t < window.t(); ++t) {
        const std::int64_t at = i * maps.fine_step() + m * maps.fine_row() + t * maps.fine_frame();
        const Real* in = x + at;
        Real* out = dx + at;
#pragma omp simd
        for (std::int64_t j = 0; j < width; ++j) {
          const Real g = grad[j] * inverse;
          const Real passed = kRelu && !(normalise(in[j], j) > 0) ? Real(0) : g;
          const Real value = normalise.scale[j] * passed - offset[j] - slope[j] * (in[j] - normalise.mean[j]);
          out[j] = kAdd ? out[j] + value : value;
        }
      }
    }
  }
}

}  // namespace

template <class Real>
void batchnorm_statistics(const BatchnormStatistics<Real>& a, const Context& context) {
  const char* op = "batchnorm_statistics";
  const PooledMaps maps(op, "x", a.x, "x", a.x, 1, 1);
  const std::int64_t c_count = maps.channel_count();
  check_shape(op, "mean", a.mean, {c_count});
  check_shape(op, "variance", a.variance, {c_count});
  if (c_count == 0) return;
  DCASE_CHECK(maps.position_count() >= 1, op, ": x ", shape_string(a.x), " has no positions to take statistics of");

  const auto first_value = [&](std::int64_t c) {
    const std::int64_t b = a.x.dim(4);
    return static_cast<double>(a.x[c / b * a.x.dim(2) * a.x.dim(3) * b + c % b]);
  };
  const Lanes<double> origin(context, maps, first_value);
  channel_sums(
      maps, context,
      [&](const RowSpan& span, double* sum, double* square) {
        statistics_row(a.x.data + span.fine, origin.at(span), maps.fine_step(), span, sum, square);
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
  const char* op = "batchnorm_update_running";
  DCASE_CHECK(a.mean.rank == 1, op, ": mean has shape ", shape_string(a.mean), ", expected [C]");
  const std::int64_t c_count = a.mean.dim(0);
  check_shape(op, "mean", a.mean, {c_count});
  check_shape(op, "variance", a.variance, {c_count});
  check_shape(op, "running_mean", a.running_mean, {c_count});
  check_shape(op, "running_variance", a.running_variance, {c_count});
  DCASE_CHECK(a.count >= 2, op, ": ", a.count,
              " value(s) a channel have no unbiased variance; training needs batches of two or more");
  DCASE_CHECK(a.momentum >= 0 && a.momentum <= 1, op, ": momentum is ", a.momentum);
  const double unbiased = static_cast<double>(a.count) / static_cast<double>(a.count - 1);
  for (std::int64_t c = 0; c < c_count; ++c) {
    const double mean = static_cast<double>(a.mean[c]);
    const double variance = static_cast<double>(a.variance[c]) * unbiased;
    a.running_mean[c] =
        static_cast<Real>((1 - a.momentum) * static_cast<double>(a.running_mean[c]) + a.momentum * mean);
    a.running_variance[c] =
        static_cast<Real>((1 - a.momentum) * static_cast<double>(a.running_variance[c]) + a.momentum * variance);
  }
}

template <class Real>
void batchnorm_forward(const BatchnormForward<Real>& a, const Context& context) {
  const char* op = "batchnorm_forward";
  const PooledMaps maps(op, "x", a.x, "y", a.y, a.pool_m, a.pool_t);
  check_parameters(op, a, maps.channel_count());
  const NormaliserLanes<Real> normaliser(context, maps, a);
  with_window(a.pool_m, a.pool_t, [&](auto window) {
    with_bool(a.relu, [&](auto relu) {
      for_chunks(maps.window_row_count(), maps.rows_per_chunk(),
                 [&](std::int64_t, std::int64_t begin, std::int64_t end) {
                   for (std::int64_t row = begin; row < end; ++row) {
                     maps.for_spans(row, [&](const RowSpan& span) {
                       forward_row<relu.value>(a.x.data + span.fine, normaliser.at(span), a.y.data + span.coarse, maps,
                                               span, window);
                     });
                   }
                 });
    });
  });
}

template <class Real>
void batchnorm_backward(const BatchnormBackward<Real>& a, const Context& context) {
  const char* op = "batchnorm_backward";
  const PooledMaps maps(op, "x", a.x, "dy", a.dy, a.pool_m, a.pool_t);
  const std::int64_t c_count = maps.channel_count();
  check_parameters(op, a, c_count);
  if (a.dx.present()) {
    check_map(op, "dx", a.dx);
    DCASE_CHECK(same_shape(a.dx, a.x), op, ": dx has shape ", shape_string(a.dx), ", x ", shape_string(a.x));
  }
  if (a.dgamma.present()) check_shape(op, "dgamma", a.dgamma, {c_count});
  if (a.dbeta.present()) check_shape(op, "dbeta", a.dbeta, {c_count});

  const NormaliserLanes<Real> normaliser(context, maps, a);
  const Scratch<double> sums(context, 2 * c_count);  // [2,C]: sum dz, sum dz * (x - mean)
  if (a.dgamma.present() || a.dbeta.present() || (a.dx.present() && a.batch_statistics)) {
    with_window(a.pool_m, a.pool_t, [&](auto window) {
      with_bool(a.relu, [&](auto relu) {
        channel_sums(
            maps, context,
            [&](const RowSpan& span, double* sum_dz, double* sum_dzx) {
              backward_sums_row<relu.value>(a.x.data + span.fine, normaliser.at(span), a.dy.data + span.coarse, maps,
                                            span, window, sum_dz, sum_dzx);
            },
            [&](std::int64_t c, double sum_dz, double sum_dzx) {
              sums[c] = sum_dz;
              sums[c_count + c] = sum_dzx;
              const double dgamma = sum_dzx * NormaliserLanes<Real>::deviation_inverse(a, c);
              if (a.dgamma.present()) put_gradient(a.dgamma[c], static_cast<Real>(dgamma), a.dgamma_mode);
              if (a.dbeta.present()) put_gradient(a.dbeta[c], static_cast<Real>(sum_dz), a.dbeta_mode);
            });
      });
    });
  }
  if (!a.dx.present() || a.dx.size() == 0) return;

  // Constant statistics have no terms but the first; zeros here cost nothing beside the traffic.
  const double count = static_cast<double>(maps.position_count());
  const auto offset_of = [&](std::int64_t c) {
    if (!a.batch_statistics) return 0.0;
    return static_cast<double>(a.gamma[c]) * NormaliserLanes<Real>::deviation_inverse(a, c) * sums[c] / count;
  };
  const auto slope_of = [&](std::int64_t c) {
    if (!a.batch_statistics) return 0.0;
    const double r = NormaliserLanes<Real>::deviation_inverse(a, c);
    return static_cast<double>(a.gamma[c]) * r * r * r * sums[c_count + c] / count;
  };
  const Lanes<Real> offset(context, maps, offset_of);
  const Lanes<Real> slope(context, maps, slope_of);
  with_bool(a.dx_mode == GradMode::kAdd, [&](auto add) {
    with_window(a.pool_m, a.pool_t, [&](auto window) {
      with_bool(a.relu, [&](auto relu) {
        for_chunks(
            maps.window_row_count(), maps.rows_per_chunk(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
              for (std::int64_t row = begin; row < end; ++row) {
                maps.for_spans(row, [&](const RowSpan& span) {
                  backward_dx_row<relu.value, add.value>(a.x.data + span.fine, normaliser.at(span), offset.at(span),
                                                         slope.at(span), a.dy.data + span.coarse, a.dx.data + span.fine,
                                                         maps, span, window);
                });
              }
            });
      });
    });
    // Positions that no window covers: dz = 0, the terms of the statistics remain.
    for_chunks(maps.fine_row_count(), maps.rows_per_chunk(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        maps.for_uncovered(row, [&](const RowSpan& span) {
          const Real* mean = normaliser.at(span).mean;
          const Real* constant = offset.at(span);
          const Real* factor = slope.at(span);
          for (std::int64_t i = 0; i < span.count; ++i) {
            const Real* in = a.x.data + span.fine + i * maps.fine_frame();
            Real* out = a.dx.data + span.fine + i * maps.fine_frame();
            for (std::int64_t j = 0; j < span.width; ++j) {
              const Real value = -constant[j] - factor[j] * (in[j] - mean[j]);
              out[j] = add.value ? out[j] + value : value;
            }
          }
        });
      }
    });
  });
}

template void batchnorm_statistics(const BatchnormStatistics<float>&, const Context&);
template void batchnorm_statistics(const BatchnormStatistics<double>&, const Context&);
template void batchnorm_update_running(const BatchnormUpdateRunning<float>&, const Context&);
template void batchnorm_update_running(const BatchnormUpdateRunning<double>&, const Context&);
template void batchnorm_forward(const BatchnormForward<float>&, const Context&);
template void batchnorm_forward(const BatchnormForward<double>&, const Context&);
template void batchnorm_backward(const BatchnormBackward<float>&, const Context&);
template void batchnorm_backward(const BatchnormBackward<double>&, const Context&);

}  // namespace dcase::cpu
