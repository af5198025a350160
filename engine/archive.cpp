#include "engine/archive.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_set>

#include <nlohmann/json.hpp>

#include "kernels/common/error.hpp"

namespace dcase {

namespace {

static_assert(std::endian::native == std::endian::little, "archives are little-endian and read without swapping");

using Json = nlohmann::json;

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeader = 100'000'000;  // the reference implementation's own limit
constexpr const char* kMetadataKey = "__metadata__";

struct DTypeRow {
  DType dtype;
  const char* name;
  std::size_t size;
};
constexpr std::array<DTypeRow, 10> kDTypes = {{{DType::kF64, "F64", 8},
                                               {DType::kF32, "F32", 4},
                                               {DType::kF16, "F16", 2},
                                               {DType::kBF16, "BF16", 2},
                                               {DType::kI64, "I64", 8},
                                               {DType::kI32, "I32", 4},
                                               {DType::kI16, "I16", 2},
                                               {DType::kI8, "I8", 1},
                                               {DType::kU8, "U8", 1},
                                               {DType::kBool, "BOOL", 1}}};

[[nodiscard]] std::optional<DType> dtype_from(std::string_view name) {
  for (const DTypeRow& row : kDTypes)
    if (name == row.name) return row.dtype;
  return std::nullopt;
}

/// Names from a file go into messages: shortened, and with control characters made visible.
[[nodiscard]] std::string printable(std::string_view text) {
  constexpr std::size_t kLongest = 80;
  std::string out;
  for (const char c : text.substr(0, kLongest)) out += static_cast<unsigned char>(c) < 0x20U || c == 0x7F ? '?' : c;
  return text.size() > kLongest ? out + "..." : out;
}

/// Product of the shape times `element` bytes; nothing on overflow. Zeros do not hide an overflow of the other sizes.
[[nodiscard]] std::optional<std::uint64_t> byte_count(const std::vector<std::int64_t>& shape, std::size_t element) {
  std::int64_t product = static_cast<std::int64_t>(element);
  bool empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(product, size, &product)) {
      return std::nullopt;
    }
  }
  return empty ? 0 : static_cast<std::uint64_t>(product);
}

/// Receives the header's events and accepts only the format: an object of tensor entries, at most three levels deep. No
/// document is built, so nesting and numbers cost nothing before they are refused.
class HeaderReader final : public nlohmann::json_sax<Json> {
 public:
  [[nodiscard]] const std::string& problem() const { return problem_; }
  std::vector<TensorInfo> tensors;
  std::map<std::string, std::string> metadata;

  bool start_object(std::size_t /*size*/) override {
    if (level_ == Level::kOutside) return go(Level::kTop);
    if (level_ == Level::kTop) {
      if (name_ == kMetadataKey) return go(Level::kMetadata);
      tensors.push_back({.name = name_});
      has_dtype_ = has_shape_ = has_offsets_ = false;
      return go(Level::kTensor);
    }
    return refuse("an object where none belongs");
  }

  bool key(std::string& text) override {
    if (level_ == Level::kTop) {
      if (!seen_.insert(text).second) return refuse(concat("the name '", printable(text), "' appears twice"));
      name_ = text;
      return true;
    }
    if (level_ == Level::kMetadata) {
      if (metadata.count(text) != 0) return refuse(concat("metadata key '", printable(text), "' appears twice"));
      field_ = text;
      return true;
    }
    bool* seen = text == "dtype"          ? &has_dtype_
                 : text == "shape"        ? &has_shape_
                 : text == "data_offsets" ? &has_offsets_
                                          : nullptr;
    if (seen == nullptr) return refuse_here(concat("unknown field '", printable(text), "'"));
    if (*seen) return refuse_here(concat("field '", text, "' appears twice"));
    *seen = true;
    field_ = text;
    return true;
  }

  bool end_object() override {
    if (level_ == Level::kTop) return go(Level::kDone);
    if (level_ == Level::kTensor && !(has_dtype_ && has_shape_ && has_offsets_)) {
      return refuse_here(!has_dtype_ ? "no dtype" : !has_shape_ ? "no shape" : "no data_offsets");
    }
    return go(Level::kTop);
  }

