#pragma once
/// The file of a PcmCache: its layout, a checked mapping of it, its writer, and the lock. Internal to pcm_cache.
///
///   0                 FileHeader
///   kDataStart        per recording, aligned to 64 bytes: samples [signals, samples] in 16 bits or float32,
///                     then, where wanted, float mean and deviation [signals, 2, mels] of the log-mel
///   index_offset      the index: fields in the order of `encode`, numbers in the machine's byte order
///
/// Size and checksum of the index stand in the header, and the index says where everything is; every number is checked
/// against the size of the file before it is used. A machine of the other byte order sees a wrong magic number.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/files.hpp"
#include "train/data/pcm_cache.hpp"

namespace dcase::cache {

/// What identifies a recording; equal keys have equal samples.
struct Key {
  std::string path;
  std::uint64_t size = 0;  // of the source file
  std::int64_t mtime = 0;  // of the source file, nanoseconds
  ChannelRule channels = {};
  bool statistics = false;
  double start = 0;
  double end = 0;
  friend bool operator==(const Key&, const Key&) = default;
};

struct Entry {
  Key key;
  AudioNotes notes = {};
  std::int32_t signals = 0;
  std::int64_t samples = 0;  // of each signal
  float scale = 1;
  std::uint64_t offset = 0;             // of the samples
  std::uint64_t statistics_offset = 0;  // 0 without statistics
};

/// What all recordings of a file have in common.
struct Layout {
  MelParameters mel = {};
  bool float32 = false;
  friend bool operator==(const Layout&, const Layout&) = default;

  [[nodiscard]] std::uint64_t sample_bytes() const { return float32 ? 4 : 2; }
  [[nodiscard]] std::uint64_t pcm_bytes(const Entry& e) const;
  [[nodiscard]] std::uint64_t statistics_bytes(const Entry& e) const;
};

/// A cache file open for reading, mapped.
class Mapping {
 public:
  /// Throws kIo where the system refuses, kData with the reason where the file is damaged or of another version.
  explicit Mapping(const std::string& path);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  [[nodiscard]] const Layout& layout() const { return layout_; }
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  [[nodiscard]] const std::byte* at(std::uint64_t offset) const { return data_ + offset; }
  [[nodiscard]] std::uint64_t size() const { return file_.size(); }
  [[nodiscard]] const InputFile& file() const { return file_; }

 private:
  InputFile file_;
  const std::byte* data_ = nullptr;
  Layout layout_;
  std::vector<Entry> entries_;
};

/// Writes a cache file as "<path>.partial"; `commit` flushes it to the disk and gives it its name. Without it the
/// destructor removes the file. Only the holder of the Lock writes.
class Writer {
 public:
  Writer(const std::string& path, const Layout& layout);
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  /// Appends a recording; the offsets of `entry` are set here.
  void add(Entry entry, std::span<const std::byte> pcm, std::span<const std::byte> statistics);
  /// The same, with the data of a former file.
  void copy(const Mapping& former, const Entry& entry);
  void commit();
  [[nodiscard]] std::size_t entries() const { return entries_.size(); }

 private:
  void append(std::span<const std::byte> bytes);
  void align();

  std::string path_;
  std::string partial_;
  Layout layout_;
  int descriptor_ = -1;
  std::uint64_t position_ = 0;
  std::vector<Entry> entries_;
};

/// Removes what a killed process left. Under the Lock only.
void remove_partial(const std::string& path);

/// Exclusive among processes (and among threads, each with a Lock of its own), through flock on "<path>.lock".
class Lock {
 public:
  /// Waits, calling `waiting` about five times a second. Where the folder cannot be written, the lock is not `held`
  /// and the cache is only read.
  Lock(const std::string& path, const std::function<void()>& waiting);
  ~Lock();
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  [[nodiscard]] bool held() const { return descriptor_ >= 0; }

 private:
  int descriptor_ = -1;
};

}  // namespace dcase::cache
