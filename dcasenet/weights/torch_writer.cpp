#include <zip.h>

#include <array>
#include <cstring>
#include <memory>

#include "dcasenet/weights/pickle_codes.hpp"
#include "dcasenet/weights/weights.hpp"
#include "engine/files.hpp"
#include "kernels/common/error.hpp"

namespace dcase {
namespace {

using pickle::Op;

[[nodiscard]] const char* storage_name(DType dtype) {
  switch (dtype) {
    case DType::kF64:
      return "DoubleStorage";
    case DType::kF32:
      return "FloatStorage";
    case DType::kF16:
      return "HalfStorage";
    case DType::kBF16:
      return "BFloat16Storage";
    case DType::kI64:
      return "LongStorage";
    case DType::kI32:
      return "IntStorage";
    case DType::kI16:
      return "ShortStorage";
    case DType::kI8:
      return "CharStorage";
    case DType::kU8:
      return "ByteStorage";
    case DType::kBool:
      break;
  }
  return "BoolStorage";
}

/// Writes the pickle of an OrderedDict of tensors, protocol 2. Nothing is remembered: what is needed again is written
/// again, which costs 200 bytes a tensor.
class PickleWriter {
 public:
  PickleWriter() {
    op(Op::kProto);
    text_ += '\x02';
    empty_ordered_dict();
    op(Op::kMark);
  }

  // name: _rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())
  void tensor(const TensorInfo& info, std::size_t key) {
    std::vector<std::int64_t> strides(info.shape.size(), 1);
    for (std::size_t i = strides.size(); i-- > 1;)
      strides[i - 1] = strides[i] * std::max<std::int64_t>(info.shape[i], 1);
    text(info.name);
    global("torch._utils", "_rebuild_tensor_v2");
    op(Op::kMark);
    op(Op::kMark);
    text("storage");
    global("torch", storage_name(info.dtype));
    text(std::to_string(key));
    text("cpu");
    integer(info.count());
    op(Op::kTuple);
    op(Op::kBinPersid);
    integer(0);
    integers(info.shape);
    integers(strides);
    op(Op::kNewFalse);
    empty_ordered_dict();
    op(Op::kTuple);
    op(Op::kReduce);
  }

  [[nodiscard]] std::string finish(const std::map<std::string, std::string>& metadata) {
    op(Op::kSetItems);
    if (!metadata.empty()) {
      op(Op::kEmptyDict);
      text(kTorchMetadata);
      op(Op::kEmptyDict);
      op(Op::kMark);
      for (const auto& [key, value] : metadata) {
        text(key);
        text(value);
      }
      op(Op::kSetItems);
      op(Op::kSetItem);
      op(Op::kBuild);
    }
    op(Op::kStop);
    return std::move(text_);
  }

 private:
  void op(Op value) { text_ += static_cast<char>(value); }
  template <class T>
  void raw(T value) {
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    text_.append(bytes, sizeof value);
  }
  void text(std::string_view value) {
    op(Op::kBinUnicode);
    raw(static_cast<std::uint32_t>(value.size()));
    text_ += value;
  }
  void global(std::string_view module, std::string_view name) {
    op(Op::kGlobal);
    text_ += concat(module, "\n", name, "\n");
  }
  void empty_ordered_dict() {
    global("collections", "OrderedDict");
    op(Op::kEmptyTuple);
    op(Op::kReduce);
  }
  void integer(std::int64_t value) {  // eight bytes hold any
    op(Op::kLong1);
    raw(static_cast<std::uint8_t>(sizeof value));
    raw(value);
  }
  void integers(const std::vector<std::int64_t>& values) {
    op(Op::kMark);
    for (const std::int64_t value : values) integer(value);
    op(Op::kTuple);
  }

  std::string text_;
};

struct FreeSource {
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};

void check(bool good) {
  if (!good) fail(ErrorKind::kIo, "a zip archive could not be put together: out of memory");
}

/// A zip archive that is put together in memory: entries are stored, dated 1980, and not copied before `finish`.
class ZipBuffer {
 public:
  ZipBuffer() : source_(zip_source_buffer_create(nullptr, 0, 0, nullptr)) {
    check(source_ != nullptr);
    archive_.reset(zip_open_from_source(source_.get(), ZIP_CREATE | ZIP_TRUNCATE, nullptr));
    check(archive_ != nullptr);
    zip_source_keep(source_.get());  // the archive owns one reference
  }

  /// `bytes` outlive `finish`.
  void add(const std::string& name, std::span<const std::byte> bytes) {
    zip_source_t* content = zip_source_buffer(archive_.get(), bytes.data(), bytes.size(), 0);
    check(content != nullptr);
    const zip_int64_t added = zip_file_add(archive_.get(), name.c_str(), content, ZIP_FL_ENC_UTF_8);
    if (added < 0) zip_source_free(content);
    check(added >= 0);
    const auto index = static_cast<zip_uint64_t>(added);
    constexpr std::uint16_t kFirstOfJanuary1980 = 0x21;
    check(zip_set_file_compression(archive_.get(), index, ZIP_CM_STORE, 0) == 0);
    check(zip_file_set_dostime(archive_.get(), index, 0, kFirstOfJanuary1980, 0) == 0);
  }

  [[nodiscard]] std::vector<std::byte> finish() {
    check(zip_close(archive_.get()) == 0);
    static_cast<void>(archive_.release());  // closed
    zip_stat_t stat;
    check(zip_source_stat(source_.get(), &stat) == 0 && zip_source_open(source_.get()) == 0);
    std::vector<std::byte> bytes(static_cast<std::size_t>(stat.size));
    const zip_int64_t got = zip_source_read(source_.get(), bytes.data(), bytes.size());
    zip_source_close(source_.get());
    check(got == static_cast<zip_int64_t>(bytes.size()));
    return bytes;
  }

 private:
  std::unique_ptr<zip_source_t, FreeSource> source_;
  std::unique_ptr<zip_t, Discard> archive_;
};

}  // namespace

void write_torch(const Archive& archive, const std::string& path) {
  PickleWriter pickle;
  std::vector<std::vector<std::byte>> storages;
  for (const TensorInfo& info : archive.tensors()) {
    pickle.tensor(info, storages.size());
    storages.push_back(archive.bytes(info.name));
  }
  const std::string text = pickle.finish(archive.metadata());
  const auto as_bytes = [](std::string_view s) { return std::as_bytes(std::span(s.data(), s.size())); };

  ZipBuffer zip;
  zip.add("archive/data.pkl", as_bytes(text));
  zip.add("archive/byteorder", as_bytes("little"));
  for (std::size_t i = 0; i < storages.size(); ++i) zip.add(concat("archive/data/", i), storages[i]);
  zip.add("archive/version", as_bytes("3\n"));
  const std::vector<std::byte> bytes = zip.finish();
  atomic_write(path, [&](OutputFile& out) { out.write(bytes); });
}

}  // namespace dcase
