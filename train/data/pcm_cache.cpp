#include "train/data/pcm_cache.hpp"

#include <omp.h>
#include <sys/stat.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <tuple>
#include <unordered_map>

#include "engine/arena.hpp"
#include "kernels/common/error.hpp"
#include "train/data/pcm_cache_file.hpp"

namespace dcase {

namespace {

constexpr std::int64_t kStatisticsBlock = 2048;  // frames of log-mel at a time: 1 MiB

/// A recording that has been decoded, or the reason why it could not be.
struct Prepared {
  cache::Entry entry;
  std::vector<std::byte> pcm;
  std::vector<float> statistics;
  std::string bad;
};

/// The smallest power of two by which no sample leaves 16 bits. Samples that came from 16 bits stay exact.
float scale_of(const std::vector<std::vector<float>>& signals) {
  float low = 0;
  float high = 0;
  for (const std::vector<float>& signal : signals) {
    for (const float x : signal) {
      low = std::min(low, x);
      high = std::max(high, x);
    }
  }
  const float peak = std::max(-low, high);
  if (peak == 0) return 0x1p-15F;
  int exponent = 0;
  std::frexp(peak, &exponent);
  exponent = std::max(exponent - 16, -100);  // below lies nothing but denormals
  const auto fits = [&](int e) {
    return std::nearbyint(std::ldexp(high, -e)) <= 32767 && std::nearbyint(std::ldexp(low, -e)) >= -32768;
  };
  while (!fits(exponent)) ++exponent;
  return std::ldexp(1.0F, exponent);
}

PcmView view_of(const std::byte* pcm, bool float32, std::int64_t samples, float scale) {
  if (float32) return View<const float>(reinterpret_cast<const float*>(pcm), {samples});
  return PcmView(View<const std::int16_t>(reinterpret_cast<const std::int16_t*>(pcm), {samples}), scale);
}

/// Mean and deviation of the log-mel of each signal, from the samples as they are stored.
std::vector<float> statistics_of(const Prepared& prepared, bool float32, const MelTables& tables) {
  const std::int64_t M = tables.parameters().mels;
  Arena arena;
  const Context context = {.device = {}, .stream = {}, .allocator = &arena};
  const cache::Entry& e = prepared.entry;
  std::vector<float> statistics(static_cast<std::size_t>(e.signals * 2 * M));
  std::vector<float> block;
  for (std::int64_t s = 0; s < e.signals; ++s) {
    const std::byte* pcm = prepared.pcm.data() + s * e.samples * (float32 ? 4 : 2);
    const std::int64_t frames = mel_frames(e.samples, tables.parameters());
    MelMoments moments(static_cast<int>(M));
    for (std::int64_t t = 0; t < frames; t += kStatisticsBlock) {
      const std::int64_t count = std::min(kStatisticsBlock, frames - t);
      block.resize(static_cast<std::size_t>(M * count));
      const View<float> out(block.data(), {M, count});
      mel_forward({.pcm = view_of(pcm, float32, e.samples, e.scale), .first_frame = t, .out = out}, tables, context);
      moments.add(out);
    }
    float* mean = statistics.data() + s * 2 * M;
    moments.result(View<float>(mean, {M}), View<float>(mean + M, {M}));
  }
  return statistics;
}

Prepared decode(const cache::Key& key, const CacheOptions& options, const MelTables& tables) {
  Prepared result;
  result.entry.key = key;
  AudioData audio;
  try {
    audio = load_audio(
        key.path,
        {.sample_rate = options.mel.sample_rate, .channels = key.channels, .start = key.start, .end = key.end},
        options.max_samples);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kData && error.kind() != ErrorKind::kIo) throw;
    result.bad = error.what();
    const std::string prefix = key.path + ": ";
    if (result.bad.starts_with(prefix)) result.bad.erase(0, prefix.size());
    return result;
  }
  cache::Entry& e = result.entry;
  e.notes = audio.notes;
  e.signals = static_cast<std::int32_t>(audio.signals.size());
  e.samples = static_cast<std::int64_t>(audio.signals[0].size());
  e.scale = options.float32 ? 1.0F : scale_of(audio.signals);
  const float inverse = 1 / e.scale;  // a power of two: exact
  for (std::vector<float>& signal : audio.signals) {
    const std::size_t begin = result.pcm.size();
    result.pcm.resize(begin + signal.size() * (options.float32 ? 4 : 2));
    if (options.float32) {
      std::copy_n(signal.data(), signal.size(), reinterpret_cast<float*>(result.pcm.data() + begin));
    } else {
      auto* out = reinterpret_cast<std::int16_t*>(result.pcm.data() + begin);
      for (std::size_t i = 0; i < signal.size(); ++i)
        out[i] = static_cast<std::int16_t>(std::lrint(signal[i] * inverse));
    }
    std::vector<float>().swap(signal);
  }
  if (key.statistics) result.statistics = statistics_of(result, options.float32, tables);
  return result;
}

/// Decodes a list of recordings in threads of its own and hands the results out in the order of the list. Workers run
/// at most a few recordings ahead of the consumer, which bounds the memory.
class Decoding {
 public:
  Decoding(const std::vector<cache::Key>& keys, const CacheOptions& options)
      : keys_(keys), options_(options), tables_(options.mel), results_(keys.size()) {
    const auto cores = static_cast<int>(std::thread::hardware_concurrency());
    const int wanted = std::max(1, options.threads > 0 ? options.threads : cores);
    const int threads = static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(wanted), keys.size()));
    ahead_ = static_cast<std::size_t>(threads) + 2;
    try {
      for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
    } catch (...) {
      stop();
      throw;
    }
  }
  ~Decoding() { stop(); }
  Decoding(const Decoding&) = delete;
  Decoding& operator=(const Decoding&) = delete;

  /// The next result in order. Rethrows what a worker threw.
  Prepared next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return results_[taken_].has_value() || failure_ != nullptr; });
    if (failure_ != nullptr) std::rethrow_exception(failure_);
    Prepared result = std::move(*results_[taken_]);
    results_[taken_++].reset();
    changed_.notify_all();
    return result;
  }

 private:
  void work() {
    omp_set_num_threads(1);  // of this thread: the recordings are the parallel unit
    for (;;) {
      std::size_t index = 0;
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return stopped_ || started_ == keys_.size() || started_ < taken_ + ahead_; });
        if (stopped_ || started_ == keys_.size()) return;
        index = started_++;
      }
      std::optional<Prepared> result;
      std::exception_ptr failure;
      try {
        result = decode(keys_[index], options_, tables_);
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard lock(mutex_);
      results_[index] = std::move(result);
      if (failure != nullptr) failure_ = failure;
      changed_.notify_all();
    }
  }
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      changed_.notify_all();
    }
    for (std::thread& thread : threads_) thread.join();
  }

  const std::vector<cache::Key>& keys_;
  const CacheOptions& options_;
  const MelTables tables_;
  std::mutex mutex_;  // of all below
  std::condition_variable changed_;
  std::vector<std::optional<Prepared>> results_;
  std::size_t started_ = 0;
  std::size_t taken_ = 0;
  std::size_t ahead_ = 0;
  bool stopped_ = false;
  std::exception_ptr failure_;
  std::vector<std::thread> threads_;
};

