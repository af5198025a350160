#pragma once
/// Inference: PCM of any length, or log-mel, through a model.
///
///     auto model = std::make_shared<const Model>(Model::load("v3.safetensors"));
///     const Prediction p = Session(model).run(pcm);   // mono float at model->info().front_end.sample_rate
///     p.asc[k], p.tag[k], p.sed_at(frame, k)
///
/// Windows, in the terms of the training data (DcaseNet was trained on 5 s, 5 s and 30 s):
///  - scenes: crops of 5 s every 2.5 s and the last 5 s, softmax averaged; a shorter recording is repeated to 5 s;
///  - tags: up to 30 s whole; longer ones in windows of 30 s, the last one ending with the recording, probabilities
///    averaged; a spectrogram under 40 frames is doubled in time;
///  - events: windows of 60 s, each normalised alone, overlapping by 2 s of which each side gives up one; the last
///    window of a longer recording ends with it, so no short tail is normalised alone. Frames are padded to whole steps
///    (0.8 s) with the mean of each mel row, and the result is cut back.
/// A recording of 10 s (60 s for events) gives the crops of the reference evaluation exactly.

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dcasenet/model.hpp"

namespace dcase {

/// Probabilities for one recording; empty for tasks that were not asked for.
struct Prediction {
  double seconds = 0;
  std::vector<float> asc;  ///< [K], sums to 1
  std::vector<float> tag;  ///< [K]
  std::vector<float> sed;  ///< [frames,K], 10 frames a second, ceil(10 * seconds) of them
  std::int64_t sed_frames = 0;
  std::int64_t sed_classes = 0;
  [[nodiscard]] float sed_at(std::int64_t frame, std::int64_t k) const {
    return sed[static_cast<std::size_t>(frame * sed_classes + k)];
  }
};

/// What the network computes for log-mel input, as values.
struct NetworkOutputs {
  Tensor asc;  ///< [N,K] logits
  Tensor tag;  ///< [N,K] logits
  Tensor sed;  ///< [N,8*(T/40),K] probabilities
};

/// Shares the model; any number of sessions may run at once. `run` may be called from several threads. Tasks have
/// windows of their own in `run`, hence passes of their own; `run_log_mel` runs the trunk once for all of them, unless
/// the model has batch-norm statistics per task (bn_stats.hpp).
class Session {
 public:
  explicit Session(std::shared_ptr<const Model> model);

  /// Throws Error(kArgument) for fewer than two samples, Error(kNumeric) for samples that are NaN or beyond
  /// kLoudestPcm.
  [[nodiscard]] Prediction run(std::span<const float> pcm, TaskSet tasks = TaskSet::all()) const;
  /// The network alone: normalised log-mel [N,128,T] with T >= 40, frames fastest.
  [[nodiscard]] NetworkOutputs run_log_mel(View<const float> log_mel, TaskSet tasks = TaskSet::all()) const;

  [[nodiscard]] const Model& model() const { return *model_; }
  [[nodiscard]] const MelTables& mel() const { return mel_; }

 private:
  std::shared_ptr<const Model> model_;
  MelTables mel_;
};

/// A recording that arrives in pieces; keeps about a minute of it whatever its length. One thread at a time.
class Predictor {
 public:
  Predictor(const Session& session, TaskSet tasks);
  void push(std::span<const float> pcm);
  /// Ends the recording. The predictor is then ready for another one.
  [[nodiscard]] Prediction finish();

 private:
  [[nodiscard]] std::span<const float> samples(std::int64_t first, std::int64_t count) const;
  void run_complete_windows();
  void run_asc(std::int64_t first);
  void run_tag(std::int64_t first, std::int64_t count);
  void run_sed(std::int64_t first, std::int64_t count, bool last);
  void forget();

  const Session* session_;
  TaskSet tasks_;
  std::vector<float> buffer_;  // samples from base_ on
  std::int64_t base_ = 0;
  std::int64_t asc_next_ = 0;  // first sample of the next window of each task
  std::int64_t tag_next_ = 0;
  std::int64_t sed_next_ = 0;
  std::int64_t asc_windows_ = 0;
  std::int64_t tag_windows_ = 0;
  std::vector<double> asc_sum_, tag_sum_;
  std::vector<float> sed_;
};

}  // namespace dcase
