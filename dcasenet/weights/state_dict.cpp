#include <algorithm>
#include <map>
#include <unordered_set>

#include "dcasenet/labels.hpp"
#include "dcasenet/weights/torch_file.hpp"
#include "dcasenet/weights/weights.hpp"
#include "kernels/common/error.hpp"

namespace dcase {
namespace {

using Kind = PickleObject::Kind;

// Checkpoints nest three or four levels. Both bound the paths of a file with many dictionaries.
constexpr int kMaxDepth = 8;
constexpr std::size_t kLongestKey = 64;
constexpr std::size_t kLongestName = 256;
constexpr std::size_t kShown = 8;  // dictionaries in a message
/// A view may show elements more than once; beyond this a small file would fill the memory.
constexpr std::uint64_t kMaxGrowth = 4;
constexpr std::uint64_t kFreeGrowth = 1 << 20;
/// Every DcaseNet has this layer.
constexpr std::string_view kLandmark = "conv_block1.conv1.weight";
constexpr std::string_view kWrappers[] = {"module.", "_orig_mod.", "model."};

struct Named {
  std::string name;
  const PickledTensor* tensor;
};

/// A dictionary that holds tensors.
struct Candidate {
  std::string path;  // "" for the object itself
  ObjectId id = 0;
  std::vector<Named> tensors;
  std::size_t others = 0;  // entries that are no tensors
};

class Search {
 public:
  Search(const Pickle& pickle, const std::string& path) : pickle_(pickle), path_(path) { visit(pickle.root, "", 0); }

  std::vector<Candidate> found;

 private:
  void visit(ObjectId id, const std::string& at, int depth) {
    const PickleObject& object = pickle_[id];
    const bool dict = object.kind == Kind::kDict;
    if (!dict && object.kind != Kind::kList && object.kind != Kind::kTuple) return;
    if (depth > kMaxDepth || !seen_.insert(id).second) return;  // each once: containers may hold themselves
    if (dict) collect(id, at);
    for (std::size_t i = 0; i < object.items.size(); i += dict ? 2 : 1) {
      const std::string name = dict ? key_text(object.items[i]) : std::to_string(i);
      visit(object.items[dict ? i + 1 : i], at.empty() ? name : concat(at, ".", name), depth + 1);
    }
  }

  [[nodiscard]] std::string key_text(ObjectId id) const {
    const PickleObject& key = pickle_[id];
    return key.kind == Kind::kInteger ? std::to_string(key.integer) : key.text.substr(0, kLongestKey);
  }

  void collect(ObjectId id, const std::string& at) {
    Candidate c{.path = at, .id = id, .tensors = {}};
    std::unordered_set<std::string> names;
    const std::vector<ObjectId>& items = pickle_[id].items;
    for (std::size_t i = 0; i < items.size(); i += 2) {
      const PickleObject& value = pickle_[items[i + 1]];
      if (value.kind != Kind::kTensor) {
        ++c.others;
        continue;
      }
      const PickleObject& key = pickle_[items[i]];
      std::string name = key.kind == Kind::kInteger ? std::to_string(key.integer) : key.text;
      const bool printable = std::none_of(name.begin(), name.end(),
                                          [](char b) { return static_cast<unsigned char>(b) < 0x20 || b == 0x7f; });
      const bool usable = !name.empty() && name.size() <= kLongestName && printable && is_utf8(name);
      if (!usable || name == "__metadata__") {  // which has a meaning of its own in safetensors
        fail(ErrorKind::kData, "'", path_, "': a tensor is called ", in_quotes(name), "; a name is 1 to ", kLongestName,
             " bytes of UTF-8 without control characters");
      }
      if (!names.insert(name).second)
        fail(ErrorKind::kData, "'", path_, "': tensor ", in_quotes(name), " appears twice");
      c.tensors.push_back({std::move(name), &pickle_.tensors[static_cast<std::size_t>(value.integer)]});
    }
    if (!c.tensors.empty()) found.push_back(std::move(c));
  }