/// Distinct recordings of a request, and which one each source is.
struct Recordings {
  std::vector<cache::Key> keys;
  std::vector<std::string> bad;      // [keys] reason, empty for good ones
  std::vector<std::size_t> of_item;  // [sources]
};

Recordings distinct(const std::vector<CacheSource>& sources) {
  Recordings list;
  std::map<std::tuple<std::string, int, int, bool, double, double>, std::size_t> known;
  for (const CacheSource& source : sources) {
    const auto [at, is_new] = known.try_emplace({source.path, static_cast<int>(source.channels.mode),
                                                 source.channels.index, source.statistics, source.start, source.end},
                                                list.keys.size());
    list.of_item.push_back(at->second);
    if (!is_new) continue;
    cache::Key key = {.path = source.path,
                      .size = 0,
                      .mtime = 0,
                      .channels = source.channels,
                      .statistics = source.statistics,
                      .start = source.start,
                      .end = source.end};
    std::string bad;
    struct stat status = {};
    if (::stat(source.path.c_str(), &status) == 0) {  // before decoding: a later change is seen the next time
      key.size = static_cast<std::uint64_t>(status.st_size);
      key.mtime = std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec;
    } else {
      bad = concat("cannot be opened: ", std::generic_category().message(errno));
    }
    list.keys.push_back(std::move(key));
    list.bad.push_back(std::move(bad));
  }
  return list;
}

