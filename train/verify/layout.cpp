#include "train/verify/layout.hpp"

#include "kernels/common/error.hpp"

namespace dcase::detail {

namespace {

[[nodiscard]] Shape last_shape(const Checker& checker, const std::string& name) {
  const Shape& shape = checker.file().info(name).shape;
  if (shape.size() != 3 && shape.size() != 4) {
    fail(ErrorKind::kData, "'", checker.file().path(), "', tensor '", name, "': shape ", to_string(shape),
         ", expected [N,C,T] or [N,C,M,T]");
  }
  Shape last = {shape[0]};
  last.insert(last.end(), shape.begin() + 2, shape.end());
  last.push_back(shape[1]);
  return last;
}

/// out[n][b][a] = in[n][a][b]
[[nodiscard]] std::vector<float> swapped(const std::vector<float>& in, std::int64_t N, std::int64_t A, std::int64_t B) {
  std::vector<float> out(in.size());
  for (std::int64_t n = 0; n < N; ++n) {
    for (std::int64_t a = 0; a < A; ++a) {
      for (std::int64_t b = 0; b < B; ++b) {
        out[static_cast<std::size_t>((n * B + b) * A + a)] = in[static_cast<std::size_t>((n * A + a) * B + b)];
      }
    }
  }
  return out;
}

}  // namespace

Tensor channels_last(Checker& checker, const std::string& name, const BackendPtr& backend) {
  const Shape shape = last_shape(checker, name);
  const std::int64_t C = shape.back();
  const std::vector<float> values = checker.floats(name);
  const std::int64_t items = shape[0] * C;
  const std::int64_t positions = items == 0 ? 0 : static_cast<std::int64_t>(values.size()) / items;
  return Tensor::from(shape, swapped(values, shape[0], C, positions), backend);
}

Tensor as_stored(Checker& checker, const std::string& name, const BackendPtr& backend) {
  const Shape shape = checker.file().info(name).shape;
  return Tensor::from(shape, checker.floats(name), backend);
}

Tensor result_like(const Checker& checker, const std::string& name, const BackendPtr& backend) {
  return Tensor(last_shape(checker, name), backend);
}

Tensor plain_like(const Checker& checker, const std::string& name, const BackendPtr& backend) {
  return Tensor(checker.file().info(name).shape, backend);
}

std::vector<float> channels_first(const Tensor& x) {
  const std::int64_t N = x.dim(0);
  const std::int64_t C = x.dim(x.rank() - 1);
  const std::int64_t positions = N * C == 0 ? 0 : x.size() / (N * C);
  return swapped(x.to_vector(), N, positions, C);
}

}  // namespace dcase::detail