  bool start_array(std::size_t /*size*/) override {
    if (level_ != Level::kTensor || field_ == "dtype") return refuse("an array where none belongs");
    numbers_.clear();
    return go(Level::kNumbers);
  }

  bool end_array() override {
    TensorInfo& tensor = tensors.back();
    if (field_ == "shape") {
      tensor.shape.assign(numbers_.begin(), numbers_.end());
    } else {
      if (numbers_.size() != 2) return refuse_here("data_offsets are not two numbers");
      tensor.begin = numbers_[0];
      tensor.end = numbers_[1];
    }
    return go(Level::kTensor);
  }

  bool number_unsigned(std::uint64_t value) override {
    if (level_ != Level::kNumbers) return refuse("a number where none belongs");
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
      return refuse_here(concat(field_, " holds ", value, ", which is too large"));
    }
    numbers_.push_back(value);
    return true;
  }

  bool string(std::string& value) override {
    if (level_ == Level::kMetadata) {
      metadata.emplace(field_, value);
      return true;
    }
    if (level_ != Level::kTensor || field_ != "dtype") return refuse("a string where none belongs");
    const std::optional<DType> dtype = dtype_from(value);
    if (!dtype) return refuse_here(concat("dtype '", printable(value), "' is not supported"));
    tensors.back().dtype = *dtype;
    return true;
  }

  bool number_integer(std::int64_t value) override { return refuse(concat("the number ", value, " is negative")); }
  bool number_float(double /*value*/, const std::string& text) override {
    return refuse(concat("the number ", printable(text), " is not an integer of 64 bits"));
  }
  bool null() override { return refuse("a null where none belongs"); }
  bool boolean(bool /*value*/) override { return refuse("a boolean where none belongs"); }
  bool binary(Json::binary_t& /*value*/) override { return refuse("binary data where none belongs"); }
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    return refuse(concat("the header is not JSON at byte ", position, " (", printable(error.what()), ")"));
  }

 private:
  enum class Level : std::uint8_t { kOutside, kTop, kMetadata, kTensor, kNumbers, kDone };

  bool go(Level level) {
    level_ = level;
    return true;
  }
  bool refuse(const std::string& what) {
    if (problem_.empty()) problem_ = what;
    return false;
  }
  bool refuse_here(const std::string& what) {
    return refuse(concat("tensor '", printable(tensors.back().name), "': ", what));
  }

  Level level_ = Level::kOutside;
  std::string name_;
  std::string field_;
  std::unordered_set<std::string> seen_;
  std::vector<std::uint64_t> numbers_;
  bool has_dtype_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
  std::string problem_;
};

/// Offsets fit the shapes and the data, and cover it without overlap, hole or rest.
void check_layout(const std::string& path, const std::vector<TensorInfo>& tensors, std::uint64_t data_size) {
  for (const TensorInfo& tensor : tensors) {
    const std::optional<std::uint64_t> bytes = byte_count(tensor.shape, dtype_size(tensor.dtype));
    const std::string where = concat("'", path, "', tensor '", printable(tensor.name), "': ");
    if (!bytes) fail(ErrorKind::kData, where, "the product of its shape overflows");
    if (tensor.begin > tensor.end || tensor.end > data_size) {
      fail(ErrorKind::kData, where, "data_offsets [", tensor.begin, ",", tensor.end, "] are outside the ", data_size,
           " bytes of data (is the file cut short?)");
    }
    if (tensor.end - tensor.begin != *bytes) {
      fail(ErrorKind::kData, where, dtype_name(tensor.dtype), " of shape ", shape_string(tensor.shape), " takes ",
           *bytes, " bytes, data_offsets give ", tensor.end - tensor.begin);
    }
  }
  std::vector<const TensorInfo*> order;
  order.reserve(tensors.size());
  for (const TensorInfo& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const TensorInfo* a, const TensorInfo* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  std::uint64_t at = 0;
  for (const TensorInfo* tensor : order) {
    if (tensor->begin != at) {
      fail(ErrorKind::kData, "'", path, "', tensor '", printable(tensor->name), "': starts at byte ", tensor->begin,
           tensor->begin < at ? ", inside the tensor before it" : ", after a hole", " that ends at ",
           tensor->begin < at ? at : tensor->begin);
    }
    at = tensor->end;
  }
  if (at != data_size) fail(ErrorKind::kData, "'", path, "': ", data_size - at, " bytes follow the last tensor");
}

[[nodiscard]] float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = (half & 0x8000U) << 16U;
  const std::uint32_t exponent = (half >> 10U) & 0x1FU;
  const std::uint32_t mantissa = half & 0x3FFU;
  if (exponent == 0) {  // zero or subnormal: mantissa * 2^-24
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
    return sign != 0 ? -magnitude : magnitude;
  }
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7F800000U | (mantissa << 13U));
  return std::bit_cast<float>(sign | ((exponent + 112U) << 23U) | (mantissa << 13U));
}

