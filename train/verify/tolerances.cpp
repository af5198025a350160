#include "train/verify/tolerances.hpp"

namespace dcase {

namespace {

using Kind = ReferenceKind;

constexpr double kAny = Tolerance::kNone;
constexpr double kLearningRate = 1e-3;  // of the optimiser steps in the model files

// The bounds are those stated with the reference numbers, for float32 arithmetic. Where they give none, the line says
// where ours comes from.
constexpr ToleranceRule kRules[] = {
    // Operators. The bound on the tensor tells a wrong term from rounding in a long sum. Stated for convolutions is
    // 1e-5,
    // which the sums of several hundred terms that reach 10 may exceed by rounding alone: hence the relative part.
    // F(4x4,3x3) loses about two bits against the sums of the formula (kernels/conv2d/conv2d.hpp).
    {Kind::kOps, "conv2d_*#winograd", "convolution 2-D, Winograd", {.absolute = 4e-5, .relative = 4e-6, .l2 = 4e-6}},
    {Kind::kOps, "conv2d_*", "convolution 2-D", {.absolute = 1e-5, .relative = 1e-6, .l2 = 1e-6}},
    {Kind::kOps, "conv1d_*", "convolution 1-D", {.absolute = 1e-5, .relative = 1e-6, .l2 = 1e-6}},
    // Mean 30 with deviation 0.03: what is left after the subtraction has few digits in float32.
    {Kind::kOps, "bn2d_offset.train.y", "batch norm, large mean", {.absolute = 1e-3}},
    {Kind::kOps, "bn2d_offset.train.dx", "batch norm, large mean", {.absolute = 1e-2}},
    {Kind::kOps, "bn2d_offset.train.dgamma", "batch norm, large mean", {.absolute = 2e-3}},
    {Kind::kOps, "bn2d_offset.*", "batch norm, large mean", {.absolute = 1e-4}},
    {Kind::kOps, "bn*", "batch norm", {.absolute = 1e-5}},
    {Kind::kOps, "avgpool_*", "average pool", {.absolute = 1e-6}},
    {Kind::kOps, "bigru*", "GRU", {.absolute = 1e-5}},
    {Kind::kOps, "seres*", "squeeze-excite residual block", {.absolute = 1e-4}},
    {Kind::kOps, "se?d.*", "squeeze-excite", {.absolute = 1e-5}},
    {Kind::kOps, "linear.*", "linear", {.absolute = 1e-5}},
    {Kind::kOps, "bce_saturated.*", "loss, saturated", {.relative = 1e-5}},
    {Kind::kOps, "*.loss", "loss", {.relative = 1e-6}},
    {Kind::kOps, "mixup.x_mixed", "mix-up", {.absolute = 1e-6}},
    {Kind::kOps, "*adam*.p_steps", "Adam", {.absolute = 2e-6}},
    // No bound is stated for the moments: a few roundings of float32.
    {Kind::kOps, "*adam*.m", "Adam moments", {.absolute = kAny, .l2 = 1e-6}},
    {Kind::kOps, "*adam*.v", "Adam moments", {.absolute = kAny, .l2 = 1e-6}},
    {Kind::kOps, "coswr.lr", "learning rate", {.relative = 1e-9}},
    {Kind::kOps, "*.dx", "loss gradient", {.absolute = 1e-7, .relative = 1e-5}},

    // Front end. Bins far below the peak of a tonal frame carry the rounding of the transform.
    {Kind::kMel, "sweep.logmel", "log-mel, tonal", {.absolute = 2e-3}},
    {Kind::kMel, "long_10s.logmel", "log-mel, tonal", {.absolute = 2e-3}},
    {Kind::kMel, "sweep.norm", "normalised, tonal", {.absolute = 1e-3, .l2 = 2e-5}},
    {Kind::kMel, "long_10s.norm", "normalised, tonal", {.absolute = 1e-3, .l2 = 2e-5}},
    {Kind::kMel, "silence.logmel", "log-mel, silence", {.absolute = 1e-6}},
    // The expected values are 0: rounding of the mean, divided by the floor of the deviation.
    {Kind::kMel, "silence.norm", "normalised, silence", {.absolute = 5e-3}},
    {Kind::kMel, "*.logmel", "log-mel", {.absolute = 5e-4}},
    {Kind::kMel, "*.norm", "normalised", {.absolute = 5e-4, .l2 = 2e-5}},
    {Kind::kMel, "fb64", "filter bank", {.absolute = 1e-6}},
    {Kind::kMel, "resample.out24k", "resampling", {.absolute = 2e-6}},
    {Kind::kMel, "preemph.*", "pre-emphasis", {.absolute = 1e-7}},

    // Scores, all in double.
    {Kind::kMetrics, "tag.*", "tags", {.absolute = 1e-12}},
    {Kind::kMetrics, "asc.mean_prob", "scene probabilities", {.absolute = 1e-6}},
    {Kind::kMetrics, "asc.*", "scenes", {}},
    {Kind::kMetrics, "*.released_*", "events, released scores", {.absolute = 1e-9}},
    {Kind::kMetrics, "*_counts", "event counts", {}},
    {Kind::kMetrics, "sed*_f1", "event F1", {.absolute = 1e-12}},
    {Kind::kMetrics, "sed*_er", "event error rates", {.absolute = 1e-12}},

    // Initial weights.
    {Kind::kInitStats, "init.*#rule", "rule", {.relative = 1e-6}},  // bounds are float32 in places
    {Kind::kInitStats, "init.*#deviation", "standard deviation", {.relative = 0.05}},
    {Kind::kInitStats, "init.*#excess", "largest weight", {}},

    {Kind::kJointBatch, "x_*", "inputs by formula", {}},

    // Models.
    {Kind::kModel, "state0.*", "initial state by formula", {}},
    {Kind::kModel, "eval*", "evaluation outputs", {.absolute = 2e-5, .relative = 1e-4}},
    {Kind::kModel, "tapstat.*", "activations, statistics", {.relative = 1e-4}},
    {Kind::kModel, "train.*", "training outputs", {.absolute = 1e-4, .relative = 1e-3}},
    {Kind::kModel, "loss_step1", "loss, first step", {.relative = 1e-5}},
    {Kind::kModel, "loss_step*", "loss, later steps", {.relative = 1e-3}},
    {Kind::kModel, "grad.*", "gradients", {.absolute = kAny, .l2 = 1e-3}},
    {Kind::kModel, "state*.num_batches_tracked", "batch counters", {}},
    // Adam moves a parameter whose gradient is all but 0 by up to the learning rate in a direction that rounding
    // decides.
    {Kind::kModel,
     "state1.*",
     "state after step 1",
     {.absolute = 1e-5, .outlier_share = 1e-3, .outlier_limit = 2.1 * kLearningRate}},
    {Kind::kModel,
     "state3.*",
     "state after step 3",
     {.absolute = 5e-5, .outlier_share = 1e-2, .outlier_limit = 2.1 * kLearningRate * 3}},
    // Moments of v1 and v2.
    {Kind::kModel, "adam_m3.*#v?", "first moments", {.absolute = kAny, .l2 = 5e-3}},
    {Kind::kModel, "adam_v3.*#v?", "second moments", {.absolute = kAny, .l2 = 1e-2}},
    // v3: the gradient jumps where a ReLU's input changes its sign. Two updates after the start, inputs of the scene
    // head's
    // ReLUs near zero fall on one side or the other by rounding (docs/numerics.md), and the moments of every tensor
    // before them differ by up to 1.7e-2. The heads that no such ReLU follows keep the stated bounds.
    {Kind::kModel, "adam_m3.gru_*", "first moments, heads", {.absolute = kAny, .l2 = 5e-3}},
    {Kind::kModel, "adam_m3.event_fc.*", "first moments, heads", {.absolute = kAny, .l2 = 5e-3}},
    {Kind::kModel, "adam_m3.layer_TAG.*", "first moments, heads", {.absolute = kAny, .l2 = 5e-3}},
    {Kind::kModel, "adam_m3.code_ASC.*", "first moments, heads", {.absolute = kAny, .l2 = 5e-3}},
    {Kind::kModel, "adam_m3.fc_ASC.*", "first moments, heads", {.absolute = kAny, .l2 = 5e-3}},
    {Kind::kModel, "adam_m3.*", "first moments", {.absolute = kAny, .l2 = 2e-2}},
    {Kind::kModel, "adam_v3.*", "second moments", {.absolute = kAny, .l2 = 2e-2}},
    {Kind::kModel, "bn_duptag.*", "batch-norm averages", {.relative = 1e-4}},
    {Kind::kModel, "bnstat.*", "batch-norm averages, statistics", {.relative = 1e-4}},
    {Kind::kModel, "gradstat.*#norm", "gradient norms", {.relative = 1e-3}},
    {Kind::kModel, "gradstat.*#samples", "gradient samples", {.absolute = kAny, .l2 = 5e-3}},
    // The sum of n elements is off by at most sqrt(n) times the norm's bound; it is divided by that before.
    {Kind::kModel, "gradstat.*#sum", "gradient sums", {.absolute = 1e-3}},
    {Kind::kModel, "paramsum.*", "parameters by formula, sums", {.relative = 1e-12}},
    {Kind::kModel, "inputsum.*", "inputs by formula, sums", {.relative = 1e-12}},
};

}  // namespace

const char* reference_kind_name(ReferenceKind kind) {
  switch (kind) {
    case Kind::kOps:
      return "operators";
    case Kind::kMel:
      return "front end";
    case Kind::kMetrics:
      return "metrics";
    case Kind::kInitStats:
      return "initial weights";
    case Kind::kJointBatch:
      return "joint batch";
    case Kind::kModel:
      return "model";
  }
  return "";
}

bool fits(std::string_view pattern, std::string_view text) {
  constexpr std::size_t kNowhere = std::string_view::npos;
  std::size_t p = 0;
  std::size_t t = 0;
  std::size_t star = kNowhere;  // the last '*' seen, and where the text went on behind it
  std::size_t resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != kNowhere) {  // let the '*' take one more character; earlier ones need not be tried again
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == kNowhere;
}

const ToleranceRule* find_tolerance(ReferenceKind kind, std::string_view name) {
  for (const ToleranceRule& rule : kRules) {
    if (rule.kind == kind && fits(rule.pattern, name)) return &rule;
  }
  return nullptr;
}

std::span<const ToleranceRule> tolerance_rules() { return kRules; }

}  // namespace dcase
