#include "train/minidata/output.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <mutex>
#include <system_error>

#include "engine/files.hpp"
#include "kernels/common/error.hpp"

namespace dcase::minidata {
namespace {

namespace fs = std::filesystem;

constexpr const char* kIndexName = "RENDERED";

template <class Action>
auto filesystem(const std::string& what, const Action& action) {
  try {
    return action();
  } catch (const fs::filesystem_error& e) {
    fail(ErrorKind::kIo, what, ": ", e.code().message());
  }
}

/// Plain write: the files become visible together by the last rename, so none needs a flush or rename of its own.
void write_file(const std::string& path, std::string_view bytes) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) fail(ErrorKind::kIo, path, ": cannot be created: ", std::strerror(errno));
  std::exception_ptr error;
  try {
    OutputFile(descriptor, path).write(bytes);
  } catch (...) {
    error = std::current_exception();
  }
  if (::close(descriptor) != 0 && !error) fail(ErrorKind::kIo, path, ": ", std::strerror(errno));
  if (error) std::rethrow_exception(error);
}

/// OUT.partial, held by one process at a time. The rendering grows in OUT.partial/data; the lock lies beside it, so
/// that moving the data away never moves the lock.
class Partial {
 public:
  explicit Partial(const std::string& out_dir) : root_(out_dir + ".partial") {
    filesystem(root_, [&] { return fs::create_directories(root_); });
    const std::string path = root_ + "/lock";
    lock_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock_ < 0) fail(ErrorKind::kIo, path, ": cannot be created: ", std::strerror(errno));
    if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
      ::close(lock_);
      fail(ErrorKind::kIo, root_, ": another process is rendering to the same place; wait for it or choose another");
    }
    filesystem(data(), [&] { return fs::remove_all(data()); });  // left by a killed run
    filesystem(data(), [&] { return fs::create_directories(data()); });
  }
  ~Partial() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
    ::close(lock_);
  }
  Partial(const Partial&) = delete;
  Partial& operator=(const Partial&) = delete;

  [[nodiscard]] std::string data() const { return root_ + "/data"; }

 private:
  std::string root_;
  int lock_ = -1;
};

std::string index_row(std::uint32_t crc, std::size_t bytes, const std::string& path) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (int shift = 28; shift >= 0; shift -= 4) hex += kDigits[(crc >> shift) & 15U];
  return concat(hex, " ", bytes, " ", path, "\n");
}

}  // namespace

std::uint32_t crc32(std::string_view bytes, std::uint32_t crc) {
  static const auto table = [] {
    std::array<std::uint32_t, 256> t{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t c = i;
      for (int k = 0; k < 8; ++k) c = (c & 1U) != 0 ? 0xEDB88320U ^ (c >> 1U) : c >> 1U;
      t[i] = c;
    }
    return t;
  }();
  crc = ~crc;
  for (const char b : bytes) crc = table[(crc ^ static_cast<std::uint8_t>(b)) & 0xFFU] ^ (crc >> 8U);
  return ~crc;
}

FolderState folder_state(const std::string& out_dir, const std::string& header, MinidataReport& report) {
  return filesystem(out_dir, [&] {
    if (!fs::exists(out_dir)) return FolderState::kFree;
    if (!fs::is_directory(out_dir)) return FolderState::kForeign;
    if (fs::is_empty(out_dir)) return FolderState::kFree;
    const std::string index_path = concat(out_dir, "/", kIndexName);
    if (!fs::is_regular_file(index_path)) return FolderState::kForeign;
    const std::string index = read_file(index_path, 16U << 20U);
    if (!index.starts_with(header)) return FolderState::kOther;
    std::size_t begin = header.size();
    while (begin < index.size()) {
      const std::size_t end = std::min(index.find('\n', begin), index.size());
      const std::string row = index.substr(begin, end - begin) + "\n";
      begin = end + 1;
      const std::size_t name = row.find(' ', row.find(' ') + 1);
      if (name == std::string::npos) return FolderState::kOther;
      const std::string path = row.substr(name + 1, row.size() - name - 2);
      const std::string full = concat(out_dir, "/", path);
      if (!fs::is_regular_file(full)) return FolderState::kOther;
      const std::string bytes = read_file(full, 256U << 20U);
      if (index_row(crc32(bytes), bytes.size(), path) != row) return FolderState::kOther;
      ++report.files;
      report.bytes += static_cast<std::int64_t>(bytes.size());
    }
    return report.files > 0 ? FolderState::kSame : FolderState::kOther;
  });
}

void write_rendering(const std::string& out_dir, const std::string& header, const Plan& plan, std::uint64_t seed,
                     bool replace, MinidataReport& report,
                     const std::function<void(const MinidataProgress&)>& progress) {
  const Partial partial(out_dir);
  MinidataProgress state = {
      .done = 0, .total = static_cast<std::int64_t>(plan.tables.size() + plan.wavs.size()), .file = {}};
  std::vector<std::string> rows;
  std::mutex mutex;  // guards rows, report, state and the call of progress
  const auto write = [&](const std::string& path, const std::string& bytes) {
    write_file(concat(partial.data(), "/", path), bytes);
    const std::string row = index_row(crc32(bytes), bytes.size(), path);
    const std::lock_guard<std::mutex> lock(mutex);  // not omp critical: no exception may leave that
    rows.push_back(row);
    report.bytes += static_cast<std::int64_t>(bytes.size());
    ++state.done;
    state.file = path;
    if (progress) progress(state);
  };
  const auto make_folder = [&](const std::string& path) {
    const fs::path folder = (fs::path(partial.data()) / path).parent_path();
    filesystem(folder.string(), [&] { return fs::create_directories(folder); });
  };
  for (const WavFile& wav : plan.wavs) make_folder(wav.path);
  for (const TextFile& table : plan.tables) make_folder(table.path);
  for (const TextFile& table : plan.tables) write(table.path, table.text);

  std::exception_ptr error;
  bool stop = false;
  const auto count = static_cast<std::int64_t>(plan.wavs.size());
#pragma omp parallel for schedule(dynamic)
  for (std::int64_t i = 0; i < count; ++i) {
    bool skip = false;
#pragma omp atomic read
    skip = stop;
    if (skip) continue;
    try {
      // Long recordings were planned last; they start first, so that no thread idles at the end.
      const WavFile& wav = plan.wavs[static_cast<std::size_t>(count - 1 - i)];
      write(wav.path, wav_bytes(wav.channels(), wav.rate, seed, wav.path));
    } catch (...) {
#pragma omp critical(minidata_error)
      if (!error) error = std::current_exception();
#pragma omp atomic write
      stop = true;
    }
  }
  if (error) std::rethrow_exception(error);

  std::sort(rows.begin(), rows.end(),
            [](const std::string& a, const std::string& b) { return a.substr(a.rfind(' ')) < b.substr(b.rfind(' ')); });
  std::string index = header;
  for (const std::string& row : rows) index += row;
  write_file(concat(partial.data(), "/", kIndexName), index);
  report.files = static_cast<std::int64_t>(rows.size());

  filesystem(out_dir, [&] {
    if (replace) fs::remove_all(out_dir);
    const fs::path parent = fs::absolute(out_dir).parent_path();
    fs::create_directories(parent);
    fs::rename(partial.data(), out_dir);
    return true;
  });
}

}  // namespace dcase::minidata
