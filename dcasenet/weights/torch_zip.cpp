#include <zip.h>

#include <array>
#include <memory>
#include <set>

#include "dcasenet/labels.hpp"
#include "dcasenet/weights/torch_file.hpp"
#include "kernels/common/error.hpp"

namespace dcase {
namespace {

/// The full network's file has 140.
constexpr zip_int64_t kMaxEntries = 100'000;
constexpr std::uint64_t kMaxSmallText = 64;  // "little", the version

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct CloseEntry {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

class TorchZip {
 public:
  explicit TorchZip(const std::string& path) : path_(path), size_(InputFile::open(path).size()) {
    int code = 0;
    zip_.reset(zip_open(path.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code));
    if (!zip_) {
      zip_error_t error;
      zip_error_init_with_code(&error, code);
      const std::string reason = zip_error_strerror(&error);
      zip_error_fini(&error);
      refuse("the zip container cannot be read: ", reason, " (is the file cut short?)");
    }
    check_entries();
    if (has("byteorder") && text(read("byteorder", kMaxSmallText)) != "little") {
      refuse("it was written on a big-endian machine");
    }
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::uint64_t size() const { return size_; }
  [[nodiscard]] bool has(const std::string& name) const {
    return zip_name_locate(zip_.get(), (root_ + name).c_str(), ZIP_FL_ENC_RAW) >= 0;
  }

  /// The content of an entry of at most `limit` bytes. libzip compares its checksum.
  [[nodiscard]] std::vector<std::byte> read(const std::string& name, std::uint64_t limit) const {
    const zip_int64_t index = zip_name_locate(zip_.get(), (root_ + name).c_str(), ZIP_FL_ENC_RAW);
    if (index < 0) refuse("the zip container has no entry ", in_quotes(root_ + name));
    zip_stat_t stat;
    if (zip_stat_index(zip_.get(), static_cast<zip_uint64_t>(index), 0, &stat) != 0) refuse("entry ", name);
    if (stat.size > limit) refuse("entry ", in_quotes(name), " has ", stat.size, " bytes, more than ", limit);
    const std::unique_ptr<zip_file_t, CloseEntry> file(
        zip_fopen_index(zip_.get(), static_cast<zip_uint64_t>(index), 0));
    std::vector<std::byte> bytes(static_cast<std::size_t>(stat.size));
    const bool good = file && zip_fread(file.get(), bytes.data(), bytes.size()) == static_cast<zip_int64_t>(stat.size);
    std::byte beyond{};
    // The end of the entry must be reached for the checksum to be compared.
    if (!good || zip_fread(file.get(), &beyond, 1) != 0) {
      refuse("entry ", in_quotes(name), " is damaged");
    }
    return bytes;
  }

 private:
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(ErrorKind::kData, "'", path_, "': ", parts...);
  }

  static std::string text(const std::vector<std::byte>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  void check_entries() {
    constexpr std::string_view kPickle = "data.pkl";
    const zip_int64_t count = zip_get_num_entries(zip_.get(), 0);
    if (count > kMaxEntries) refuse("a zip container of ", count, " entries");
    std::set<std::string> names;
    std::uint64_t total = 0;
    for (zip_int64_t i = 0; i < count; ++i) {
      zip_stat_t stat;
      constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
      if (zip_stat_index(zip_.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW, &stat) != 0 ||
          (stat.valid & kNeeded) != kNeeded) {
        refuse("entry ", i, " of the zip container is damaged");
      }
      const std::string name = stat.name;
      if (!names.insert(name).second) refuse("the zip container has two entries ", in_quotes(name));
      if (stat.comp_method != ZIP_CM_STORE || stat.comp_size != stat.size) {
        refuse("entry ", in_quotes(name), " is compressed; torch.save stores entries as they are (unpack the file and ",
               "pack it with zip -0)");
      }
      // Entries that share their bytes would make a small file large.
      if (stat.size > size_ - total) refuse("the entries of the zip container are larger than the file");
      total += stat.size;
      if (name == kPickle || (name.ends_with(kPickle) && name.find('/') == name.size() - kPickle.size() - 1)) {
        if (found_) refuse("the zip container has two pickles");
        found_ = true;
        root_ = name.substr(0, name.size() - kPickle.size());
      }
    }
    if (!found_) refuse("a zip file without data.pkl: not one of torch.save");
  }

  std::string path_;
  std::uint64_t size_ = 0;
  std::unique_ptr<zip_t, Discard> zip_;
  bool found_ = false;
  std::string root_;  // folder of all entries: "archive/"
};

}  // namespace

bool is_torch_zip(const InputFile& file) {
  std::array<char, 4> front{};
  if (file.size() < front.size()) return false;
  file.read(0, std::as_writable_bytes(std::span(front)));
  return front == std::array<char, 4>{'P', 'K', 3, 4};
}

TorchFile open_torch_zip(const std::string& path) {
  const auto zip = std::make_shared<const TorchZip>(path);
  const std::vector<std::byte> bytes = zip->read("data.pkl", kMaxPickleBytes);
  return {.pickle = read_pickle(bytes, concat("'", path, "'")),
          .size = zip->size(),
          .read = [zip](const PickledStorage& storage) {
            const std::uint64_t expected = static_cast<std::uint64_t>(storage.count) * dtype_size(storage.dtype);
            std::vector<std::byte> data = zip->read("data/" + storage.key, zip->size());
            if (data.size() != expected) {
              fail(ErrorKind::kData, "'", zip->path(), "': storage ", storage.key, " has ", data.size(),
                   " bytes, the pickle states ", expected);
            }
            return data;
          }};
}

}  // namespace dcase
