#pragma once
/// All recordings of a data set, decoded and resampled once, in one memory-mapped file.
///
/// Samples are 16-bit with one power-of-two factor a recording, the smallest that does not clip: a 16-bit source at the
/// front end's rate is stored without loss, and a quiet 24-bit recording keeps its low bits. float32 storage is an
/// option.
///
/// `prepare` decodes only the recordings that are not in the file already or whose source changed (size, modification
/// time, options). The file is written beside its final name and renamed when it is complete and on disk, so a kill at
/// any moment leaves the former file or the new one. Preparing processes exclude each other through a lock file;
/// readers of a replaced file keep what they mapped. A file that is damaged or of another version is rebuilt with a
/// note.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/mel_stft/mel_stft.hpp"
#include "train/data/audio_file.hpp"
#include "train/data/words.hpp"

namespace dcase {

enum class BadFilePolicy : std::uint8_t {
  kStop,  ///< one Error(kData) that names every bad file
  kSkip,  ///< the item is unusable, the report names it
};
inline constexpr Words<BadFilePolicy, 2> kBadFilePolicyWords = {
    {{"stop", BadFilePolicy::kStop}, {"skip", BadFilePolicy::kSkip}}};

struct CacheSource {
  std::string path;
  ChannelRule channels = {};
  bool statistics = false;  // keep mean and deviation of the log-mel over the whole recording, per signal
  double start = 0;         // seconds, as in AudioOptions
  double end = std::numeric_limits<double>::infinity();
};

struct CacheRequest {
  std::string file;                  // of the cache; its folder is created
  std::vector<CacheSource> sources;  // item i of the cache is source i; equal sources share their samples
};

struct CacheOptions {
  MelParameters mel = {};  // sample_rate is the rate of the cache
  bool float32 = false;
  BadFilePolicy on_bad_file = BadFilePolicy::kStop;
  int threads = 0;                                            // 0: one a core
  std::int64_t max_samples = std::int64_t{4} * 3600 * 24000;  // per signal; a worker holds one recording in float
};

struct CacheProgress {
  std::int64_t done = 0;
  std::int64_t total = 0;  // recordings that have to be decoded
  std::string current;     // path, or what is being waited for
};
/// Called from one thread at a time. What it throws ends the preparation, leaving the former file.
using CacheProgressCallback = std::function<void(const CacheProgress&)>;

struct BadFile {
  std::string path;
  std::string reason;
};

/// What `prepare` found and did; counts are of items.
struct CacheReport {
  std::int64_t listed = 0;
  std::int64_t decoded = 0;
  std::int64_t reused = 0;
  std::vector<BadFile> bad;  // only with kSkip
  std::int64_t resampled = 0;
  std::int64_t downmixed = 0;
  std::int64_t floating = 0;
  std::int64_t bits24 = 0;
  std::int64_t clipping = 0;
  std::vector<std::string> silent;  // paths
  std::vector<std::string> notes;   // "cache rebuilt: ..."
};

/// Read-only; copies share the mapping; every member is thread-safe.
class PcmCache {
 public:
  /// One recording. Spans live as long as any copy of the cache.
  class Item {
   public:
    [[nodiscard]] bool usable() const { return usable_; }  // false for a bad file under kSkip: it has no signals
    [[nodiscard]] int signals() const { return signals_; }
    [[nodiscard]] std::int64_t samples() const { return samples_; }  // of each signal
    [[nodiscard]] PcmView pcm(int signal) const;                     // [samples], 16-bit or float
    /// Part of a signal: samples first .. first+count-1, which must exist.
    [[nodiscard]] PcmView pcm(int signal, std::int64_t first, std::int64_t count) const;
    [[nodiscard]] std::span<const std::int16_t> pcm16(int signal) const;  // throws for a float32 cache
    [[nodiscard]] float scale() const { return scale_; }                  // float = pcm16 * scale
    [[nodiscard]] const AudioNotes& notes() const { return notes_; }
    [[nodiscard]] View<const float> mean(int signal) const;  // [mels]; absent without CacheSource::statistics
    [[nodiscard]] View<const float> std(int signal) const;   // [mels], not clamped

   private:
    friend class PcmCache;
    bool usable_ = false;
    bool float32_ = false;
    int signals_ = 0;
    int mels_ = 0;
    std::int64_t samples_ = 0;
    float scale_ = 1;
    const void* data_ = nullptr;         // [signals, samples]
    const float* statistics_ = nullptr;  // [signals, 2, mels]
    AudioNotes notes_ = {};
  };

  [[nodiscard]] static PcmCache prepare(const CacheRequest& request, const CacheOptions& options = {},
                                        const CacheProgressCallback& progress = {});

  [[nodiscard]] std::int64_t size() const;
  [[nodiscard]] const Item& item(std::int64_t index) const;  // throws kArgument outside 0 .. size()-1
  [[nodiscard]] const CacheReport& report() const;
  [[nodiscard]] std::int64_t bytes() const;  // of the file

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace dcase
