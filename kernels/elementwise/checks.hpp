#pragma once
/// What every backend of the elementwise operators asks of its arguments.

#include "kernels/common/view.hpp"

namespace dcase {

/// Throws Error(kArgument) unless `view` is there and has the shape of `like`.
template <class A, class B>
void check_same(const char* op, const char* field, const View<A>& view, const char* like_field, const View<B>& like) {
  DCASE_CHECK(same_shape(view, like), op, ": ", field, " has shape ", shape_string(view), ", ", like_field, " has ",
              shape_string(like));
  DCASE_CHECK(view.data != nullptr || view.size() == 0, op, ": ", field, " is missing");
}

}  // namespace dcase