[[nodiscard]] float bfloat_to_float(std::uint16_t value) { return std::bit_cast<float>(std::uint32_t{value} << 16U); }

/// Converts `count` stored elements of type Stored through `value_of`.
template <class Stored, class T, class ValueOf>
void convert_all(const std::vector<std::byte>& bytes, std::vector<T>& out, ValueOf value_of) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    out[i] = static_cast<T>(value_of(stored));
  }
}

}  // namespace

const char* dtype_name(DType dtype) { return kDTypes[static_cast<std::size_t>(dtype)].name; }
std::size_t dtype_size(DType dtype) { return kDTypes[static_cast<std::size_t>(dtype)].size; }

std::int64_t TensorInfo::count() const {
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

std::string shape_string(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? "," : "") + std::to_string(shape[i]);
  return text + "]";
}

Archive Archive::open(const std::string& path) {
  Archive archive(path);
  archive.file_ = InputFile::open(path);
  const std::uint64_t size = archive.file_->size();
  if (size < kLengthBytes) fail(ErrorKind::kData, "'", path, "': ", size, " bytes are no safetensors file");
  std::uint64_t length = 0;
  archive.file_->read(0, std::as_writable_bytes(std::span(&length, 1)));
  if (length > kMaxHeader || length > size - kLengthBytes || length < 2) {
    fail(ErrorKind::kData, "'", path, "': a header of ", length, " bytes in a file of ", size,
         " (not a safetensors file, or cut short)");
  }
  std::string header(static_cast<std::size_t>(length), '\0');
  archive.file_->read(kLengthBytes, std::as_writable_bytes(std::span(header.data(), header.size())));
  // The parser takes a NUL for the end of its input: what follows would go unseen.
  if (header.front() != '{' || header.find('\0') != std::string::npos) {
    fail(ErrorKind::kData, "'", path, "': the header is not a JSON object (not a safetensors file)");
  }
  HeaderReader reader;
  if (!Json::sax_parse(header, &reader)) fail(ErrorKind::kData, "'", path, "': ", reader.problem());

  archive.data_start_ = kLengthBytes + length;
  check_layout(path, reader.tensors, size - archive.data_start_);
  archive.metadata_ = std::move(reader.metadata);
  archive.tensors_ = std::move(reader.tensors);
  archive.index_names();
  return archive;
}

