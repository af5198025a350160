/// The fake libcudart: memory, copies and memset.

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "tests/emulator/fake_runtime.hpp"
#include "tests/emulator/grid.hpp"

using namespace dcase::emulator::fake;  // NOLINT(google-build-using-namespace): C functions stand outside of namespaces
using dcase::concat;

namespace {

enum class Side : std::uint8_t { kPageable, kPinned, kDevice };

/// Which memory the range lies in; refuses ranges that leave their block, and freed blocks.
Side side_of(const Runtime& r, const void* pointer, std::size_t bytes, const char* role) {
  if (pointer == nullptr) refuse(cudaErrorInvalidValue, role, " is null");
  if (const Memory::Pinned* pinned = r.memory->find_pinned(pointer)) {
    const std::size_t offset = reinterpret_cast<std::uintptr_t>(pointer) - pinned->start;
    if (bytes > pinned->bytes - offset) {
      refuse(cudaErrorInvalidValue, role, ": ", bytes, " bytes from offset ", offset, " of a pinned block of ",
             pinned->bytes);
    }
    return Side::kPinned;
  }
  if (!r.memory->is_device_address(pointer)) return Side::kPageable;
  const Block* block = r.memory->find(pointer);
  if (block == nullptr) refuse(cudaErrorInvalidValue, role, " points between device blocks");
  if (block->state == BlockState::kFreed) refuse(cudaErrorInvalidValue, role, " was freed");
  const std::size_t offset = reinterpret_cast<std::uintptr_t>(pointer) - block->start;
  if (bytes > block->bytes - offset) {
    refuse(cudaErrorInvalidValue, role, ": ", bytes, " bytes from offset ", offset, " of a device block of ",
           block->bytes);
  }
  return Side::kDevice;
}

void check_direction(cudaMemcpyKind kind, Side to, Side from) {
  const bool to_device = to == Side::kDevice;
  const bool from_device = from == Side::kDevice;
  const bool fits = kind == cudaMemcpyDefault || (kind == cudaMemcpyHostToHost && !to_device && !from_device) ||
                    (kind == cudaMemcpyHostToDevice && to_device && !from_device) ||
                    (kind == cudaMemcpyDeviceToHost && !to_device && from_device) ||
                    (kind == cudaMemcpyDeviceToDevice && to_device && from_device);
  if (!fits) {
    refuse(cudaErrorInvalidValue, "a copy of kind ", static_cast<int>(kind), " from ", from_device ? "device" : "host",
           " to ", to_device ? "device" : "host", " memory");
  }
}

// What was written at the source is written at the destination: byte for byte, by halves where it is mixed.
void carry_written(const std::byte* to, const std::byte* from, std::size_t bytes) {
  if (dcase::emulator::is_written(from, bytes)) return dcase::emulator::mark_written(to, bytes);
  if (bytes <= 1) return;
  const std::size_t half = bytes / 2;
  carry_written(to, from, half);
  carry_written(to + half, from + half, bytes - half);
}

void run_copy(Runtime& r, void* dst, Side to, const void* src, Side from, std::size_t bytes) {
  const auto* source = from == Side::kDevice ? r.memory->content(src, bytes, "the source of a copy")
                                             : static_cast<const std::byte*>(src);
  auto* destination =
      to == Side::kDevice ? r.memory->content(dst, bytes, "the destination of a copy") : static_cast<std::byte*>(dst);
  if (from == Side::kDevice && to != Side::kDevice && !dcase::emulator::is_written(src, bytes)) {
    throw Fault(concat("a copy of ", bytes, " bytes to the host takes bytes of the device that nothing has written"));
  }
  std::memmove(destination, source, bytes);
  if (to != Side::kDevice) return;
  if (from == Side::kDevice) {
    carry_written(static_cast<std::byte*>(dst), static_cast<const std::byte*>(src), bytes);
  } else {
    dcase::emulator::mark_written(dst, bytes);
  }
}

OperationPtr submit_copy(Runtime& r, void* dst, const void* src, std::size_t bytes, cudaMemcpyKind kind,
                         cudaStream_t handle) {
  StreamState& stream = r.stream(handle);
  if (bytes == 0) return stream.tail;
  const Side to = side_of(r, dst, bytes, "the destination");
  const Side from = side_of(r, src, bytes, "the source");
  check_direction(kind, to, from);
  Work work = {.kind = Kind::kCopy, .name = "copy", .run = {}};
  if (from == Side::kPageable && stream.capture == nullptr) {
    const auto* begin = static_cast<const std::byte*>(src);
    auto staged = std::make_shared<const std::vector<std::byte>>(begin, begin + bytes);
    work.run = [&r, dst, to, staged, bytes] { run_copy(r, dst, to, staged->data(), Side::kPageable, bytes); };
  } else {
    work.run = [&r, dst, to, src, from, bytes] { run_copy(r, dst, to, src, from, bytes); };
  }
  return r.submit(stream, std::move(work));
}

OperationPtr submit_memset(Runtime& r, void* dst, int value, std::size_t bytes, cudaStream_t handle) {
  StreamState& stream = r.stream(handle);
  if (bytes == 0) return stream.tail;
  const Side to = side_of(r, dst, bytes, "the destination");
  if (to == Side::kPageable) refuse(cudaErrorInvalidValue, "the destination is pageable host memory");
  return r.submit(stream, {.kind = Kind::kMemset, .name = "memset", .run = [&r, dst, to, value, bytes] {
                             void* content = to == Side::kDevice ? r.memory->content(dst, bytes, "memset") : dst;
                             std::memset(content, value, bytes);
                             dcase::emulator::mark_written(dst, bytes);
                           }});
}

void* allocate(Runtime& r, std::size_t bytes, BlockState state) {
  if (bytes == 0) return nullptr;
  const int device = this_thread().device;
  void* block = r.memory->allocate(device, bytes, state, r.settings.memory_limit);
  if (block == nullptr) {
    refuse(cudaErrorMemoryAllocation, bytes, " bytes asked for, ", r.memory->bytes_in_use(device), " of ",
           r.settings.memory_limit, " in use");
  }
  return block;
}

const Block& block_to_free(const Runtime& r, void* pointer) {
  const Block* block = r.memory->find(pointer);
  if (block == nullptr || block->start != reinterpret_cast<std::uintptr_t>(pointer)) {
    refuse(cudaErrorInvalidValue, pointer, " is not the start of a device block");
  }
  if (block->state == BlockState::kFreed) refuse(cudaErrorInvalidValue, pointer, " was freed before");
  return *block;
}

void free_checked(Runtime& r, const void* pointer) {
  const std::string damage = Memory::damage(*r.memory->find(pointer));
  if (!damage.empty()) throw Fault(damage + " (seen when it was freed)");
  r.memory->free(pointer);
}

cudaError_t allocate_pinned(const char* name, void** pointer, std::size_t bytes) {
  return call(name, Safety::kNotInCapture, [&](Runtime& r) {
    *pointer = bytes == 0 ? nullptr : r.memory->allocate_pinned(bytes);
    if (*pointer == nullptr && bytes != 0) refuse(cudaErrorMemoryAllocation, bytes, " bytes of pinned memory");
  });
}

}  // namespace

