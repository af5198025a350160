#pragma once
/// Tests that a result does not depend on the number of threads.

#include <omp.h>

#include <cstring>
#include <string>

#include "kernels/common/view.hpp"
#include "tests/support/test.hpp"

namespace dcase::test {

/// Parallel regions use `count` threads until the end of the scope.
class Threads {
 public:
  explicit Threads(int count) : before_(omp_get_max_threads()) { omp_set_num_threads(count); }
  ~Threads() { omp_set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

/// CHECKs that two arrays are the same bit for bit.
template <class A, class B>
void check_same_bits(const std::string& what, View<A> a, View<B> b) {
  static_assert(sizeof(A) == sizeof(B));
  INFO(what);
  REQUIRE(a.size() == b.size());
  CHECK((a.size() == 0 || std::memcmp(a.data, b.data, static_cast<std::size_t>(a.size()) * sizeof(A)) == 0));
}

}  // namespace dcase::test
