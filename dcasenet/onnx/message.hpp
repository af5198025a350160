#pragma once
/// Protocol Buffers' wire format, as far as writing an ONNX file needs it: a message is a row of fields, each a key
/// (number and kind) and a value. Source: https://protobuf.dev/programming-guides/encoding/.

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace dcase::onnx {

class Message {
 public:
  void integer(std::uint32_t field, std::int64_t value) {
    key(field, kVarint);
    varint(static_cast<std::uint64_t>(value));
  }
  void real(std::uint32_t field, float value) {
    key(field, kFixed32);
    char bytes[sizeof value];
    std::memcpy(bytes, &value, sizeof value);
    bytes_.append(bytes, sizeof value);
  }
  void text(std::uint32_t field, std::string_view value) {
    key(field, kLength);
    varint(value.size());
    bytes_ += value;
  }
  void data(std::uint32_t field, std::span<const std::byte> value) {
    text(field, {reinterpret_cast<const char*>(value.data()), value.size()});
  }
  void message(std::uint32_t field, const Message& value) { text(field, value.bytes_); }

  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  enum Kind : std::uint32_t { kVarint = 0, kLength = 2, kFixed32 = 5 };
  void key(std::uint32_t field, Kind kind) { varint(field << 3U | kind); }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7U) bytes_ += static_cast<char>((value & 0x7FU) | 0x80U);
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

}  // namespace dcase::onnx
