#pragma once
/// Files that torch.save wrote: a pickle and the storages that it names. Two containers are known: the zip of
/// torch 1.6 and later, and the stream of before (`_use_new_zipfile_serialization=False`).

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dcasenet/weights/pickle.hpp"
#include "engine/archive.hpp"
#include "engine/files.hpp"

namespace dcase {

/// An opened file: its pickle, read and checked, and a way to its storages.
struct TorchFile {
  Pickle pickle;
  std::uint64_t size = 0;  ///< bytes of the file
  /// The bytes of one of pickle.storages, each read when asked for. Throws Error(kData) where its size in the file is
  /// not the one that the pickle states.
  std::function<std::vector<std::byte>(const PickledStorage&)> read;
};

/// Whether the file begins as the container does.
[[nodiscard]] bool is_torch_zip(const InputFile& file);
[[nodiscard]] bool is_torch_stream(const InputFile& file);

/// Nothing is unpacked to the disk; entries are refused when they are compressed (torch stores them as they are), when
/// a name appears twice, or when their sizes together exceed the file. Throws Error(kData), Error(kIo).
[[nodiscard]] TorchFile open_torch_zip(const std::string& path);
[[nodiscard]] TorchFile open_torch_stream(InputFile file);

/// What was found on the way from a file's objects to one list of tensors.
struct StateDict {
  Archive archive;                 ///< in memory, contiguous, in the file's order
  std::vector<std::string> notes;  ///< what was passed over or renamed, a sentence each
};

/// The dictionary of tensors in the file. With an empty `key` it is the one that holds a DcaseNet, or the only one
/// there is; otherwise the one at this path ("model", "checkpoint.state_dict"). Prefixes that wrappers put before all
/// names
/// ("module." of DataParallel, "_orig_mod." of torch.compile, "model.") are removed. Throws Error(kData) where there
/// is none or more than one, or where the tensors together are far larger than the file.
[[nodiscard]] StateDict read_state_dict(const TorchFile& file, const std::string& path, const std::string& key);

}  // namespace dcase
