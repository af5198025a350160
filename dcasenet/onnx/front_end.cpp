#include "dcasenet/onnx/front_end.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace dcase::onnx {
namespace {

const std::string kPlace = "front_end.";  // before the names of all its values

// y[n] = x[n+1] - a x[n], [N,S] -> [N,S-1]
Value preemphasis(Graph& g, float a, const Value& x) {
  const Value zero = g.integers(kPlace + "zero", {0});
  const Value one = g.integers(kPlace + "one", {1});
  const Value end = g.integers(kPlace + "end", {INT64_MAX});
  const Value last = g.integers(kPlace + "last", {-1});
  const Value next = g.node(kPlace + "next", "Slice", {x, one, end, one});  // starts, ends, axes
  const Value here = g.node(kPlace + "here", "Slice", {x, zero, last, one});
  const Value scaled = g.node(kPlace + "scaled", "Mul", {here, g.constant(kPlace + "preemphasis", {}, {a})});
  return g.node(kPlace + "emphasised", "Sub", {next, scaled});
}

// window[j] cos(2 pi k j / n_fft), then the same with -sin: [2*bins,1,window]
std::vector<float> transform(const MelTables& tables) {
  const MelParameters& p = tables.parameters();
  const std::int64_t bins = p.n_fft / 2 + 1;
  std::vector<float> kernel;
  kernel.reserve(static_cast<std::size_t>(2 * bins * p.window));
  for (const bool cosine : {true, false}) {
    for (std::int64_t k = 0; k < bins; ++k) {
      for (std::int64_t j = 0; j < p.window; ++j) {
        // k*j modulo n_fft is exact, so that the angle has no rounding of its own.
        const double angle = 2 * std::numbers::pi * static_cast<double>(k * j % p.n_fft) / p.n_fft;
        const double w = tables.window()[static_cast<std::size_t>(j)];
        kernel.push_back(static_cast<float>(w * (cosine ? std::cos(angle) : -std::sin(angle))));
      }
    }
  }
  return kernel;
}

std::vector<float> filter_bank(const MelTables& tables) {  // [mels,bins]
  const std::int64_t bins = tables.parameters().n_fft / 2 + 1;
  std::vector<float> dense(tables.filters().size() * static_cast<std::size_t>(bins));
  for (std::size_t m = 0; m < tables.filters().size(); ++m) {
    const MelFilter& f = tables.filters()[m];
    for (int i = 0; i < f.bins; ++i) {
      dense[m * static_cast<std::size_t>(bins) + static_cast<std::size_t>(f.first_bin + i)] =
          static_cast<float>(tables.weights()[static_cast<std::size_t>(f.offset + i)]);
    }
  }
  return dense;
}

// [N,S-1] -> mel power [N,mels,T]
Value mel_power(Graph& g, const MelTables& tables, const Value& y) {
  const MelParameters& p = tables.parameters();
  const std::int64_t bins = p.n_fft / 2 + 1;
  const std::int64_t half = p.window / 2;
  const Value signal = g.node(kPlace + "signal", "Unsqueeze", {y, g.integers(kPlace + "channel", {1})});  // [N,1,S-1]
  const Value mirrored = g.node(kPlace + "mirrored", "Pad",
                                {signal, g.integers(kPlace + "pads", {0, 0, half, 0, 0, half})}, {{"mode", "reflect"}});
  const Value spectrum =
      g.node(kPlace + "spectrum", "Conv",
             {mirrored, g.constant(kPlace + "transform", {2 * bins, 1, p.window}, transform(tables))},
             {{"kernel_shape", std::vector<std::int64_t>{p.window}}, {"strides", std::vector<std::int64_t>{p.hop}}});
  const Value parts = g.node(kPlace + "parts", "Reshape", {spectrum, g.integers(kPlace + "complex", {0, 2, bins, -1})});
  const Value power = g.node(kPlace + "power", "ReduceSumSquare", {parts},
                             {{"axes", std::vector<std::int64_t>{1}}, {"keepdims", std::int64_t{0}}});  // [N,bins,T]
  return g.node(kPlace + "mel", "MatMul", {g.constant(kPlace + "filters", {p.mels, bins}, filter_bank(tables)), power});
}

Value logarithm(Graph& g, float zero_floor, const Value& power) {
  const Value is_zero = g.node(kPlace + "is_zero", "Equal", {power, g.constant(kPlace + "nothing", {}, {0})});
  const Value floored =
      g.node(kPlace + "floored", "Where", {is_zero, g.constant(kPlace + "zero_floor", {}, {zero_floor}), power});
  return g.node(kPlace + "log", "Log", {floored});
}

// x minus its mean over time. Twice: the second takes off the rounding of the first, which a row of equal values,
// divided by the smallest deviation, would show a thousandfold.
Value centred(Graph& g, const Value& x) {
  Value y = x;
  for (const std::string n : {"1", "2"}) {
    const Value mean = g.node(kPlace + "mean" + n, "ReduceMean", {y}, {{"axes", std::vector<std::int64_t>{2}}});
    y = g.node(kPlace + "centred" + n, "Sub", {y, mean});
  }
  return y;
}

// x / max(std, floor), std unbiased: sqrt(sum x^2 / (T-1))
Value scaled(Graph& g, float std_floor, const Value& x) {
  const Value squares = g.node(kPlace + "squares", "ReduceSumSquare", {x}, {{"axes", std::vector<std::int64_t>{2}}});
  const Value shape = g.node(kPlace + "shape", "Shape", {x});
  const Value frames = g.node(kPlace + "frames", "Gather", {shape, g.integer(kPlace + "time", 2)});
  const Value others = g.node(kPlace + "others", "Sub", {frames, g.integer(kPlace + "itself", 1)});
  constexpr std::int64_t kFloat = 1;  // TensorProto.DataType
  const Value count = g.node(kPlace + "count", "Cast", {others}, {{"to", kFloat}});
  const Value std = g.node(kPlace + "std", "Sqrt", {g.node(kPlace + "variance", "Div", {squares, count})});
  const Value divisor = g.node(kPlace + "divisor", "Max", {std, g.constant(kPlace + "std_floor", {}, {std_floor})});
  return g.node(kPlace + "normalised", "Div", {x, divisor});
}

}  // namespace

Value front_end(Graph& g, const MelParameters& p, const Value& pcm) {
  const MelTables tables(p);
  const Value y = preemphasis(g, static_cast<float>(p.preemphasis), pcm);
  const Value log_mel = logarithm(g, static_cast<float>(p.zero_floor), mel_power(g, tables, y));
  return scaled(g, static_cast<float>(p.std_floor), centred(g, log_mel));
}

}  // namespace dcase::onnx
