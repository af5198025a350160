#pragma once
/// CUDA streams and events that own themselves. None of them is the default stream, and nothing here synchronises
/// unless its name says so.
///
/// Objects are movable, not copyable, and belong to one device, which need not be current. Calls on one object from
/// several threads need a lock of the caller's. What fails throws CudaError; destructors never throw, and do not wait
/// for the work that is under way.

#include <cuda_runtime_api.h>

#include <cstdint>

#include "kernels/common/context.hpp"

namespace dcase {

class CudaEvent;

/// Runs ahead of others of the device where both could run.
enum class Priority : std::uint8_t { kNormal, kHigh };

class CudaStream {
 public:
  /// On a CUDA device; does not synchronise with the default stream.
  explicit CudaStream(Device device, Priority priority = Priority::kNormal);
  ~CudaStream();
  CudaStream(CudaStream&& other) noexcept;
  CudaStream& operator=(CudaStream&& other) noexcept;
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  [[nodiscard]] Device device() const { return device_; }
  [[nodiscard]] cudaStream_t native() const { return stream_; }
  [[nodiscard]] Stream handle() const { return {.handle = stream_, .device = device_.index}; }

  /// Waits until everything in the stream has run; throws the error of whatever failed on the device.
  void synchronize() const;
  /// Whether everything in the stream has run.
  [[nodiscard]] bool idle() const;
  /// What comes next in this stream runs after the event's last record. The host does not wait.
  void wait(const CudaEvent& event) const;

 private:
  Device device_;
  cudaStream_t stream_ = nullptr;
};

/// A place in a stream.
class CudaEvent {
 public:
  enum class Timing : std::uint8_t { kOff, kOn };

  explicit CudaEvent(Device device, Timing timing = Timing::kOff);
  ~CudaEvent();
  CudaEvent(CudaEvent&& other) noexcept;
  CudaEvent& operator=(CudaEvent&& other) noexcept;
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;

  [[nodiscard]] Device device() const { return device_; }
  [[nodiscard]] cudaEvent_t native() const { return event_; }

  /// The event stands behind all that is in the stream now. The stream is one of the same device.
  void record(Stream stream) const;
  /// Waits for the last record; returns at once where there was none.
  void synchronize() const;
  /// Whether the last record has been reached; true where there was none.
  [[nodiscard]] bool reached() const;

  /// Milliseconds between two events with timing, both reached.
  [[nodiscard]] static float milliseconds(const CudaEvent& from, const CudaEvent& to);

 private:
  Device device_;
  cudaEvent_t event_ = nullptr;
};

}  // namespace dcase