void Archive::index_names() {
  for (std::size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
}

std::vector<std::string> Archive::names() const {
  std::vector<std::string> all;
  all.reserve(tensors_.size());
  for (const TensorInfo& tensor : tensors_) all.push_back(tensor.name);
  return all;
}

const TensorInfo* Archive::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const TensorInfo& Archive::info(std::string_view name) const {
  const TensorInfo* tensor = find(name);
  if (tensor == nullptr) fail(ErrorKind::kData, "'", path(), "' has no tensor '", printable(name), "'");
  return *tensor;
}

void Archive::require_shape(std::string_view name, const std::vector<std::int64_t>& shape) const {
  const TensorInfo& tensor = info(name);
  if (tensor.shape != shape) {
    fail(ErrorKind::kData, "'", path(), "', tensor '", printable(name), "': shape ", shape_string(tensor.shape),
         ", expected ", shape_string(shape));
  }
}

void Archive::read_raw(const TensorInfo& tensor, std::span<std::byte> destination) const {
  if (file_) return file_->read(data_start_ + tensor.begin, destination);
  std::copy_n(memory_.begin() + static_cast<std::ptrdiff_t>(tensor.begin), destination.size(), destination.begin());
}

std::vector<std::byte> Archive::bytes(std::string_view name) const {
  const TensorInfo& tensor = info(name);
  std::vector<std::byte> out(static_cast<std::size_t>(tensor.end - tensor.begin));
  read_raw(tensor, out);
  return out;
}

template <class T>
std::vector<T> Archive::converted(std::string_view name) const {
  const TensorInfo& tensor = info(name);
  std::vector<T> out(static_cast<std::size_t>(tensor.count()));
  const bool same = (std::is_same_v<T, float> && tensor.dtype == DType::kF32) ||
                    (std::is_same_v<T, double> && tensor.dtype == DType::kF64) ||
                    (std::is_same_v<T, std::int64_t> && tensor.dtype == DType::kI64);
  if (same) {
    read_raw(tensor, std::as_writable_bytes(std::span(out)));
    return out;
  }
  const std::vector<std::byte> raw = bytes(name);
  const auto as_is = [](auto value) { return value; };
  switch (tensor.dtype) {
    case DType::kF64:
      convert_all<double>(raw, out, as_is);
      break;
    case DType::kF32:
      convert_all<float>(raw, out, as_is);
      break;
    case DType::kF16:
      convert_all<std::uint16_t>(raw, out, half_to_float);
      break;
    case DType::kBF16:
      convert_all<std::uint16_t>(raw, out, bfloat_to_float);
      break;
    case DType::kI64:
      convert_all<std::int64_t>(raw, out, as_is);
      break;
    case DType::kI32:
      convert_all<std::int32_t>(raw, out, as_is);
      break;
    case DType::kI16:
      convert_all<std::int16_t>(raw, out, as_is);
      break;
    case DType::kI8:
      convert_all<std::int8_t>(raw, out, as_is);
      break;
    case DType::kU8:
      convert_all<std::uint8_t>(raw, out, as_is);
      break;
    case DType::kBool:
      convert_all<std::uint8_t>(raw, out, [&](std::uint8_t value) {
        if (value > 1) {
          fail(ErrorKind::kData, "'", path(), "', tensor '", printable(name), "': a BOOL of ", int{value});
        }
        return value;
      });
      break;
  }
  return out;
}

std::vector<float> Archive::floats(std::string_view name) const { return converted<float>(name); }
std::vector<double> Archive::doubles(std::string_view name) const { return converted<double>(name); }

std::vector<std::int64_t> Archive::integers(std::string_view name) const {
  const DType dtype = info(name).dtype;
  if (dtype == DType::kF64 || dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16) {
    fail(ErrorKind::kData, "'", path(), "', tensor '", printable(name), "': ", dtype_name(dtype),
         " where integers belong");
  }
  return converted<std::int64_t>(name);
}

void Archive::read_floats(std::string_view name, std::span<float> destination) const {
  const TensorInfo& tensor = info(name);
  if (tensor.count() != static_cast<std::int64_t>(destination.size())) {
    fail(ErrorKind::kData, "'", path(), "', tensor '", printable(name), "': ", tensor.count(), " elements, expected ",
         destination.size());
  }
  if (tensor.dtype == DType::kF32) {
    read_raw(tensor, std::as_writable_bytes(destination));
  } else {
    const std::vector<float> values = floats(name);
    std::copy(values.begin(), values.end(), destination.begin());
  }
}

void ArchiveWriter::add(const std::string& name, DType dtype, std::vector<std::int64_t> shape,
                        std::span<const std::byte> bytes) {
  DCASE_CHECK(name != kMetadataKey, "archive: a tensor cannot be called ", kMetadataKey);
  const std::optional<std::uint64_t> expected = byte_count(shape, dtype_size(dtype));
  DCASE_CHECK(expected && *expected == bytes.size(), "archive: tensor '", name, "' of shape ", shape_string(shape),
              " and type ", dtype_name(dtype), " has ", bytes.size(), " bytes");
  DCASE_CHECK(index_.emplace(name, entries_.size()).second, "archive: tensor '", name, "' is added twice");
  entries_.push_back({{name, dtype, std::move(shape), size_, size_ + bytes.size()}, bytes});
  size_ += bytes.size();
}

void ArchiveWriter::add(const std::string& name, DType dtype, std::vector<std::int64_t> shape,
                        std::vector<std::byte>&& bytes) {
  owned_.push_back(std::move(bytes));
  add(name, dtype, std::move(shape), std::span<const std::byte>(owned_.back()));
}

void ArchiveWriter::add(const std::string& name, View<const float> view) {
  const std::span<const float> values(view.data, static_cast<std::size_t>(view.size()));
  add(name, DType::kF32, {view.shape, view.shape + view.rank}, std::as_bytes(values));
}

void ArchiveWriter::add(const std::string& name, const Tensor& tensor) {
  if (tensor.backend()->device().is_cpu()) return add(name, View<const float>(tensor));
  add(name, tensor.shape(), tensor.to_vector());
}

template <class T>
void ArchiveWriter::add_owned(const std::string& name, DType dtype, std::vector<std::int64_t> shape,
                              std::vector<T>&& values) {
  const auto source = std::as_bytes(std::span(values));
  owned_.emplace_back(source.begin(), source.end());
  add(name, dtype, std::move(shape), std::span<const std::byte>(owned_.back()));
}

void ArchiveWriter::add(const std::string& name, std::vector<std::int64_t> shape, std::vector<float>&& values) {
  add_owned(name, DType::kF32, std::move(shape), std::move(values));
}
void ArchiveWriter::add(const std::string& name, std::vector<std::int64_t> shape, std::vector<double>&& values) {
  add_owned(name, DType::kF64, std::move(shape), std::move(values));
}
void ArchiveWriter::add(const std::string& name, std::vector<std::int64_t> shape, std::vector<std::int64_t>&& values) {
  add_owned(name, DType::kI64, std::move(shape), std::move(values));
}
void ArchiveWriter::add(const std::string& name, std::vector<std::int64_t> shape, std::vector<std::uint8_t>&& values) {
  add_owned(name, DType::kU8, std::move(shape), std::move(values));
}

void ArchiveWriter::metadata(const std::string& key, const std::string& value) {
  for (auto& [known, old] : metadata_) {
    if (known == key) {
      old = value;
      return;
    }
  }
  metadata_.emplace_back(key, value);
}

std::string ArchiveWriter::header() const {
  // Assembled by hand: the order of a JSON library's objects is not ours, and the bytes are to be the same every time.
  const auto quoted = [](const std::string& text) {
    try {
      return Json(text).dump();
    } catch (const Json::exception&) {
      fail(ErrorKind::kArgument, "archive: '", printable(text), "' is not UTF-8");
    }
  };
  std::string text = "{";
  if (!metadata_.empty()) {
    text += quoted(kMetadataKey) + ":{";
    for (const auto& [key, value] : metadata_)
      text += (text.back() == '{' ? "" : ",") + quoted(key) + ":" + quoted(value);
    text += "}";
  }
  for (const Entry& entry : entries_) {
    text += concat(text.size() > 1 ? "," : "", quoted(entry.info.name), R"(:{"dtype":")", dtype_name(entry.info.dtype),
                   R"(","shape":)", shape_string(entry.info.shape), R"(,"data_offsets":[)", entry.info.begin, ",",
                   entry.info.end, "]}");
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');  // data starts at a multiple of 8 bytes
  return text;
}

void ArchiveWriter::write(const std::string& path) const {
  const std::string text = header();
  const std::uint64_t length = text.size();
  atomic_write(path, [&](OutputFile& out) {
    out.write(std::as_bytes(std::span(&length, 1)));
    out.write(text);
    for (const Entry& entry : entries_) out.write(entry.bytes);
  });
}

Archive ArchiveWriter::in_memory(const std::string& path) const {
  Archive archive(path);
  archive.memory_.reserve(static_cast<std::size_t>(size_));
  for (const Entry& entry : entries_) {
    archive.tensors_.push_back(entry.info);
    archive.memory_.insert(archive.memory_.end(), entry.bytes.begin(), entry.bytes.end());
  }
  archive.metadata_.insert(metadata_.begin(), metadata_.end());
  archive.index_names();
  return archive;
}

}  // namespace dcase
