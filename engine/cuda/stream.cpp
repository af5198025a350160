#include "engine/cuda/stream.hpp"

#include <utility>

#include "kernels/common/device_guard.hpp"

namespace dcase {
namespace {

// "Not ready" is an answer here, not an error that a later call should find.
bool answer(cudaError_t code, const char* call, int line) {
  if (code == cudaErrorNotReady) {
    static_cast<void>(cudaGetLastError());
    return false;
  }
  check_cuda(code, call, __FILE__, line);
  return true;
}

void require_cuda(Device device, const char* what) {
  DCASE_CHECK(!device.is_cpu(), what, ": ", device.name(), " is no CUDA device");
}

}  // namespace

CudaStream::CudaStream(Device device, Priority priority) : device_(device) {
  require_cuda(device, "stream");
  const DeviceGuard guard(device.index);
  int least = 0;
  int greatest = 0;
  DCASE_CUDA_CALL(cudaDeviceGetStreamPriorityRange(&least, &greatest));
  DCASE_CUDA_CALL(
      cudaStreamCreateWithPriority(&stream_, cudaStreamNonBlocking, priority == Priority::kHigh ? greatest : least));
}

CudaStream::~CudaStream() {
  if (stream_ != nullptr && cudaStreamDestroy(stream_) != cudaSuccess) static_cast<void>(cudaGetLastError());
}

CudaStream::CudaStream(CudaStream&& other) noexcept
    : device_(other.device_), stream_(std::exchange(other.stream_, nullptr)) {}

CudaStream& CudaStream::operator=(CudaStream&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(stream_, other.stream_);
  return *this;
}

void CudaStream::synchronize() const { DCASE_CUDA_CALL(cudaStreamSynchronize(stream_)); }

bool CudaStream::idle() const { return answer(cudaStreamQuery(stream_), "cudaStreamQuery", __LINE__); }

void CudaStream::wait(const CudaEvent& event) const {
  DCASE_CUDA_CALL(cudaStreamWaitEvent(stream_, event.native(), cudaEventWaitDefault));
}

CudaEvent::CudaEvent(Device device, Timing timing) : device_(device) {
  require_cuda(device, "event");
  const DeviceGuard guard(device.index);
  DCASE_CUDA_CALL(cudaEventCreateWithFlags(&event_, timing == Timing::kOn ? cudaEventDefault : cudaEventDisableTiming));
}

CudaEvent::~CudaEvent() {
  if (event_ != nullptr && cudaEventDestroy(event_) != cudaSuccess) static_cast<void>(cudaGetLastError());
}

CudaEvent::CudaEvent(CudaEvent&& other) noexcept
    : device_(other.device_), event_(std::exchange(other.event_, nullptr)) {}

CudaEvent& CudaEvent::operator=(CudaEvent&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(event_, other.event_);
  return *this;
}

void CudaEvent::record(Stream stream) const {
  DCASE_CUDA_CALL(cudaEventRecord(event_, static_cast<cudaStream_t>(stream.handle)));
}

void CudaEvent::synchronize() const { DCASE_CUDA_CALL(cudaEventSynchronize(event_)); }

bool CudaEvent::reached() const { return answer(cudaEventQuery(event_), "cudaEventQuery", __LINE__); }

float CudaEvent::milliseconds(const CudaEvent& from, const CudaEvent& to) {
  float result = 0;
  DCASE_CUDA_CALL(cudaEventElapsedTime(&result, from.native(), to.native()));
  return result;
}

}  // namespace dcase