  const Pickle& pickle_;
  const std::string& path_;
  std::unordered_set<ObjectId> seen_;
};

[[nodiscard]] std::string shown(const Candidate& c) {
  return concat(c.path.empty() ? "the file's own dictionary" : in_quotes(c.path), " (", c.tensors.size(), " tensors)");
}

[[nodiscard]] bool is_dcasenet(const Candidate& c) {
  return std::any_of(c.tensors.begin(), c.tensors.end(), [](const Named& t) { return t.name.ends_with(kLandmark); });
}

[[nodiscard]] const Candidate& choose(const std::vector<Candidate>& found, const std::string& path,
                                      const std::string& key) {
  std::string list;
  for (std::size_t i = 0; i < found.size() && i < kShown; ++i) list += (i > 0 ? ", " : "") + shown(found[i]);
  if (found.size() > kShown) list += concat(" and ", found.size() - kShown, " more");
  if (found.empty()) fail(ErrorKind::kData, "'", path, "': holds no dictionary of tensors");
  std::vector<const Candidate*> fitting;
  for (const Candidate& c : found) {
    if (key.empty() ? is_dcasenet(c) : c.path == key) fitting.push_back(&c);
  }
  if (fitting.size() == 1) return *fitting[0];
  if (!key.empty()) {
    fail(ErrorKind::kData, "'", path, "': ", fitting.empty() ? "no" : "more than one",
         " dictionary of tensors is called ", in_quotes(key), "; there are ", list);
  }
  if (fitting.empty() && found.size() == 1) return found[0];
  fail(ErrorKind::kData, "'", path, "': holds several dictionaries of tensors, ", list,
       "; say which one is meant (--key NAME)");
}

// Removes wrappers' prefixes that all names have; returns what was removed.
[[nodiscard]] std::string strip_wrappers(std::vector<Named>& tensors) {
  std::string removed;
  for (bool again = true; again;) {
    again = false;
    for (const std::string_view prefix : kWrappers) {
      const bool all = std::all_of(tensors.begin(), tensors.end(), [&](const Named& t) {
        return t.name.size() > prefix.size() && t.name.starts_with(prefix);
      });
      if (!all) continue;
      for (Named& t : tensors) t.name.erase(0, prefix.size());
      removed += prefix;
      again = true;
    }
  }
  return removed;
}

/// The elements of a view, one after the other, last axis fastest.
[[nodiscard]] std::vector<std::byte> gather(const PickledTensor& t, const std::vector<std::byte>& storage,
                                            std::size_t element, std::uint64_t bytes) {
  std::vector<std::byte> out(static_cast<std::size_t>(bytes));
  std::vector<std::int64_t> index(t.shape.size(), 0);
  std::int64_t from = t.offset;
  for (std::size_t to = 0; to < out.size(); to += element) {
    std::copy_n(storage.begin() + static_cast<std::ptrdiff_t>(from) * static_cast<std::ptrdiff_t>(element), element,
                out.begin() + static_cast<std::ptrdiff_t>(to));
    for (std::size_t axis = t.shape.size(); axis-- > 0;) {
      from += t.strides[axis];
      if (++index[axis] < t.shape[axis]) break;
      from -= t.strides[axis] * t.shape[axis];
      index[axis] = 0;
    }
  }
  return out;
}

[[nodiscard]] std::uint64_t bytes_of(const PickledTensor& t, std::size_t element) {
  std::uint64_t bytes = element;
  for (const std::int64_t size : t.shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(size), &bytes)) return ~std::uint64_t{0};
  }
  return bytes;
}

void read_metadata(const Pickle& pickle, ObjectId id, ArchiveWriter& writer) {
  const auto attributes = pickle.attributes.find(id);
  if (attributes == pickle.attributes.end()) return;
  const std::vector<ObjectId>& items = pickle[attributes->second].items;
  for (std::size_t i = 0; i < items.size(); i += 2) {
    const PickleObject& value = pickle[items[i + 1]];
    if (pickle[items[i]].text != kTorchMetadata || value.kind != Kind::kDict) continue;
    for (std::size_t k = 0; k < value.items.size(); k += 2) {
      const PickleObject& name = pickle[value.items[k]];
      const PickleObject& text = pickle[value.items[k + 1]];
      if (name.kind == Kind::kText && text.kind == Kind::kText && is_utf8(name.text) && is_utf8(text.text)) {
        writer.metadata(name.text, text.text);
      }
    }
  }
}

}  // namespace

StateDict read_state_dict(const TorchFile& file, const std::string& path, const std::string& key) {
  const Search search(file.pickle, path);
  Candidate c = choose(search.found, path, key);
  std::vector<std::string> notes;
  if (!c.path.empty()) notes.push_back(concat("the tensors are those under ", in_quotes(c.path)));
  if (const std::string removed = strip_wrappers(c.tensors); !removed.empty()) {
    notes.push_back(concat("the prefix ", in_quotes(removed), " was removed from all names"));
  }
  if (c.others > 0) notes.push_back(concat(c.others, " entries beside the tensors are left out"));
  if (search.found.size() > 1) {
    notes.push_back(concat(search.found.size() - 1, " other dictionaries of tensors are left out"));
  }

  std::uint64_t total = 0;
  for (const Named& t : c.tensors) {
    const std::uint64_t bytes = bytes_of(*t.tensor, dtype_size(file.pickle.storages[t.tensor->storage].dtype));
    const std::uint64_t limit = kFreeGrowth + kMaxGrowth * file.size;
    if (bytes > limit || (total += bytes) > limit) {
      fail(ErrorKind::kData, "'", path, "': its tensors are more than ", kMaxGrowth, " times as large as the file, at ",
           in_quotes(t.name), " of shape ", shape_string(t.tensor->shape));
    }
  }
  ArchiveWriter writer;
  // Storages may be shared: each is read once and kept until its last tensor.
  std::map<std::size_t, std::size_t> uses;
  std::map<std::size_t, std::vector<std::byte>> data;
  for (const Named& t : c.tensors) ++uses[t.tensor->storage];
  for (const Named& t : c.tensors) {
    const std::size_t place = t.tensor->storage;
    const PickledStorage& storage = file.pickle.storages[place];
    if (!data.contains(place)) data[place] = file.read(storage);
    const std::size_t element = dtype_size(storage.dtype);
    writer.add(t.name, storage.dtype, t.tensor->shape,
               gather(*t.tensor, data[place], element, bytes_of(*t.tensor, element)));
    if (--uses[place] == 0) data.erase(place);
  }
  read_metadata(file.pickle, c.id, writer);
  return {.archive = writer.in_memory(path), .notes = std::move(notes)};
}

}  // namespace dcase
