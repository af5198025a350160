#pragma once
/// Pickles as PyTorch writes them, read without executing anything.
///
/// A pickle is a program for a stack machine that may call any function of Python. This reader knows the instructions
/// that dictionaries of tensors need, and of functions only those that rebuild such a dictionary: OrderedDict,
/// _rebuild_tensor_v2 and _rebuild_parameter, which become data here, and the names of the storage types. Everything
/// else is an error that names it. Source of the instructions: the comments of CPython's Lib/pickletools.py (protocols
/// 2 to 5).
///
/// Memory is bounded by the file: each instruction makes at most one object, texts are no longer than what is left of
/// the file, and there are at most kMaxInstructions. Containers may hold themselves, as in Python: who walks through
/// them visits each once.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/archive.hpp"

namespace dcase {

/// Instructions of one pickle. A checkpoint of the full network with its optimiser has about 20,000.
inline constexpr std::int64_t kMaxInstructions = 1 << 19;
/// Bytes of one pickle; that of the full network has about 20,000.
inline constexpr std::uint64_t kMaxPickleBytes = std::uint64_t{16} << 20U;

/// A place in Pickle::objects.
using ObjectId = std::uint32_t;

struct PickleObject {
  enum class Kind : std::uint8_t {
    kNone,
    kBool,
    kInteger,
    kReal,  ///< or an integer beyond 64 bits; the value is not kept
    kText,
    kTuple,
    kList,
    kDict,      ///< also OrderedDict
    kFunction,  ///< one of the permitted names
    kStorage,
    kTensor,
  };
  Kind kind = Kind::kNone;
  std::int64_t integer = 0;     ///< bool, integer; storage, tensor: place in the list of its kind; function: which
  std::string text;             ///< text, as stored
  std::vector<ObjectId> items;  ///< tuple, list: elements; dict: key, value, key, value, ...
};

/// A block of elements that stands elsewhere in the file.
struct PickledStorage {
  std::string key;  ///< decimal digits
  DType dtype = DType::kF32;
  std::int64_t count = 0;  ///< elements
};

/// A view of a storage: every element that the strides reach lies inside.
struct PickledTensor {
  std::size_t storage = 0;  ///< in Pickle::storages
  std::int64_t offset = 0;  ///< of the first element, in elements
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  ///< in elements, none negative
};

struct Pickle {
  std::vector<PickleObject> objects;
  std::vector<PickledStorage> storages;
  std::vector<PickledTensor> tensors;
  std::unordered_map<ObjectId, ObjectId> attributes;  ///< of a dict: the dict of what was set on it (`d.name = value`)
  ObjectId root = 0;
  std::size_t size = 0;  ///< bytes of the pickle, its end mark included

  [[nodiscard]] const PickleObject& operator[](ObjectId id) const { return objects[id]; }
};

/// Reads the pickle at the front of `bytes`. `where` begins every message. Throws Error(kData).
[[nodiscard]] Pickle read_pickle(std::span<const std::byte> bytes, const std::string& where);

}  // namespace dcase
