#include "dcasenet/weights/weights.hpp"

#include <utility>

#include "dcasenet/weights/torch_file.hpp"
#include "kernels/common/error.hpp"

namespace dcase {

const char* format_name(WeightsFormat format) {
  switch (format) {
    case WeightsFormat::kTorchZip:
      return "PyTorch (zip)";
    case WeightsFormat::kTorchStream:
      return "PyTorch (stream)";
    case WeightsFormat::kSafetensors:
      break;
  }
  return "safetensors";
}

Weights open_weights(const std::string& path, const std::string& key) {
  InputFile file = InputFile::open(path);
  const bool zip = is_torch_zip(file);
  if (zip || is_torch_stream(file)) {
    const TorchFile torch = zip ? open_torch_zip(path) : open_torch_stream(std::move(file));
    StateDict state = read_state_dict(torch, path, key);
    return {.archive = std::move(state.archive),
            .format = zip ? WeightsFormat::kTorchZip : WeightsFormat::kTorchStream,
            .notes = std::move(state.notes)};
  }
  if (!key.empty()) fail(ErrorKind::kUsage, path, ": a key is for PyTorch files, which this is not");
  if (has_torch_extension(path)) {
    fail(ErrorKind::kData, "'", path, "': not a file of torch.save (neither of its two containers)");
  }
  return {.archive = Archive::open(path)};
}

bool has_torch_extension(const std::string& path) { return path.ends_with(".pt") || path.ends_with(".pth"); }

}  // namespace dcase
