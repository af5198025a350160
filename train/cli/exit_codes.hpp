#pragma once
/// Exit codes of the `dcasenet` program. Scripts may rely on them.

#include <string>

#include "kernels/common/error.hpp"

namespace dcase::cli {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,   ///< a check failed, or some of several inputs could not be used
  kExitUsage = 2,    ///< command line or configuration
  kExitData = 3,     ///< content of a file
  kExitIo = 4,       ///< the operating system refused
  kExitNumeric = 5,  ///< NaN or infinity
  kExitDevice = 6,   ///< no such device, or out of memory
  kExitInternal = 70,
  kExitInterrupted = 130,
};

[[nodiscard]] constexpr ExitCode exit_code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
      return kExitUsage;
    case ErrorKind::kData:
      return kExitData;
    case ErrorKind::kIo:
      return kExitIo;
    case ErrorKind::kNumeric:
      return kExitNumeric;
    case ErrorKind::kDevice:
      return kExitDevice;
    case ErrorKind::kInterrupted:
      return kExitInterrupted;
    case ErrorKind::kArgument:  // the program broke a contract of the library
      break;
  }
  return kExitInternal;
}

/// The list as --help shows it.
[[nodiscard]] std::string exit_code_help();

}  // namespace dcase::cli
