#pragma once
/// The words of kernels/common/dialect.cuh as plain C++ on the emulator.

#include <vector_types.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "tests/emulator/device.hpp"

// NVIDIA's headers leave these empty for a plain compiler; a bare __shared__ would be an ordinary local then.
#undef __launch_bounds__
#undef __shared__
#undef __constant__
#define __launch_bounds__(...)
#define __shared__ static_assert(false, "use DCASE_SHARED")
#define __constant__ static_assert(false, "pass tables as kernel arguments")
#ifndef __global__
#define __global__
#define __device__
#define __host__
#endif
#ifndef __forceinline__
#define __forceinline__ inline
#endif
#ifndef __grid_constant__
#define __grid_constant__
#endif
#ifndef __align__
#define __align__(n) alignas(n)
#endif

#define threadIdx (::dcase::emulator::current_position->thread)
#define blockIdx (::dcase::emulator::current_position->block)
#define blockDim (::dcase::emulator::current_position->threads)
#define gridDim (::dcase::emulator::current_position->blocks)

#define DCASE_UNROLL
// A variable of its own for each instance of a template: the static is the key, not the storage.
#define DCASE_SHARED(type, name, extents)                                                 \
  static const char dcase_key_##name = 0;                                                 \
  type(&name) extents = *static_cast<type(*) extents>(::dcase::emulator::shared_variable( \
      &dcase_key_##name, sizeof(type extents), alignof(type), ::dcase::emulator::Site{__FILE__, __LINE__}))

// Where a call stands, as defaulted arguments: reports name the kernel's line.
#define DCASE_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(DCASE_SITE) {
  ::dcase::emulator::meet_block(::dcase::emulator::Vote::kNone, false, {file, line});
}
inline int __syncthreads_or(int predicate, DCASE_SITE) {
  return ::dcase::emulator::meet_block(::dcase::emulator::Vote::kOr, predicate != 0, {file, line});
}
inline int __syncthreads_and(int predicate, DCASE_SITE) {
  return ::dcase::emulator::meet_block(::dcase::emulator::Vote::kAnd, predicate != 0, {file, line});
}
inline int __syncthreads_count(int predicate, DCASE_SITE) {
  return ::dcase::emulator::meet_block(::dcase::emulator::Vote::kCount, predicate != 0, {file, line});
}
inline void __syncwarp(unsigned mask = 0xFFFFFFFFU, DCASE_SITE) { ::dcase::emulator::sync_warp(mask, {file, line}); }

namespace dcase::emulator {

template <class T>
struct Shuffle {
  T value;
  T result;
  int source;  // lane
};

// A lane that nobody in the mask is gives no defined value: all bits set, which is NaN for floats.
template <class T>
void shuffle_lanes(void* const* arguments, unsigned mask) {
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1U) == 0) continue;
    auto& mine = *static_cast<Shuffle<T>*>(arguments[lane]);
    if (mask >> static_cast<unsigned>(mine.source) & 1U) {
      mine.result = static_cast<Shuffle<T>*>(arguments[mine.source])->value;
    } else {
      std::memset(static_cast<void*>(&mine.result), 0xFF, sizeof(T));
    }
  }
}

template <class T>
T shuffle(const char* name, unsigned mask, T value, int source, Site site) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
  Shuffle<T> arguments{value, value, source};
  meet_warp(name, mask, &arguments, &shuffle_lanes<T>, site);
  return arguments.result;
}

[[nodiscard]] inline int lane_id() { return static_cast<int>(current_position->linear_thread % 32); }

// The lane that `lane` reads within segments of `width`; itself where the segment ends.
[[nodiscard]] inline int inside(int lane, int source, int width) {
  const int first = lane / width * width;
  return source < first || source >= first + width ? lane : source;
}

struct Ballot {
  unsigned value;
  unsigned result;
};

template <class Combine>
void combine_lanes(void* const* arguments, unsigned mask) {
  unsigned total = 0;
  bool first = true;
  for (unsigned lane = 0; lane < 32; ++lane) {
    if ((mask >> lane & 1U) == 0) continue;
    const unsigned value = static_cast<Ballot*>(arguments[lane])->value;
    total = first ? value : Combine{}(total, value);
    first = false;
  }
  for (unsigned lane = 0; lane < 32; ++lane) {
    if (mask >> lane & 1U) static_cast<Ballot*>(arguments[lane])->result = total;
  }
}

template <class Combine>
unsigned combine(const char* name, unsigned mask, unsigned value, Site site) {
  Ballot arguments{value, 0};
  meet_warp(name, mask, &arguments, &combine_lanes<Combine>, site);
  return arguments.result;
}