extern "C" {

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  return call("cudaMalloc", Safety::kNotInCapture,
              [&](Runtime& r) { *pointer = allocate(r, bytes, BlockState::kLive); });
}

cudaError_t cudaFree(void* pointer) {
  return call("cudaFree", Safety::kNotInCapture, [&](Runtime& r) {
    if (pointer == nullptr) return;
    static_cast<void>(block_to_free(r, pointer));
    r.synchronize_all();
    if (r.sticky == cudaSuccess) free_checked(r, pointer);
  });
}

cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t handle) {
  return call("cudaMallocAsync", [&](Runtime& r) {
    StreamState& stream = r.stream(handle);
    if (stream.capture != nullptr) r.spoil(*stream.capture, cudaErrorNotSupported, "memory nodes are not modelled");
    void* block = *pointer = allocate(r, bytes, BlockState::kPromised);
    if (block == nullptr) return;
    r.submit(stream, {.kind = Kind::kMarker, .name = "allocation", .run = [&r, block] { r.memory->make_live(block); }});
  });
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t handle) {
  return call("cudaFreeAsync", [&](Runtime& r) {
    StreamState& stream = r.stream(handle);
    if (stream.capture != nullptr) r.spoil(*stream.capture, cudaErrorNotSupported, "memory nodes are not modelled");
    if (pointer == nullptr) return;
    static_cast<void>(block_to_free(r, pointer));
    r.submit(stream, {.kind = Kind::kMarker, .name = "release", .run = [&r, pointer] {
                        static_cast<void>(r.memory->content(pointer, 1, "cudaFreeAsync"));
                        free_checked(r, pointer);
                      }});
  });
}

cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
  return allocate_pinned("cudaHostAlloc", pointer, bytes);
}

cudaError_t cudaMallocHost(void** pointer, size_t bytes) { return allocate_pinned("cudaMallocHost", pointer, bytes); }

cudaError_t cudaFreeHost(void* pointer) {
  return call("cudaFreeHost", Safety::kNotInCapture, [&](Runtime& r) {
    if (pointer == nullptr) return;
    const Memory::Pinned* block = r.memory->find_pinned(pointer);
    if (block == nullptr || block->start != reinterpret_cast<std::uintptr_t>(pointer)) {
      refuse(cudaErrorInvalidValue, pointer, " is not the start of a pinned block");
    }
    r.synchronize_all();
    r.memory->free_pinned(pointer);
  });
}

cudaError_t cudaMemcpy(void* dst, const void* src, size_t bytes, cudaMemcpyKind kind) {
  return call("cudaMemcpy", Safety::kNotInCapture,
              [&](Runtime& r) { r.synchronize(submit_copy(r, dst, src, bytes, kind, nullptr)); });
}

cudaError_t cudaMemcpyAsync(void* dst, const void* src, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  return call("cudaMemcpyAsync", [&](Runtime& r) { submit_copy(r, dst, src, bytes, kind, stream); });
}

cudaError_t cudaMemset(void* dst, int value, size_t bytes) {
  return call("cudaMemset", Safety::kNotInCapture, [&](Runtime& r) { submit_memset(r, dst, value, bytes, nullptr); });
}

cudaError_t cudaMemsetAsync(void* dst, int value, size_t bytes, cudaStream_t stream) {
  return call("cudaMemsetAsync", [&](Runtime& r) { submit_memset(r, dst, value, bytes, stream); });
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  return call("cudaMemGetInfo", [&](Runtime& r) {
    *total = r.settings.memory_limit;
    *free = *total - std::min(*total, r.memory->bytes_in_use(this_thread().device));
  });
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  return call("cudaPointerGetAttributes", [&](Runtime& r) {
    *attributes = {};
    attributes->type = cudaMemoryTypeUnregistered;
    attributes->device = cudaInvalidDeviceId;
    if (r.memory->find_pinned(pointer) != nullptr) {
      attributes->type = cudaMemoryTypeHost;
      attributes->device = this_thread().device;
      attributes->devicePointer = attributes->hostPointer = const_cast<void*>(pointer);
    } else if (const Block* block = r.memory->find(pointer); block != nullptr && block->state != BlockState::kFreed) {
      attributes->type = cudaMemoryTypeDevice;
      attributes->device = block->device;
      attributes->devicePointer = const_cast<void*>(pointer);
    }
  });
}

}  // extern "C"
