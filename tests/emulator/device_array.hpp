#pragma once
/// Arrays for tests of kernels that run without a runtime.

#include <cstddef>
#include <cstring>
#include <vector>

#include "tests/emulator/grid.hpp"

namespace dcase::emulator {

/// Memory that kernels may touch; starts as NaN.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t count) : values_(count) {
    std::memset(static_cast<void*>(values_.data()), 0xFF, count * sizeof(T));
    emulator::register_device_memory(values_.data(), count * sizeof(T), "array");
  }
  explicit DeviceArray(const std::vector<T>& values) : values_(values) {
    emulator::register_device_memory(values_.data(), values.size() * sizeof(T), "array");
    emulator::mark_written(values_.data(), values.size() * sizeof(T));
  }
  ~DeviceArray() { emulator::forget_device_memory(values_.data()); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  [[nodiscard]] T* data() { return values_.data(); }
  [[nodiscard]] const std::vector<T>& values() const { return values_; }

 private:
  std::vector<T> values_;
};

}  // namespace dcase::emulator
