#pragma once
/// Batches of one task: which examples, which crop, which mix-up partners. Everything is drawn from (seed, task, step),
/// so a batch is a function of its number: any thread may make it, and a resumed run needs no loader state.

#include <cstdint>
#include <memory>
#include <vector>

#include "dcasenet/task.hpp"
#include "engine/tensor.hpp"
#include "kernels/common/philox.hpp"
#include "kernels/mel_stft/mel_stft.hpp"
#include "train/data/dataset.hpp"
#include "train/data/pcm_cache.hpp"

namespace dcase {

struct Batch {
  Task task = Task::kAsc;
  Tensor x;       ///< [N,128,T,1] normalised log-mel
  Tensor target;  ///< ASC, TAG [N,K]; SED [N,T/5,K] at 100 ms
};

struct BatchOptions {
  std::int64_t batch_size = 1;
  std::int64_t crop_frames = 251;  ///< ASC, TAG: 251 = 5 s; SED: 1500 = 30 s
  std::uint64_t seed = 0;
  double mixup_alpha = 0;            ///< of Beta(alpha, alpha); 0: no mix-up
  std::int64_t mixup_from_step = 0;  ///< first step that mixes
};

/// The audio and labels that batches are cut from. Cache items are the data set's, in order.
struct TaskSource {
  Task task = Task::kAsc;
  std::shared_ptr<const Dataset> dataset;
  PcmCache cache;
};

/// Examples of the training split that know the task and are readable, in item order. Throws Error(kData) if none is.
[[nodiscard]] std::vector<Example> training_examples(const TaskSource& source);

/// Samples first .. first+count-1 of a signal as float; zeros beyond its end.
void read_samples(const PcmCache::Item& item, int signal, std::int64_t first, std::int64_t count, float* out);

class Batcher {
 public:
  /// The front end runs on `backend`, where the batches are. Throws Error(kData) where the training split has nothing
  /// for the task, Error(kUsage) for sizes that make no sense.
  Batcher(TaskSource source, const BatchOptions& options, MelTables tables, BackendPtr backend);

  /// Batch number `step`: examples step*N .. step*N+N-1 of an endless sequence of permutations.
  [[nodiscard]] Batch make(std::int64_t step) const;

  [[nodiscard]] std::int64_t example_count() const { return static_cast<std::int64_t>(examples_.size()); }
  [[nodiscard]] Task task() const { return source_.task; }

 private:
  [[nodiscard]] std::vector<Example> choose(std::int64_t step) const;
  void cut_clip(const Example& example, std::uint64_t draw, View<float> samples) const;
  /// A batch before the front end.
  struct Audio {
    std::vector<float> pool;     // PCM of all items
    std::vector<MelCrop> crops;  // an item's signal and frames within it
    std::vector<float> mean;     // [N,mels] of whole recordings; empty where items are normalised by their own
    std::vector<float> std;
    std::vector<float> target;
  };
  [[nodiscard]] Audio cut_clips(const std::vector<Example>& chosen, std::int64_t step) const;
  [[nodiscard]] Audio cut_recordings(const std::vector<Example>& chosen, std::int64_t step) const;

  TaskSource source_;
  BatchOptions options_;
  BackendPtr backend_;  // ahead of the tables, which may keep a copy in its memory
  MelTables tables_;
  std::vector<Example> examples_;
  std::int64_t classes_;
};

/// One draw of Beta(alpha, alpha) for mix-up, as a function of the key (Joehnk's method, alpha <= 1 or rejection).
[[nodiscard]] double draw_beta(double alpha, const RandomKey& key);

}  // namespace dcase
