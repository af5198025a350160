#pragma once
/// A DcaseNet with its weights, and everything that is needed to use them: class lists and front-end parameters.
///
/// On disk a model is one safetensors file: the state_dict under the released names and in their order (batch counters
/// as I64 scalars), and in the metadata `dcasenet.architecture`, `dcasenet.labels`, `dcasenet.front_end` as JSON.
/// Tensors whose name starts with "train." belong to a checkpoint's optimiser and are not part of the model.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

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
  std::map<std::string, std::string> metadata;  ///< further entries of the file, kept as they are
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
  /// Takes the tensors of equal name and shape, draws the others with `seed`; returns the names of those drawn.
  std::vector<std::string> read_matching(const Archive& archive, std::uint64_t seed);

  [[nodiscard]] const ModelInfo& info() const { return info_; }
  [[nodiscard]] ModelInfo& info() { return info_; }
  [[nodiscard]] const Network& network() const { return *network_; }
  [[nodiscard]] ParameterStore& parameters() { return *store_; }
  [[nodiscard]] const ParameterStore& parameters() const { return *store_; }
  [[nodiscard]] const BackendPtr& backend() const { return store_->backend(); }

 private:
  Model(ModelInfo info, const BackendPtr& backend);

  ModelInfo info_;
  std::unique_ptr<ParameterStore> store_;
  std::unique_ptr<Network> network_;
};

/// What the file says the model is; shapes decide where the metadata is absent. Reads no weights.
[[nodiscard]] ModelInfo read_model_info(const Archive& archive);

}  // namespace dcase
