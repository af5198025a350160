#pragma once
/// Files as the whole project reads and writes them: reading at offsets, and writing that is seen complete or not at
/// all.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace dcase {

/// A regular file open for reading. Movable; reads are thread-safe. Nothing is mapped: a file that shrinks while it is
/// read, or a network disk that fails, ends in an Error and not in a signal.
class InputFile {
 public:
  /// Throws Error(kIo) when the file is missing, unreadable or not a regular file.
  [[nodiscard]] static InputFile open(const std::string& path);
  ~InputFile();
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&& other) noexcept;
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  /// Size in bytes at the time of opening.
  [[nodiscard]] std::uint64_t size() const { return size_; }
  /// Fills `destination` from `offset`. Throws Error(kIo) when the system fails or the file ends before.
  void read(std::uint64_t offset, std::span<std::byte> destination) const;

 private:
  InputFile(std::string path, int descriptor, std::uint64_t size)
      : path_(std::move(path)), descriptor_(descriptor), size_(size) {}
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0;
};

/// Where `atomic_write` lets its callback write. Unbuffered: hand over large pieces.
class OutputFile {
 public:
  OutputFile(int descriptor, std::string path) : path_(std::move(path)), descriptor_(descriptor) {}
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  /// Throws Error(kIo) with the system's reason: disk full, quota, size limit.
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }

 private:
  std::string path_;  // named in messages
  int descriptor_;    // not owned
};

/// Replaces `path` by what `content` writes: into a temporary file in the same folder, flushed to the disk, renamed
/// over `path`, and the folder flushed. On any failure, also an exception of `content`, the temporary file is removed
/// and an existing `path` stays as it was. A symbolic link stays a link; a pipe or device (/dev/stdout) is written
/// directly. Throws Error(kIo).
void atomic_write(const std::string& path, const std::function<void(OutputFile&)>& content);
void atomic_write(const std::string& path, std::string_view content);

/// The whole file. Throws Error(kIo), or Error(kData) when it is larger than `limit` bytes.
[[nodiscard]] std::string read_file(const std::string& path, std::uint64_t limit = std::uint64_t{1} << 30U);

}  // namespace dcase