/// The former cache file, if it is there, sound, and of the layout wanted; else null and a note that says why.
std::shared_ptr<const cache::Mapping> open_former(const std::string& path, const cache::Layout& layout,
                                                  std::vector<std::string>& notes) {
  if (!std::filesystem::exists(path)) return nullptr;
  try {
    auto mapping = std::make_shared<const cache::Mapping>(path);
    if (mapping->layout() == layout) return mapping;
    notes.push_back(concat("cache '", path, "' rebuilt: it was made with other parameters"));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kIo) throw;
    notes.push_back(concat("cache '", path, "' rebuilt: ", error.what()));
  }
  return nullptr;
}

std::unordered_map<std::string, std::vector<const cache::Entry*>> by_path(const cache::Mapping* mapping) {
  std::unordered_map<std::string, std::vector<const cache::Entry*>> entries;
  if (mapping == nullptr) return entries;
  for (const cache::Entry& entry : mapping->entries()) entries[entry.key.path].push_back(&entry);
  return entries;
}

const cache::Entry* find(const std::unordered_map<std::string, std::vector<const cache::Entry*>>& entries,
                         const cache::Key& key) {
  const auto at = entries.find(key.path);
  if (at == entries.end()) return nullptr;
  for (const cache::Entry* entry : at->second)
    if (entry->key == key) return entry;
  return nullptr;
}

}  // namespace

struct PcmCache::State {
  std::shared_ptr<const cache::Mapping> mapping;  // null when no item is usable
  std::vector<Item> items;
  CacheReport report;
};

PcmView PcmCache::Item::pcm(int signal) const { return pcm(signal, 0, samples_); }

PcmView PcmCache::Item::pcm(int signal, std::int64_t first, std::int64_t count) const {
  DCASE_CHECK(signal >= 0 && signal < signals_, "pcm cache: signal ", signal, " of ", signals_);
  DCASE_CHECK(first >= 0 && count >= 0 && first <= samples_ && count <= samples_ - first, "pcm cache: samples ", first,
              " .. ", first + count, " of ", samples_);
  const std::int64_t offset = signal * samples_ + first;
  return view_of(static_cast<const std::byte*>(data_) + offset * (float32_ ? 4 : 2), float32_, count, scale_);
}

std::span<const std::int16_t> PcmCache::Item::pcm16(int signal) const {
  DCASE_CHECK(!float32_, "pcm cache: the samples are stored in float32");
  return {pcm(signal).i16.data, static_cast<std::size_t>(samples_)};
}

View<const float> PcmCache::Item::mean(int signal) const {
  DCASE_CHECK(signal >= 0 && signal < signals_, "pcm cache: signal ", signal, " of ", signals_);
  if (statistics_ == nullptr) return {};
  return View<const float>(statistics_ + std::int64_t{signal} * 2 * mels_, {mels_});
}

View<const float> PcmCache::Item::std(int signal) const {
  View<const float> view = mean(signal);
  if (view.present()) view.data += mels_;
  return view;
}

std::int64_t PcmCache::size() const { return state_ == nullptr ? 0 : static_cast<std::int64_t>(state_->items.size()); }

const PcmCache::Item& PcmCache::item(std::int64_t index) const {
  DCASE_CHECK(index >= 0 && index < size(), "pcm cache: item ", index, " of ", size());
  return state_->items[static_cast<std::size_t>(index)];
}

const CacheReport& PcmCache::report() const {
  DCASE_CHECK(state_ != nullptr, "pcm cache: not prepared");
  return state_->report;
}

std::int64_t PcmCache::bytes() const {
  return state_ == nullptr || state_->mapping == nullptr ? 0 : static_cast<std::int64_t>(state_->mapping->size());
}

