/// The stream of torch 1.5 and before: five pickles one after the other (a magic number, the version of the format, the
/// machine's conventions, the object, the keys of the storages), then for each key the number of its elements and the
/// elements.

#include <algorithm>
#include <array>
#include <map>
#include <memory>

#include "dcasenet/labels.hpp"
#include "dcasenet/weights/torch_file.hpp"
#include "kernels/common/error.hpp"

namespace dcase {
namespace {

using Kind = PickleObject::Kind;

// The pickle of 0x1950a86a20f9469cfc6c.
constexpr std::array<std::uint8_t, 15> kMagic = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                                 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};
constexpr std::int64_t kVersion = 1001;

class TorchStream {
 public:
  explicit TorchStream(InputFile file)
      : file_(std::move(file)), where_(concat("'", file_.path(), "'")), at_(kMagic.size()) {
    const std::uint64_t window = std::min<std::uint64_t>(file_.size(), 2 * kMaxPickleBytes);
    bytes_.resize(static_cast<std::size_t>(window));
    file_.read(0, bytes_);
    const Pickle version = next();
    const PickleObject& v = version[version.root];
    if (v.kind != Kind::kInteger || v.integer != kVersion) refuse("an unknown version of the format");
    check_machine(next());
    pickle_ = next();
    find_storages(next());
    bytes_ = {};
  }

  [[nodiscard]] Pickle take_pickle() { return std::move(pickle_); }
  [[nodiscard]] std::uint64_t size() const { return file_.size(); }

  [[nodiscard]] std::vector<std::byte> read(const PickledStorage& storage) const {
    const auto it = places_.find(storage.key);
    if (it == places_.end()) refuse("storage ", storage.key, " is missing");
    std::vector<std::byte> data(static_cast<std::size_t>(storage.count) * dtype_size(storage.dtype));
    file_.read(it->second, data);
    return data;
  }

 private:
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(ErrorKind::kData, where_, ": ", parts...);
  }

  Pickle next() {
    Pickle pickle = read_pickle(std::span<const std::byte>(bytes_).subspan(at_), where_);
    at_ += pickle.size;
    return pickle;
  }

  void check_machine(const Pickle& pickle) const {
    const PickleObject& info = pickle[pickle.root];
    for (std::size_t i = 0; i + 1 < info.items.size(); i += 2) {
      const PickleObject& value = pickle[info.items[i + 1]];
      if (pickle[info.items[i]].text == "little_endian" && value.integer != 1) {
        refuse("it was written on a big-endian machine");
      }
    }
  }

  // Each storage's place, its size checked against the file before anything of it is read.
  void find_storages(const Pickle& keys) {
    std::map<std::string, const PickledStorage*> known;
    for (const PickledStorage& storage : pickle_.storages) known[storage.key] = &storage;
    if (keys[keys.root].kind != Kind::kList) refuse("the list of storages is missing");
    std::uint64_t at = at_;
    for (const ObjectId id : keys[keys.root].items) {
      const std::string& key = keys[id].text;
      const auto it = known.find(key);
      if (it == known.end()) refuse("storage ", in_quotes(key), " belongs to no tensor");
      std::int64_t count = 0;
      if (file_.size() - at < sizeof count) refuse("it ends before storage ", key, " (is the file cut short?)");
      file_.read(at, std::as_writable_bytes(std::span(&count, 1)));
      at += sizeof count;
      const std::uint64_t bytes = static_cast<std::uint64_t>(it->second->count) * dtype_size(it->second->dtype);
      if (count != it->second->count) {
        refuse("storage ", key, " has ", count, " elements, the pickle states ", it->second->count);
      }
      if (bytes > file_.size() - at) refuse("it ends inside storage ", key, " (is the file cut short?)");
      if (!places_.emplace(key, at).second) refuse("storage ", key, " appears twice");
      at += bytes;
    }
    if (at != file_.size()) refuse(file_.size() - at, " bytes follow the last storage");
  }

  InputFile file_;
  std::string where_;
  std::vector<std::byte> bytes_;  // the front of the file, while its pickles are read
  std::size_t at_;
  Pickle pickle_;
  std::map<std::string, std::uint64_t> places_;  // of the elements
};

}  // namespace

bool is_torch_stream(const InputFile& file) {
  std::array<std::uint8_t, kMagic.size()> front{};
  if (file.size() < front.size()) return false;
  file.read(0, std::as_writable_bytes(std::span(front)));
  return front == kMagic;
}

TorchFile open_torch_stream(InputFile file) {
  const auto stream = std::make_shared<TorchStream>(std::move(file));
  return {.pickle = stream->take_pickle(), .size = stream->size(), .read = [stream](const PickledStorage& storage) {
            return stream->read(storage);
          }};
}

}  // namespace dcase
