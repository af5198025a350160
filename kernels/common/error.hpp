#pragma once
/// Errors and argument checks. Everything in the project that can fail throws `Error`; nothing aborts or prints.

#include <cstdint>
#include <sstream>
#include <stdexcept>
#include <string>

namespace dcase {

/// What went wrong, in the terms of the person who has to act on it. The programs map each kind to one exit code.
enum class ErrorKind : std::uint8_t {
  kArgument,     ///< a caller broke a contract: shapes, sizes, options of the library
  kUsage,        ///< command line or configuration
  kData,         ///< a file's content: audio, tables, labels, model files
  kIo,           ///< the operating system refused: missing, unreadable, unwritable, disk full
  kNumeric,      ///< NaN or infinity where a number is needed
  kDevice,       ///< no such device, or an operator without a backend for it
  kInterrupted,  ///< stopped on request
};

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

/// Joins its arguments with `<<`; the library formats all messages this way.
template <class... Parts>
[[nodiscard]] std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <class... Parts>
[[noreturn]] void fail(ErrorKind kind, const Parts&... parts) {
  throw Error(kind, concat(parts...));
}

}  // namespace dcase

/// Throws Error(kArgument) with the joined message unless `condition` holds.
#define DCASE_CHECK(condition, ...)                                              \
  do {                                                                           \
    if (!(condition)) ::dcase::fail(::dcase::ErrorKind::kArgument, __VA_ARGS__); \
  } while (false)
