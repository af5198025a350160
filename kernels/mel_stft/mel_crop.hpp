#pragma once
#include <cstdint>

namespace dcase {

/// A signal within a pool of PCM, and the first of its frames that is asked for. A crop whose ends are ends of the
/// signal, as in training on scenes and tags, is a signal of its own; frames of the middle of a recording, with their
/// true neighbours, are frames of the recording.
struct MelCrop {
  std::int64_t begin = 0;    ///< in the pool
  std::int64_t samples = 0;  ///< S; both ends are mirrored
  std::int64_t first_frame = 0;
};

}  // namespace dcase
