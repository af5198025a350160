#include "train/data/pcm_cache_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>

#include "kernels/common/error.hpp"

namespace dcase::cache {

namespace {

constexpr std::uint64_t kMagic = 0x31304D4350534344U;  // "DCSPCM01" in little-endian order
constexpr std::uint32_t kVersion = 1;
constexpr std::uint64_t kDataStart = 4096;
constexpr std::uint64_t kAlignment = 64;

struct FileHeader {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t reserved;
  std::uint64_t file_size;
  std::uint64_t index_offset;
  std::uint64_t index_size;
  std::uint64_t index_checksum;
  std::uint64_t header_checksum;  // of the fields above
};
static_assert(std::is_trivially_copyable_v<FileHeader> && sizeof(FileHeader) <= kDataStart);

std::uint64_t fnv1a(std::span<const std::byte> bytes) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const std::byte b : bytes) hash = (hash ^ static_cast<std::uint64_t>(b)) * 0x100000001B3U;
  return hash;
}

std::uint64_t header_checksum(const FileHeader& header) {
  return fnv1a(std::as_bytes(std::span(&header, 1)).first(offsetof(FileHeader, header_checksum)));
}

[[noreturn]] void fail_io(const char* action, const std::string& path, int code) {
  fail(ErrorKind::kIo, "cannot ", action, " '", path, "': ", std::generic_category().message(code));
}

/// One description of the index serves writing and reading: `Coder` puts each field, or takes it.
class Encoder {
 public:
  template <class T>
  void operator()(T& value) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    const auto bytes = std::as_bytes(std::span(&value, 1));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void operator()(std::string& text) {
    std::uint64_t size = text.size();
    (*this)(size);
    const auto bytes = std::as_bytes(std::span(text.data(), text.size()));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  [[nodiscard]] const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

class Decoder {
 public:
  explicit Decoder(std::span<const std::byte> bytes) : bytes_(bytes) {}
  template <class T>
  void operator()(T& value) {
    std::memcpy(&value, take(sizeof(T)), sizeof(T));
  }
  void operator()(bool& value) { value = *take(1) != std::byte{0}; }
  void operator()(std::string& text) {
    std::uint64_t size = 0;
    (*this)(size);
    const std::byte* data = take(size);
    text.assign(reinterpret_cast<const char*>(data), size);
  }
  [[nodiscard]] std::size_t left() const { return bytes_.size(); }

 private:
  const std::byte* take(std::uint64_t size) {
    if (size > bytes_.size()) fail(ErrorKind::kData, "the index ends in the middle of an entry");
    const std::byte* data = bytes_.data();
    bytes_ = bytes_.subspan(size);
    return data;
  }
  std::span<const std::byte> bytes_;
};

template <class Coder>
void code(Coder& coder, Layout& layout) {
  MelParameters& mel = layout.mel;
  coder(mel.sample_rate), coder(mel.n_fft), coder(mel.window), coder(mel.hop), coder(mel.mels);
  coder(mel.f_min), coder(mel.f_max), coder(mel.preemphasis), coder(mel.zero_floor), coder(mel.std_floor);
  coder(layout.float32);
}

template <class Coder>
void code(Coder& coder, Entry& e) {
  Key& key = e.key;
  coder(key.path), coder(key.size), coder(key.mtime), coder(key.channels.mode), coder(key.channels.index);
  coder(key.statistics), coder(key.start), coder(key.end);
  AudioNotes& notes = e.notes;
  coder(notes.resampled), coder(notes.downmixed), coder(notes.floating), coder(notes.bits24), coder(notes.silent);
  coder(notes.clipping);
  coder(e.signals), coder(e.samples), coder(e.scale), coder(e.offset), coder(e.statistics_offset);
}

/// Throws unless the entry's data lie inside the first `end` bytes of the file.
void check_entry(const Entry& e, const Layout& layout, std::uint64_t end) {
  const auto inside = [end](std::uint64_t offset, std::uint64_t bytes) {
    return offset >= kDataStart && offset % kAlignment == 0 && offset <= end && bytes <= end - offset;
  };
  constexpr std::int64_t kMaxSamples = std::int64_t{1} << 48;  // products below stay far from overflow
  int exponent = 0;
  const bool sound = e.signals >= 1 && e.signals <= AudioStream::kMaxChannels && e.samples >= 1 &&
                     e.samples <= kMaxSamples && std::isfinite(e.scale) && e.scale > 0 &&
                     std::frexp(e.scale, &exponent) == 0.5F && inside(e.offset, layout.pcm_bytes(e)) &&
                     (!e.key.statistics || inside(e.statistics_offset, layout.statistics_bytes(e)));
  if (!sound) fail(ErrorKind::kData, "the entry of '", e.key.path, "' lies outside the file");
}

}  // namespace

std::uint64_t Layout::pcm_bytes(const Entry& e) const {
  return static_cast<std::uint64_t>(e.signals) * static_cast<std::uint64_t>(e.samples) * sample_bytes();
}
std::uint64_t Layout::statistics_bytes(const Entry& e) const {
  return static_cast<std::uint64_t>(e.signals) * 2 * static_cast<std::uint64_t>(mel.mels) * sizeof(float);
}

Mapping::Mapping(const std::string& path) : file_(InputFile::open(path)) {
  FileHeader header = {};
  if (file_.size() < kDataStart) fail(ErrorKind::kData, "it is shorter than its header");
  file_.read(0, std::as_writable_bytes(std::span(&header, 1)));
  if (header.magic != kMagic || header.version != kVersion)
    fail(ErrorKind::kData, "it is no cache file of version ", kVersion);
  if (header.header_checksum != header_checksum(header)) fail(ErrorKind::kData, "its header is damaged");
  if (header.file_size != file_.size())
    fail(ErrorKind::kData, "it has ", file_.size(), " bytes instead of ", header.file_size);
  if (header.index_offset < kDataStart || header.index_offset > file_.size() ||
      header.index_size != file_.size() - header.index_offset)
    fail(ErrorKind::kData, "its index lies outside the file");
  std::vector<std::byte> index(header.index_size);
  file_.read(header.index_offset, index);
  if (fnv1a(index) != header.index_checksum) fail(ErrorKind::kData, "its index is damaged");

  Decoder decoder(index);
  code(decoder, layout_);
  validate(layout_.mel);
  std::uint64_t count = 0;
  decoder(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    Entry entry;
    code(decoder, entry);
    check_entry(entry, layout_, header.index_offset);
    entries_.push_back(std::move(entry));
  }
  if (decoder.left() != 0) fail(ErrorKind::kData, "its index has ", decoder.left(), " bytes too many");

  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) fail_io("open", path, errno);
  void* data = ::mmap(nullptr, file_.size(), PROT_READ, MAP_SHARED, descriptor, 0);
  const int reason = errno;
  struct stat status = {};
  const bool same = ::fstat(descriptor, &status) == 0 && static_cast<std::uint64_t>(status.st_size) == file_.size();
  ::close(descriptor);
  if (data == MAP_FAILED) fail_io("map", path, reason);
  if (!same) {  // replaced since it was opened, which the lock forbids our own processes
    ::munmap(data, file_.size());
    fail(ErrorKind::kData, "it changed while it was opened");
  }
  data_ = static_cast<const std::byte*>(data);
}

