#pragma once
/// Where an operator runs and where its scratch memory comes from. Passed in everywhere; there is no global state.

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "kernels/common/error.hpp"

namespace dcase {

enum class DeviceType : std::uint8_t { kCpu, kCuda };

struct Device {
  DeviceType type = DeviceType::kCpu;
  int index = 0;
  [[nodiscard]] bool is_cpu() const { return type == DeviceType::kCpu; }
  [[nodiscard]] std::string name() const { return is_cpu() ? "cpu" : "cuda:" + std::to_string(index); }
  friend bool operator==(const Device&, const Device&) = default;
};

/// An opaque stream handle (a cudaStream_t on CUDA, unused on the CPU) and the index of the device it belongs to.
struct Stream {
  void* handle = nullptr;
  int device = 0;
};

/// Source of tensor and scratch memory; implemented by engine's Arena. Blocks are aligned to 64 bytes.
/// Thread-safe. `allocate` throws Error; `release` never does.
class Allocator {
 public:
  virtual ~Allocator() = default;
  [[nodiscard]] virtual void* allocate(std::size_t bytes) = 0;
  /// As allocate, for memory that its owner keeps beyond the call (packed weights): never a block that passing work
  /// left behind, which the next call of that work will want again.
  [[nodiscard]] virtual void* allocate_kept(std::size_t bytes) { return allocate(bytes); }
  virtual void release(void* block) noexcept = 0;
};

/// What matrix products on a GPU round their operands to; sums are in float. On the CPU everything is float.
enum class Precision : std::uint8_t { kFp32, kTf32, kBf16 };

/// The non-owning bundle that every operator receives. The allocator outlives the call.
struct Context {
  Device device = {};
  Stream stream = {};
  Allocator* allocator = nullptr;
  Precision precision = Precision::kFp32;
};

/// Whether the CUDA backend is part of this build.
#ifdef DCASE_HAS_CUDA
inline constexpr bool kHasCuda = true;
#else
inline constexpr bool kHasCuda = false;
#endif

/// Whether an operator on Real has a CUDA backend in this build: kernels compute on float, references on double.
template <class Real>
inline constexpr bool kHasCudaFor = kHasCuda&& std::is_same_v<Real, float>;

/// Operators without a CUDA backend call this first: an unsupported device is an error, never another path.
inline void require_cpu(const Context& context, const char* op) {
  if (!context.device.is_cpu()) fail(ErrorKind::kDevice, op, ": no backend for device ", context.device.name());
}

/// How long scratch memory is held: for the call, or by an object that stays.
enum class Lifetime : std::uint8_t { kCall, kKept };

/// Uninitialised scratch memory of `count` elements, returned to the allocator when it goes out of scope.
template <class T>
class Scratch {
 public:
  Scratch(const Context& context, std::int64_t count, Lifetime lifetime = Lifetime::kCall)
      : allocator_(context.allocator), data_(nullptr), size_(count) {
    DCASE_CHECK(allocator_ != nullptr, "scratch: the context has no allocator");
    DCASE_CHECK(count >= 0, "scratch: negative size ", count);
    if (count == 0) return;
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    data_ =
        static_cast<T*>(lifetime == Lifetime::kKept ? allocator_->allocate_kept(bytes) : allocator_->allocate(bytes));
  }
  ~Scratch() {
    if (data_ != nullptr) allocator_->release(data_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] T* data() const { return data_; }
  [[nodiscard]] std::int64_t size() const { return size_; }
  T& operator[](std::int64_t i) const { return data_[i]; }

 private:
  Allocator* allocator_;
  T* data_;
  std::int64_t size_;
};

/// Work and traffic of one call, for benchmarks and rooflines.
struct Cost {
  double flops = 0;
  double bytes = 0;
};

}  // namespace dcase
