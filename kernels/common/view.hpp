#pragma once
/// View: a pointer with sizes, row-major and dense, last axis fastest. It owns nothing and is cheap to copy.

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <type_traits>

#include "kernels/common/error.hpp"

namespace dcase {

inline constexpr int kMaxRank = 5;

template <class T>
struct View {
  T* data = nullptr;
  int rank = 0;
  std::int64_t shape[kMaxRank] = {};

  View() = default;
  View(T* pointer, std::initializer_list<std::int64_t> sizes) : data(pointer) {
    DCASE_CHECK(sizes.size() <= kMaxRank, "view: rank ", sizes.size(), " is above ", kMaxRank);
    for (const std::int64_t size : sizes) shape[rank++] = size;
  }
  /// A view of T is a view of const T.
  template <class U>
  // NOLINTNEXTLINE(google-explicit-constructor)
  requires(std::is_same_v<const U, T>) View(const View<U>& other) : data(other.data), rank(other.rank) {
    for (int i = 0; i < rank; ++i) shape[i] = other.shape[i];
  }

  [[nodiscard]] std::int64_t dim(int axis) const { return shape[axis]; }
  /// Number of elements; 1 for rank 0, 0 for an absent view.
  [[nodiscard]] std::int64_t size() const {
    std::int64_t n = rank == 0 && data == nullptr ? 0 : 1;
    for (int i = 0; i < rank; ++i) n *= shape[i];
    return n;
  }
  /// An absent optional argument is a default-constructed view.
  [[nodiscard]] bool present() const { return data != nullptr; }
  T& operator[](std::int64_t i) const { return data[i]; }
};

/// "[2,3,5]"
template <class T>
[[nodiscard]] std::string shape_string(const View<T>& view) {
  std::string text = "[";
  for (int i = 0; i < view.rank; ++i) text += (i ? "," : "") + std::to_string(view.shape[i]);
  return text + "]";
}

template <class T, class U>
[[nodiscard]] bool same_shape(const View<T>& a, const View<U>& b) {
  if (a.rank != b.rank) return false;
  for (int i = 0; i < a.rank; ++i)
    if (a.shape[i] != b.shape[i]) return false;
  return true;
}

/// Throws unless `view` is present (or empty) and has exactly the sizes named: check_shape("gru", "dy", dy, {N, T, 2 *
/// H}).
template <class T>
void check_shape(const char* op, const char* field, const View<T>& view, std::initializer_list<std::int64_t> expected) {
  bool equal = view.rank == static_cast<int>(expected.size());
  int axis = 0;
  for (const std::int64_t size : expected) equal = equal && view.shape[axis++] == size;
  if (!equal) {
    View<const T> wanted(nullptr, expected);
    fail(ErrorKind::kArgument, op, ": ", field, " has shape ", shape_string(view), ", expected ", shape_string(wanted));
  }
  DCASE_CHECK(view.data != nullptr || view.size() == 0, op, ": ", field, " is missing");
}

/// What a backward function does with a gradient it writes.
enum class GradMode : std::uint8_t { kSet, kAdd };

}  // namespace dcase
