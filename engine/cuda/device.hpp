#pragma once
/// CUDA devices: which there are, why one cannot be used, and the choice of one by its name on the command line.

#include <string>
#include <vector>

#include "engine/backend.hpp"
#include "kernels/common/error.hpp"

namespace dcase {

/// What keeps a program from using a CUDA device.
enum class DeviceProblem : std::uint8_t {
  kNoDriver,      ///< there is no NVIDIA driver on this machine
  kDriverTooOld,  ///< there is one, for an older CUDA than the program's
  kNoDevice,      ///< a driver, but no device (or CUDA_VISIBLE_DEVICES hides them all)
  kNoSuchIndex,   ///< fewer devices than the index says
  kArchitecture,  ///< the program was not built for the device's architecture
  kFailed         ///< the runtime reports something else
};

/// Error(kDevice) with the problem; the message names versions, counts or architectures.
class DeviceError : public Error {
 public:
  DeviceError(DeviceProblem problem, const std::string& message)
      : Error(ErrorKind::kDevice, message), problem_(problem) {}
  [[nodiscard]] DeviceProblem problem() const noexcept { return problem_; }

 private:
  DeviceProblem problem_;
};

/// Number of CUDA devices; 0 where there is a driver without devices. Throws DeviceError (kNoDriver, kDriverTooOld,
/// kFailed).
[[nodiscard]] int device_count();

struct CudaDeviceInfo {
  int index = 0;
  std::string name;
  int major = 0;  // compute capability
  int minor = 0;
  std::size_t memory_bytes = 0;
  int multiprocessors = 0;
  std::size_t shared_bytes = 0;  // of a block that asks for them
  int driver_version = 0;        // 13000 for 13.0
  int runtime_version = 0;
};

/// Throws DeviceError where the index does not exist.
[[nodiscard]] CudaDeviceInfo device_info(int index);
/// "cuda:0: NVIDIA H200, compute capability 9.0, 141 GB, 132 multiprocessors; driver 13.0, runtime 13.0"
[[nodiscard]] std::string describe(const CudaDeviceInfo& info);

/// The architectures that the program's kernels were compiled for, in the notation of CMAKE_CUDA_ARCHITECTURES:
/// "80-real", "90a-real", "80-virtual", "80"; a list with semicolons or commas. Empty: nothing to compare with.
[[nodiscard]] std::string built_architectures();
/// Whether code for `built` runs on compute capability major.minor: compiled code within one major version, an
/// architecture with a letter (90a) only on its own, and virtual code on everything newer.
[[nodiscard]] bool runs_on(const std::string& built, int major, int minor);

/// choose_device (engine/backend.hpp) for a program that holds code for `built`. Throws DeviceError for a device that
/// is not there or cannot run it.
[[nodiscard]] DeviceChoice choose_device(const std::string& text, const std::string& built);

}  // namespace dcase