struct Or {
  unsigned operator()(unsigned a, unsigned b) const { return a | b; }
};
struct And {
  unsigned operator()(unsigned a, unsigned b) const { return a & b; }
};
struct Add {
  unsigned operator()(unsigned a, unsigned b) const { return a + b; }
};
struct Max {
  unsigned operator()(unsigned a, unsigned b) const { return std::max(a, b); }
};
struct Min {
  unsigned operator()(unsigned a, unsigned b) const { return std::min(a, b); }
};

}  // namespace dcase::emulator

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, DCASE_SITE) {
  const int lane = ::dcase::emulator::lane_id();
  const int from = lane / width * width + (source & (width - 1));
  return ::dcase::emulator::shuffle("__shfl_sync", mask, value, from, {file, line});
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, DCASE_SITE) {
  const int lane = ::dcase::emulator::lane_id();
  const int from = (lane ^ lanes) < lane / width * width + width ? lane ^ lanes : lane;
  return ::dcase::emulator::shuffle("__shfl_xor_sync", mask, value, from, {file, line});
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, DCASE_SITE) {
  const int lane = ::dcase::emulator::lane_id();
  const int from = ::dcase::emulator::inside(lane, lane - static_cast<int>(delta), width);
  return ::dcase::emulator::shuffle("__shfl_up_sync", mask, value, from, {file, line});
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, DCASE_SITE) {
  const int lane = ::dcase::emulator::lane_id();
  const int from = ::dcase::emulator::inside(lane, lane + static_cast<int>(delta), width);
  return ::dcase::emulator::shuffle("__shfl_down_sync", mask, value, from, {file, line});
}
inline unsigned __ballot_sync(unsigned mask, int predicate, DCASE_SITE) {
  const unsigned bit = predicate != 0 ? 1U << ::dcase::emulator::lane_id() : 0U;
  return ::dcase::emulator::combine<::dcase::emulator::Or>("__ballot_sync", mask, bit, {file, line});
}
inline int __any_sync(unsigned mask, int predicate, DCASE_SITE) {
  return static_cast<int>(
      ::dcase::emulator::combine<::dcase::emulator::Or>("__any_sync", mask, predicate != 0, {file, line}));
}
inline int __all_sync(unsigned mask, int predicate, DCASE_SITE) {
  return static_cast<int>(
      ::dcase::emulator::combine<::dcase::emulator::And>("__all_sync", mask, predicate != 0, {file, line}));
}
inline unsigned __reduce_add_sync(unsigned mask, unsigned value, DCASE_SITE) {
  return ::dcase::emulator::combine<::dcase::emulator::Add>("__reduce_add_sync", mask, value, {file, line});
}
inline unsigned __reduce_max_sync(unsigned mask, unsigned value, DCASE_SITE) {
  return ::dcase::emulator::combine<::dcase::emulator::Max>("__reduce_max_sync", mask, value, {file, line});
}
inline unsigned __reduce_min_sync(unsigned mask, unsigned value, DCASE_SITE) {
  return ::dcase::emulator::combine<::dcase::emulator::Min>("__reduce_min_sync", mask, value, {file, line});
}

namespace dcase::emulator {

template <class T, class Update>
T atomic_update(T* address, T operand, Update, Site site) {
  static_assert(std::is_integral_v<T>, "no atomics on floats: sums have a fixed order");
  struct Operands {
    T operand, old;
  } operands{operand, {}};
  atomic(
      address, sizeof(T),
      [](void* a, void* o) {
        auto& both = *static_cast<Operands*>(o);
        std::memcpy(&both.old, a, sizeof(T));
        const T fresh = Update{}(both.old, both.operand);
        std::memcpy(a, &fresh, sizeof(T));
      },
      &operands, site);
  return operands.old;
}

template <class T>
struct Sum {
  T operator()(T a, T b) const { return static_cast<T>(a + b); }
};
template <class T>
struct Largest {
  T operator()(T a, T b) const { return std::max(a, b); }
};
template <class T>
struct Second {
  T operator()(T, T b) const { return b; }
};

}  // namespace dcase::emulator

template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value, DCASE_SITE) {
  return ::dcase::emulator::atomic_update(address, value, ::dcase::emulator::Sum<T>{}, {file, line});
}
template <class T>
T atomicMax(T* address, std::type_identity_t<T> value, DCASE_SITE) {
  return ::dcase::emulator::atomic_update(address, value, ::dcase::emulator::Largest<T>{}, {file, line});
}
template <class T>
T atomicExch(T* address, std::type_identity_t<T> value, DCASE_SITE) {
  return ::dcase::emulator::atomic_update(address, value, ::dcase::emulator::Second<T>{}, {file, line});
}

template <class T>
T __ldg(const T* address) {
  return *address;
}
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return x == 0 ? 0 : std::countr_zero(static_cast<unsigned>(x)) + 1; }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline float rsqrtf(float x) { return 1.0F / std::sqrt(x); }

namespace dcase {

class SharedCarver {
 public:
  template <class T>
  T* take(std::size_t count, std::size_t align = alignof(T) < 16 ? 16 : alignof(T), DCASE_SITE) {
    return static_cast<T*>(emulator::shared_piece(index_++, count * sizeof(T), align, {file, line}));
  }

 private:
  std::size_t index_ = 0;
};

inline float fast_exp(float x) { return std::exp(x); }
inline float fast_divide(float a, float b) { return a / b; }
inline void spin_pause(DCASE_SITE) { emulator::yield({file, line}); }
inline void grid_sync(DCASE_SITE) { emulator::meet_grid({file, line}); }

}  // namespace dcase
