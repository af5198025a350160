#pragma once
/// Audio files of any format libsndfile reads -> float PCM at the rate of the front end.
///
/// Nothing a file says about itself is believed: memory grows with what has been decoded, never by a size from a
/// header. A bad file throws Error whose message is "<path>: <reason>": kIo where the file cannot be opened, kData for
/// its content (unknown format, truncated, no samples, NaN or infinity, too many channels, impossible rate, too long).

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/mel_stft/mel_stft.hpp"

namespace dcase {

/// Which channels of a file become signals.
struct ChannelRule {
  enum class Mode : std::uint8_t {
    kMix,   ///< one signal, the mean of all channels
    kOne,   ///< one signal, channel `index`
    kEach,  ///< one signal a channel
  };
  Mode mode = Mode::kMix;
  int index = 0;  // of kOne

  /// "mix", "each" or a channel number, as manifests write it; throws kUsage for anything else.
  [[nodiscard]] static ChannelRule parse(const std::string& text);
  [[nodiscard]] std::string name() const;
  friend bool operator==(const ChannelRule&, const ChannelRule&) = default;
};

/// What the file says about itself.
struct AudioInfo {
  std::string path;
  int sample_rate = 0;
  int channels = 0;
  std::int64_t frames = 0;  // -1 where the format does not say
  std::string format;       // "WAV (Microsoft), Signed 24 bit PCM"
  int bits = 0;             // of PCM samples; 0 for compressed formats; 32 or 64 for float
  bool floating = false;
};

/// What was done to a file, and what somebody should know about it. Notes are no errors.
struct AudioNotes {
  bool resampled = false;
  bool downmixed = false;
  bool floating = false;  // float samples: may exceed full scale
  bool bits24 = false;
  bool silent = false;    // every sample is 0
  bool clipping = false;  // a sample of a float file exceeds full scale
  friend bool operator==(const AudioNotes&, const AudioNotes&) = default;
};

struct AudioOptions {
  int sample_rate = 24000;
  ChannelRule channels = {};
  double start = 0;                                      // seconds; samples from round(start * rate) on
  double end = std::numeric_limits<double>::infinity();  // seconds; up to round(end * rate), exclusive
};

/// Reads the header only.
[[nodiscard]] AudioInfo audio_info(const std::string& path);

/// Decodes, picks or mixes channels and resamples in blocks, so that memory does not grow with the length of the file.
/// Not thread-safe; different streams are independent.
class AudioStream {
 public:
  static constexpr float kLoudestSample = kLoudestPcm;
  static constexpr int kMaxChannels = 64;  // third-order Ambisonics has 16, microphone arrays up to 64
  static constexpr int kMinRate = 1000;    // Hz; below, the file's header is damaged rather than the recording slow
  static constexpr int kMaxRate = 768000;  // Hz; the fastest converters

  explicit AudioStream(const std::string& path, const AudioOptions& options = {});
  ~AudioStream();
  AudioStream(AudioStream&&) noexcept;
  AudioStream& operator=(AudioStream&&) noexcept;

  [[nodiscard]] const AudioInfo& info() const;
  [[nodiscard]] int signals() const;  // 1, or the channels for kEach
  /// Appends the next block (about a second) to the signals, which grow alike. False at the end, when nothing was
  /// added. The last call checks that the file was complete.
  bool read(std::vector<std::vector<float>>& signals);
  [[nodiscard]] const AudioNotes& notes() const;  // complete after the last read

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct AudioData {
  std::vector<std::vector<float>> signals;  // one (kMix, kOne) or one a channel (kEach), at AudioOptions::sample_rate
  AudioInfo source;
  AudioNotes notes;
};

/// A whole file. Throws kData when a signal would exceed `max_samples` (default: four hours at 24 kHz), for a small
/// file can decode to a huge one.
[[nodiscard]] AudioData load_audio(const std::string& path, const AudioOptions& options = {},
                                   std::int64_t max_samples = std::int64_t{4} * 3600 * 24000);

/// Writes 16-bit WAV, one channel a signal: nearest, clipped to full scale. Throws kIo.
void save_wav(const std::string& path, const std::vector<std::vector<float>>& signals, int sample_rate);

}  // namespace dcase
