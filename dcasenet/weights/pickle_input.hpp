#pragma once
/// The bytes of a pickle: what instructions take from it, never beyond its end.

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include "kernels/common/error.hpp"

namespace dcase {

class PickleInput {
 public:
  PickleInput(std::span<const std::byte> bytes, const std::string& where) : bytes_(bytes), where_(where) {}

  [[nodiscard]] const std::string& where() const { return where_; }
  [[nodiscard]] std::size_t position() const { return at_; }
  /// Where the present instruction begins.
  [[nodiscard]] std::size_t instruction() const { return instruction_; }
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(ErrorKind::kData, where_, ": the pickle is damaged or no dictionary of tensors, at byte ", instruction_, ": ",
         parts...);
  }

  std::uint8_t next_instruction() {
    instruction_ = at_;
    return u8();
  }
  std::span<const std::byte> take(std::uint64_t count) {
    if (count > bytes_.size() - at_) refuse("the file ends too soon");
    const auto part = bytes_.subspan(at_, static_cast<std::size_t>(count));
    at_ += static_cast<std::size_t>(count);
    return part;
  }
  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::uint8_t u8() { return number<std::uint8_t>(); }
  std::string text(std::uint64_t count) {
    const auto part = take(count);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  std::string line() {
    const auto rest = bytes_.subspan(at_);
    const auto end = std::find(rest.begin(), rest.end(), std::byte{'\n'});
    if (end == rest.end()) refuse("the file ends too soon");
    std::string value = text(static_cast<std::uint64_t>(end - rest.begin()));
    take(1);
    return value;
  }
  /// Little-endian two's complement of 0 to 8 bytes.
  std::int64_t long_integer(std::size_t count) {
    const auto part = take(count);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < count; ++i) value |= std::to_integer<std::uint64_t>(part[i]) << (8 * i);
    const bool negative = count > 0 && (std::to_integer<unsigned>(part.back()) & 0x80U) != 0;
    if (negative && count < 8) value |= ~std::uint64_t{0} << (8 * count);
    return std::bit_cast<std::int64_t>(value);
  }

 private:
  std::span<const std::byte> bytes_;
  const std::string& where_;
  std::size_t at_ = 0;
  std::size_t instruction_ = 0;
};

}  // namespace dcase
