#include "engine/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "kernels/common/error.hpp"

namespace dcase {

namespace {

namespace fs = std::filesystem;

[[nodiscard]] std::string reason(int code) { return std::generic_category().message(code); }

[[noreturn]] void fail_io(const char* action, const std::string& path, int code) {
  fail(ErrorKind::kIo, "cannot ", action, " '", path, "': ", reason(code));
}

/// Closes its descriptor at the end of the scope; `close` reports what the system has to say about it.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const { return value_; }
  [[nodiscard]] int release() { return std::exchange(value_, -1); }
  void close(const std::string& path) {
    if (::close(release()) != 0) fail_io("write", path, errno);
  }

 private:
  int value_;
};

/// Removes its file at the end of the scope unless it was kept.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path) : path_(std::move(path)) {}
  ~TemporaryFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  void keep() { path_.clear(); }

 private:
  std::string path_;
};

/// Creates a new file in `folder` and returns its descriptor; `name` receives its path. The name is short, so that a
/// target of the longest permitted name works, and found by trying, so that there is no global counter.
[[nodiscard]] int create_beside(const fs::path& folder, const std::string& target, std::string& name) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    name = (folder / concat(".dcasenet-", ::getpid(), "-", attempt, ".tmp")).string();
    const int descriptor = ::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0) return descriptor;
    if (errno != EEXIST) break;
  }
  fail_io("write", target, errno);
}

/// Makes the rename itself durable. Some file systems cannot flush a folder and say EINVAL: nothing is lost there.
void flush_folder(const fs::path& folder, const std::string& target) {
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() < 0) fail_io("flush the folder of", target, errno);
  if (::fsync(descriptor.get()) != 0 && errno != EINVAL) fail_io("flush the folder of", target, errno);
}

}  // namespace

InputFile InputFile::open(const std::string& path) {
  // O_NONBLOCK: opening a named pipe must not wait for a writer; regular files ignore it.
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (descriptor.get() < 0) fail_io("open", path, errno);
  struct stat status = {};
  if (::fstat(descriptor.get(), &status) != 0) fail_io("open", path, errno);
  if (!S_ISREG(status.st_mode)) fail(ErrorKind::kIo, "cannot open '", path, "': not a regular file");
  return {path, descriptor.release(), static_cast<std::uint64_t>(status.st_size)};
}

InputFile::~InputFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}

InputFile& InputFile::operator=(InputFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  return *this;
}

void InputFile::read(std::uint64_t offset, std::span<std::byte> destination) const {
  while (!destination.empty()) {
    const ::ssize_t got = ::pread(descriptor_, destination.data(), destination.size(), static_cast<::off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) continue;
      fail_io("read", path_, errno);
    }
    if (got == 0) fail(ErrorKind::kIo, "cannot read '", path_, "': it ends at byte ", offset);
    offset += static_cast<std::uint64_t>(got);
    destination = destination.subspan(static_cast<std::size_t>(got));
  }
}

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ::ssize_t done = ::write(descriptor_, bytes.data(), bytes.size());
    if (done < 0) {
      if (errno == EINTR) continue;
      fail_io("write", path_, errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
}

void atomic_write(const std::string& path, const std::function<void(OutputFile&)>& content) {
  std::error_code code;
  const fs::file_status status = fs::status(path, code);  // follows links
  if (fs::is_directory(status)) fail_io("write", path, EISDIR);
  if (fs::exists(status) && !fs::is_regular_file(status)) {  // a pipe or device: nothing to replace
    Descriptor descriptor(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (descriptor.get() < 0) fail_io("write", path, errno);
    OutputFile out(descriptor.get(), path);
    content(out);
    descriptor.close(path);
    return;
  }
  fs::path target = path;
  if (fs::is_symlink(fs::symlink_status(path, code))) {
    target = fs::canonical(path, code);
    if (code) fail_io("write", path, code.value());
  }
  const fs::path folder = target.has_parent_path() ? target.parent_path() : fs::path(".");

  std::string name;
  Descriptor descriptor(create_beside(folder, path, name));
  TemporaryFile temporary(std::move(name));
  OutputFile out(descriptor.get(), path);
  content(out);
  if (::fsync(descriptor.get()) != 0) fail_io("write", path, errno);
  descriptor.close(path);
  if (::rename(temporary.path().c_str(), target.c_str()) != 0) fail_io("write", path, errno);
  temporary.keep();
  flush_folder(folder, path);
}

void atomic_write(const std::string& path, std::string_view content) {
  atomic_write(path, [content](OutputFile& out) { out.write(content); });
}

std::string read_file(const std::string& path, std::uint64_t limit) {
  const InputFile file = InputFile::open(path);
  if (file.size() > limit) {
    fail(ErrorKind::kData, "'", path, "' has ", file.size(), " bytes, more than the ", limit, " that are read");
  }
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read(0, std::as_writable_bytes(std::span(text.data(), text.size())));
  return text;
}

}  // namespace dcase
