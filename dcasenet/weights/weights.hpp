#pragma once
/// Weights in and out: model files of this project (safetensors) and files of PyTorch, recognised by their content.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/archive.hpp"

namespace dcase {

enum class WeightsFormat : std::uint8_t {
  kSafetensors,
  kTorchZip,     ///< torch.save of torch 1.6 and later
  kTorchStream,  ///< torch.save of before, or with `_use_new_zipfile_serialization=False`
};

/// "safetensors", "PyTorch (zip)", "PyTorch (stream)"
[[nodiscard]] const char* format_name(WeightsFormat format);

struct Weights {
  Archive archive;  ///< of a PyTorch file: in memory
  WeightsFormat format = WeightsFormat::kSafetensors;
  std::vector<std::string> notes;  ///< what was passed over or renamed on the way, a sentence each
};

/// Opens a file of tensors. Of a PyTorch file nothing is executed: it is read as data (pickle.hpp), and what is no
/// dictionary of tensors is refused. `key` says which dictionary, where a file holds several (torch_file.hpp).
/// Throws Error(kIo), or Error(kData) naming the file and what is wrong with it.
[[nodiscard]] Weights open_weights(const std::string& path, const std::string& key = "");

/// The attribute of the dictionary that carries the metadata in a PyTorch file: a dict of strings.
inline constexpr std::string_view kTorchMetadata = "dcasenet_metadata";

/// Writes a file for torch.load: an OrderedDict of tensors in the archive's order and types, which
/// `torch.load(path, weights_only=True)` takes as well; `.dcasenet_metadata` of it holds the archive's metadata.
/// The same archive gives the same bytes. Atomic. Throws Error(kIo), Error(kArgument) for types that torch lacks.
void write_torch(const Archive& archive, const std::string& path);

/// Whether the name ends as PyTorch files do: .pt or .pth.
[[nodiscard]] bool has_torch_extension(const std::string& path);

}  // namespace dcase
