#include "engine/cuda/device.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "kernels/common/cuda_error.hpp"

namespace dcase {
namespace {

std::string version_text(int version) { return concat(version / 1000, ".", version % 1000 / 10); }

int driver_version() {
  int version = 0;
  DCASE_CUDA_CALL(cudaDriverGetVersion(&version));
  return version;
}

// The device, checked; throws DeviceError where it cannot be used.
CudaDeviceInfo usable(int index, const std::string& built) {
  CudaDeviceInfo info = device_info(index);
  if (!built.empty() && !runs_on(built, info.major, info.minor)) {
    throw DeviceError(DeviceProblem::kArchitecture,
                      concat("cuda:", index, ": ", info.name, " has compute capability ", info.major, ".", info.minor,
                             "; this program was built for ", built));
  }
  return info;
}

[[noreturn]] void no_device() {
  throw DeviceError(DeviceProblem::kNoDevice,
                    concat("there is an NVIDIA driver (for CUDA ", version_text(driver_version()),
                           "), but no CUDA device; CUDA_VISIBLE_DEVICES may hide it"));
}

DeviceChoice choose_automatically(const std::string& built) {
  std::string why_not;
  try {
    const int count = device_count();
    if (count == 0) no_device();
    for (int index = 0; index < count; ++index) {
      try {
        return {{DeviceType::kCuda, index}, "auto: " + describe(usable(index, built))};
      } catch (const DeviceError& error) {
        why_not += (why_not.empty() ? "" : "; ") + std::string(error.what());
      }
    }
  } catch (const DeviceError& error) {
    why_not = error.what();
  }
  return {{}, "auto: the CPU, since " + why_not};
}

}  // namespace

int device_count() {
  int count = 0;
  const cudaError_t code = cudaGetDeviceCount(&count);
  if (code == cudaSuccess) return count;
  static_cast<void>(cudaGetLastError());
  if (code == cudaErrorNoDevice) return 0;
  if (code == cudaErrorInsufficientDriver) {
    const int driver = driver_version();
    // Without libcuda the runtime reports an insufficient driver, of version 0.
    if (driver == 0) throw DeviceError(DeviceProblem::kNoDriver, "there is no NVIDIA driver on this machine");
    throw DeviceError(DeviceProblem::kDriverTooOld,
                      concat("the NVIDIA driver is too old: it supports CUDA ", version_text(driver),
                             ", this program needs CUDA ", version_text(CUDART_VERSION)));
  }
  throw DeviceError(DeviceProblem::kFailed,
                    concat("CUDA cannot be used: ", cudaGetErrorString(code), " (", cudaGetErrorName(code), ")"));
}

CudaDeviceInfo device_info(int index) {
  const int count = device_count();
  if (count == 0) no_device();
  if (index < 0 || index >= count) {
    throw DeviceError(DeviceProblem::kNoSuchIndex,
                      concat("cuda:", index, " does not exist: there ", count == 1 ? "is " : "are ", count,
                             count == 1 ? " CUDA device" : " CUDA devices", ", counted from 0"));
  }
  cudaDeviceProp properties = {};
  DCASE_CUDA_CALL(cudaGetDeviceProperties(&properties, index));
  CudaDeviceInfo info = {.index = index,
                         .name = properties.name,
                         .major = properties.major,
                         .minor = properties.minor,
                         .memory_bytes = properties.totalGlobalMem,
                         .multiprocessors = properties.multiProcessorCount,
                         .shared_bytes = properties.sharedMemPerBlockOptin,
                         .driver_version = driver_version()};
  DCASE_CUDA_CALL(cudaRuntimeGetVersion(&info.runtime_version));
  return info;
}

std::string describe(const CudaDeviceInfo& info) {
  return concat("cuda:", info.index, ": ", info.name, ", compute capability ", info.major, ".", info.minor, ", ",
                info.memory_bytes / 1000000000, " GB, ", info.multiprocessors, " multiprocessors; driver ",
                version_text(info.driver_version), ", runtime ", version_text(info.runtime_version));
}

std::string built_architectures() {
#ifdef DCASE_CUDA_ARCHITECTURES
  return DCASE_CUDA_ARCHITECTURES;
#else
  return {};
#endif
}

bool runs_on(const std::string& built, int major, int minor) {
  const int device = 10 * major + minor;
  for (std::size_t begin = 0; begin < built.size();) {
    const std::size_t end = std::min(built.find_first_of(";,", begin), built.size());
    const char* const last = built.data() + end;
    int number = 0;
    const auto parsed = std::from_chars(built.data() + begin, last, number);
    const bool own_only = parsed.ptr != last && std::isalpha(static_cast<unsigned char>(*parsed.ptr)) != 0;
    const std::string suffix(parsed.ptr + (own_only ? 1 : 0), last);
    const bool compiled = suffix != "-virtual" && number / 10 == major && number <= device;
    const bool translated = suffix != "-real" && number <= device;  // by the driver, from virtual code
    if (parsed.ec == std::errc{} && (own_only ? number == device : compiled || translated)) return true;
    begin = end + 1;
  }
  return false;
}

DeviceChoice choose_device(const std::string& text, const std::string& built) {
  if (text == "cpu") return {{}, "the CPU, as asked for"};
  if (text == "auto") return choose_automatically(built);
  const Device device = parse_device(text);
  return {device, describe(usable(device.index, built)) + ", as asked for"};
}

}  // namespace dcase