PcmCache PcmCache::prepare(const CacheRequest& request, const CacheOptions& options,
                           const CacheProgressCallback& progress) {
  validate(options.mel);
  const cache::Layout layout = {.mel = options.mel, .float32 = options.float32};
  const auto state = std::make_shared<State>();
  CacheReport& report = state->report;

  std::error_code ignored;  // the lock reports a folder that cannot be made
  const std::filesystem::path folder = std::filesystem::path(request.file).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, ignored);
  const cache::Lock lock(request.file, [&] {
    if (progress)
      progress({.done = 0, .total = 0, .current = concat("waiting for the process that prepares ", request.file)});
  });
  if (lock.held()) cache::remove_partial(request.file);

  Recordings recordings = distinct(request.sources);
  const std::size_t count = recordings.keys.size();
  state->mapping = open_former(request.file, layout, report.notes);
  const auto former = by_path(state->mapping.get());
  std::vector<const cache::Entry*> kept(count);
  std::vector<cache::Key> missing;
  for (std::size_t i = 0; i < count; ++i) {
    kept[i] = recordings.bad[i].empty() ? find(former, recordings.keys[i]) : nullptr;
    if (kept[i] == nullptr && recordings.bad[i].empty()) missing.push_back(recordings.keys[i]);
  }
  std::vector<bool> decoded(count);
  if (!missing.empty()) {
    if (!lock.held())
      fail(ErrorKind::kIo, "cannot write '", request.file, "': ", missing.size(),
           " recordings are not in it, and its folder is not writable");
    cache::Writer writer(request.file, layout);
    CacheProgress state_of = {.done = 0, .total = static_cast<std::int64_t>(missing.size()), .current = {}};
    Decoding decoding(missing, options);
    for (std::size_t i = 0; i < count; ++i) {
      if (kept[i] != nullptr) {
        writer.copy(*state->mapping, *kept[i]);
      } else if (recordings.bad[i].empty()) {
        const Prepared prepared = decoding.next();
        recordings.bad[i] = prepared.bad;
        decoded[i] = prepared.bad.empty();
        if (decoded[i]) writer.add(prepared.entry, prepared.pcm, std::as_bytes(std::span(prepared.statistics)));
        ++state_of.done;
        state_of.current = prepared.entry.key.path;
        if (progress) progress(state_of);
      }
    }
    // Also when bad files will stop the program below: the good ones are then not decoded again.
    if (std::find(decoded.begin(), decoded.end(), true) != decoded.end()) {
      writer.commit();
      state->mapping = std::make_shared<const cache::Mapping>(request.file);
    }
  }

  for (std::size_t i = 0; i < count; ++i)
    if (!recordings.bad[i].empty()) report.bad.push_back({recordings.keys[i].path, recordings.bad[i]});
  if (!report.bad.empty() && options.on_bad_file == BadFilePolicy::kStop) {
    std::string list;
    for (const BadFile& bad : report.bad) list += "\n  " + bad.path + ": " + bad.reason;
    fail(ErrorKind::kData, report.bad.size(), " of ", count,
         " recordings cannot be used; repair or remove them, or skip them (--on-bad-file skip):", list);
  }

  const auto entries = by_path(state->mapping.get());
  report.listed = static_cast<std::int64_t>(request.sources.size());
  for (const std::size_t i : recordings.of_item) {
    Item item;
    if (recordings.bad[i].empty()) {
      const cache::Entry* e = find(entries, recordings.keys[i]);
      DCASE_CHECK(e != nullptr, "pcm cache: no entry for ", recordings.keys[i].path);
      item.usable_ = true;
      item.float32_ = layout.float32;
      item.signals_ = e->signals;
      item.mels_ = layout.mel.mels;
      item.samples_ = e->samples;
      item.scale_ = e->scale;
      item.data_ = state->mapping->at(e->offset);
      if (e->key.statistics)
        item.statistics_ = reinterpret_cast<const float*>(state->mapping->at(e->statistics_offset));
      item.notes_ = e->notes;
      ++(decoded[i] ? report.decoded : report.reused);
      report.resampled += e->notes.resampled;
      report.downmixed += e->notes.downmixed;
      report.floating += e->notes.floating;
      report.bits24 += e->notes.bits24;
      report.clipping += e->notes.clipping;
      if (e->notes.silent) report.silent.push_back(e->key.path);
    }
    state->items.push_back(item);
  }
  PcmCache result;
  result.state_ = state;
  return result;
}

}  // namespace dcase
