#pragma once
/// A DcaseNet with its weights, and everything that is needed to use them: class lists and front-end parameters.
///
/// On disk a model is one safetensors file: the state_dict under the released names and in their order (batch counters
/// as I64 scalars), and in the metadata `dcasenet.architecture`, `dcasenet.labels`, `dcasenet.front_end` as JSON.
/// Tensors whose name starts with "train." belong to a checkpoint's optimiser and are not part of the model.
///
/// Batch-norm averages of single tasks (bn_stats.hpp): `dcasenet.bn_stats` is "pooled" or "per-task", and for each
/// batch norm NAME of the state_dict and each SET of asc, tag, sed and shared (the mixture) the file holds
/// `averages.SET.NAME.running_mean`, `.running_var` and `.num_batches_tracked`. The released names hold the pooled
/// averages then: a program that leaves the others out computes what the mode `pooled` does. Without the metadata such
/// a file is `pooled`; a file without such tensors is `shared`.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dcasenet/bn_stats.hpp"
#include "dcasenet/labels.hpp"
#include "dcasenet/network.hpp"
#include "engine/archive.hpp"
#include "engine/parameters.hpp"
#include "kernels/mel_stft/mel_stft.hpp"

namespace dcase {

/// What a model is, apart from its weights.
struct ModelInfo {
  Architecture architecture;
  LabelSets labels;  ///< as many names as the architecture has classes
  MelParameters front_end;
  BnStats bn_stats = BnStats::kShared;
  std::map<std::string, std::string> metadata;  ///< further entries of the file, kept as they are
};

/// What a model took over from a file (Model::read_matching). Batch counters are not counted.
struct Transfer {
  std::int64_t taken = 0;          ///< tensors, whole
  std::vector<std::string> drawn;  ///< tensors, whole
  struct Head {
    Task task;
    std::vector<std::string> kept, drawn;  ///< names of classes
  };
  std::vector<Head> heads;  ///< those with some rows kept and others drawn, or kept in another order
};

/// Movable. Const members may be called from several threads at once; a model that is being trained belongs to one.
class Model {
 public:
  /// A new model with drawn weights. Throws Error(kArgument) for sizes that cannot be built.
  [[nodiscard]] static Model create(ModelInfo info, std::uint64_t seed, const BackendPtr& backend = Backend::cpu());

  /// Reads a model file for inference (its parameters are constants). A file without the project's metadata but with
  /// the released names is accepted: sizes follow from the shapes, class lists are the built-in ones where they fit.
  /// The same goes for the state_dict in a file of PyTorch (weights/weights.hpp).
  /// Throws Error(kIo) or Error(kData) naming the file and what does not fit.
  [[nodiscard]] static Model load(const std::string& path, const BackendPtr& backend = Backend::cpu());
  [[nodiscard]] static Model load(const Archive& archive, const BackendPtr& backend = Backend::cpu());

  /// Writes the model atomically. Throws Error(kIo).
  void save(const std::string& path) const;
  /// Adds the state and the metadata to an archive that the caller completes. The model outlives the writer.
  void write(ArchiveWriter& writer) const;

  /// Overwrites the whole state from an archive of the same architecture. Throws Error(kData) naming the first tensor
  /// that is missing, foreign or of another shape; the model is unchanged then.
  void read_state(const Archive& archive);
  /// Starts from a model of other sizes, classes or version: takes the tensors of equal name and shape and draws the
  /// others with `seed`. Rows of the heads belong to classes: where the class lists differ, each class that the file
  /// knows by the same name brings its row, and the others are drawn, even if the lists are equally long.
  /// Batch-norm averages of single tasks that are not there start from the common ones. Throws Error(kData) where the
  /// file contradicts itself about its classes.
  Transfer read_matching(const Archive& archive, std::uint64_t seed);
  /// Leaves parts as they are while others are trained, their batch-norm averages included. A part is named by whole
  /// components, as "conv_block1", "layer_ASC.0" or "event_fc.bias". Throws Error(kUsage) for a name that is no part,
  /// with those that are.
  void freeze(const std::vector<std::string>& parts);

  /// What the network computes in evaluation, with the batch-norm statistics of info().bn_stats. x: log-mel
  /// [N,128,T,1]. With `per-task` the trunk runs once for each task.
  [[nodiscard]] Outputs evaluate(const Variable& x, TaskSet tasks) const;
  /// Evaluates with other statistics from now on. From `shared` the averages of single tasks begin without a batch, at
  /// the common ones; back to it the common ones are the mixture again.
  void set_bn_stats(BnStats mode);
  /// Leaves the averages of single tasks behind: the state_dict alone is the model then, `shared`, with the pooled ones
  /// or those of `task`. For programs that know one set. Throws Error(kArgument) where there are none.
  void drop_task_averages(std::optional<Task> task = {});
  /// After training passes: brings the common averages up to date where they are derived. To be called before
  /// evaluating or saving.
  void refresh_averages();

  [[nodiscard]] const ModelInfo& info() const { return info_; }
  [[nodiscard]] ModelInfo& info() { return info_; }
  [[nodiscard]] const Network& network() const { return *network_; }
  [[nodiscard]] ParameterStore& parameters() { return *store_; }
  [[nodiscard]] const ParameterStore& parameters() const { return *store_; }
  [[nodiscard]] const BackendPtr& backend() const { return store_->backend(); }

 private:
  /// One tensor of a model file.
  struct FileEntry {
    std::string name;
    StateEntry entry;
    bool released = true;  ///< part of the state_dict
  };

  Model(ModelInfo info, const BackendPtr& backend);
  [[nodiscard]] std::vector<FileEntry> file_entries() const;

  ModelInfo info_;
  std::unique_ptr<ParameterStore> store_;
  std::unique_ptr<Network> network_;
};

/// What the file says the model is; shapes decide where the metadata is absent. Reads no weights.
[[nodiscard]] ModelInfo read_model_info(const Archive& archive);

}  // namespace dcase