Mapping::~Mapping() { ::munmap(const_cast<std::byte*>(data_), file_.size()); }

Writer::Writer(const std::string& path, const Layout& layout)
    : path_(path), partial_(path + ".partial"), layout_(layout) {
  descriptor_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail_io("write", partial_, errno);
  const std::vector<std::byte> zeros(kDataStart);  // no valid header before the commit
  try {
    append(zeros);
  } catch (...) {
    ::close(descriptor_);
    ::unlink(partial_.c_str());
    throw;
  }
}

Writer::~Writer() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(partial_.c_str());
}

void Writer::append(std::span<const std::byte> bytes) {
  OutputFile(descriptor_, partial_).write(bytes);
  position_ += bytes.size();
}

void Writer::align() {
  const std::vector<std::byte> zeros((kAlignment - position_ % kAlignment) % kAlignment);
  append(zeros);
}

void Writer::add(Entry entry, std::span<const std::byte> pcm, std::span<const std::byte> statistics) {
  DCASE_CHECK(pcm.size() == layout_.pcm_bytes(entry), "pcm cache: ", pcm.size(), " bytes of samples for ",
              entry.key.path);
  align();
  entry.offset = position_;
  append(pcm);
  if (entry.key.statistics) {
    DCASE_CHECK(statistics.size() == layout_.statistics_bytes(entry), "pcm cache: ", statistics.size(),
                " bytes of statistics for ", entry.key.path);
    align();
    entry.statistics_offset = position_;
    append(statistics);
  }
  entries_.push_back(std::move(entry));
}

void Writer::copy(const Mapping& former, const Entry& entry) {
  std::vector<std::byte> buffer;
  const auto append_part = [&](std::uint64_t offset, std::uint64_t bytes) {
    align();
    const std::uint64_t start = position_;
    while (bytes > 0) {
      buffer.resize(std::min<std::uint64_t>(bytes, 1U << 20U));
      former.file().read(offset, buffer);  // not through the mapping: a failing disk is an Error, not a signal
      append(buffer);
      offset += buffer.size();
      bytes -= buffer.size();
    }
    return start;
  };
  Entry copied = entry;
  copied.offset = append_part(entry.offset, layout_.pcm_bytes(entry));
  if (entry.key.statistics)
    copied.statistics_offset = append_part(entry.statistics_offset, layout_.statistics_bytes(entry));
  entries_.push_back(std::move(copied));
}

void Writer::commit() {
  Encoder encoder;
  code(encoder, layout_);
  std::uint64_t count = entries_.size();
  encoder(count);
  for (Entry& entry : entries_) code(encoder, entry);
  align();
  FileHeader header = {.magic = kMagic,
                       .version = kVersion,
                       .reserved = 0,
                       .file_size = position_ + encoder.bytes().size(),
                       .index_offset = position_,
                       .index_size = encoder.bytes().size(),
                       .index_checksum = fnv1a(encoder.bytes()),
                       .header_checksum = 0};
  header.header_checksum = header_checksum(header);
  append(encoder.bytes());
  if (::lseek(descriptor_, 0, SEEK_SET) != 0) fail_io("write", partial_, errno);
  OutputFile(descriptor_, partial_).write(std::as_bytes(std::span(&header, 1)));
  if (::fsync(descriptor_) != 0) fail_io("write", partial_, errno);
  if (::rename(partial_.c_str(), path_.c_str()) != 0) fail_io("write", path_, errno);
  ::close(std::exchange(descriptor_, -1));
  // The name itself. Where a file system cannot flush a folder nothing can be done about it.
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  const int directory = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    ::fsync(directory);
    ::close(directory);
  }
}

void remove_partial(const std::string& path) { ::unlink((path + ".partial").c_str()); }

Lock::Lock(const std::string& path, const std::function<void()>& waiting) {
  const std::string name = path + ".lock";
  descriptor_ = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    if (errno == EROFS || errno == EACCES || errno == EPERM) return;
    fail_io("lock", name, errno);
  }
  try {
    while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) fail_io("lock", name, errno);
      waiting();
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    }
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

Lock::~Lock() {
  if (descriptor_ >= 0) ::close(descriptor_);  // which unlocks
}

}  // namespace dcase::cache
