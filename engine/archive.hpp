#pragma once
/// Archives of named tensors in the safetensors format: u64 little-endian header length, JSON header
/// (name -> dtype, shape, data_offsets; `__metadata__` -> strings), then the row-major little-endian data.
/// Source: https://github.com/huggingface/safetensors (format section of its README). Stricter than it in refusing
/// unknown fields of an entry.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/files.hpp"
#include "engine/tensor.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

enum class DType : std::uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };

/// "F32"
[[nodiscard]] const char* dtype_name(DType dtype);
/// Bytes of one element.
[[nodiscard]] std::size_t dtype_size(DType dtype);

struct TensorInfo {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<std::int64_t> shape;  ///< empty for a scalar
  std::uint64_t begin = 0;          ///< first byte, from the end of the header
  std::uint64_t end = 0;            ///< one past the last byte

  /// Number of elements: 1 for a scalar. Known not to overflow.
  [[nodiscard]] std::int64_t count() const;
};

/// "[2,3,5]"
[[nodiscard]] std::string shape_string(const std::vector<std::int64_t>& shape);

/// An archive open for reading. `open` reads and checks the whole header and no data; each tensor is read when asked
/// for, once. Reading is thread-safe. Every message names the file and the tensor. `ArchiveWriter::in_memory` makes one
/// without a file, of tensors that came from another format.
class Archive {
 public:
  /// Throws Error(kIo) when the file cannot be read, Error(kData) when it breaks the format.
  [[nodiscard]] static Archive open(const std::string& path);

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// All tensors in the order of the header.
  [[nodiscard]] const std::vector<TensorInfo>& tensors() const { return tensors_; }
  [[nodiscard]] std::vector<std::string> names() const;
  /// Null when there is no such tensor.
  [[nodiscard]] const TensorInfo* find(std::string_view name) const;
  [[nodiscard]] bool contains(std::string_view name) const { return find(name) != nullptr; }
  /// As find; throws Error(kData) when there is no such tensor.
  [[nodiscard]] const TensorInfo& info(std::string_view name) const;
  /// Throws Error(kData) unless the tensor exists with exactly this shape.
  void require_shape(std::string_view name, const std::vector<std::int64_t>& shape) const;

  /// The elements, converted from whatever dtype is stored to the nearest value.
  [[nodiscard]] std::vector<float> floats(std::string_view name) const;
  [[nodiscard]] std::vector<double> doubles(std::string_view name) const;
  /// From the integer types and BOOL only: Error(kData) otherwise.
  [[nodiscard]] std::vector<std::int64_t> integers(std::string_view name) const;
  /// The bytes as stored.
  [[nodiscard]] std::vector<std::byte> bytes(std::string_view name) const;
  /// Fills `destination`, which has the tensor's number of elements (else Error(kData)): F32 data is read in place.
  void read_floats(std::string_view name, std::span<float> destination) const;

 private:
  friend class ArchiveWriter;
  explicit Archive(std::string path) : path_(std::move(path)) {}
  void index_names();
  void read_raw(const TensorInfo& tensor, std::span<std::byte> destination) const;
  template <class T>
  [[nodiscard]] std::vector<T> converted(std::string_view name) const;

  std::string path_;
  std::optional<InputFile> file_;  // absent: the data are in memory_
  std::uint64_t data_start_ = 0;   // in the file
  std::vector<std::byte> memory_;
  std::map<std::string, std::string> metadata_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

/// Collects tensors and writes them in the order given; the same calls give the same bytes.
/// Spans and views are not copied: their memory outlives `write`. A vector that is moved in is kept.
/// Throws Error(kArgument) for a repeated name, or a size that is not that of the shape.
class ArchiveWriter {
 public:
  void add(const std::string& name, DType dtype, std::vector<std::int64_t> shape, std::span<const std::byte> bytes);
  void add(const std::string& name, DType dtype, std::vector<std::int64_t> shape, std::vector<std::byte>&& bytes);
  void add(const std::string& name, View<const float> view);
  /// From any device; what is not in the CPU's memory is copied.
  void add(const std::string& name, const Tensor& tensor);
  void add(const std::string& name, std::vector<std::int64_t> shape, std::vector<float>&& values);
  void add(const std::string& name, std::vector<std::int64_t> shape, std::vector<double>&& values);
  void add(const std::string& name, std::vector<std::int64_t> shape, std::vector<std::int64_t>&& values);
  void add(const std::string& name, std::vector<std::int64_t> shape, std::vector<std::uint8_t>&& values);
  /// A second value for a key replaces the first.
  void metadata(const std::string& key, const std::string& value);

  /// Atomic (see atomic_write). Throws Error(kIo), or Error(kArgument) for a name that is not UTF-8.
  void write(const std::string& path) const;
  /// What `write` and `Archive::open` give, without the file: a copy of all tensors. `path` is what messages name.
  [[nodiscard]] Archive in_memory(const std::string& path) const;

 private:
  template <class T>
  void add_owned(const std::string& name, DType dtype, std::vector<std::int64_t> shape, std::vector<T>&& values);
  [[nodiscard]] std::string header() const;

  struct Entry {
    TensorInfo info;
    std::span<const std::byte> bytes;
  };
  std::vector<Entry> entries_;
  std::unordered_map<std::string, std::size_t> index_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  std::vector<std::vector<std::byte>> owned_;  // moving the outer vector leaves the inner buffers where they are
  std::uint64_t size_ = 0;
};

}  // namespace dcase
