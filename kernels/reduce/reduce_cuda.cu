#include <algorithm>
#include <vector>

#include "kernels/common/launch.hpp"
#include "kernels/reduce/reduce.hpp"
#include "kernels/reduce/reduce_kernels.cuh"

namespace dcase::cuda {
namespace {

// y[O,I] = factor * sum over R of x[O,R,I].
void sum_rows(const char* op, const float* x, float* y, std::int64_t O, std::int64_t R, std::int64_t I, double factor,
              GradMode mode, const Context& context) {
  if (O * I == 0) return;
  DCASE_CHECK(O <= 65535, op, ": ", O, " outer elements, at most 65535");
  // As many chunks as fill a GPU, but none of fewer than 64 rows: the sizes alone decide, so sums are always the same.
  const std::int64_t columns = (I + kSumColumns - 1) / kSumColumns;
  const std::int64_t wanted = std::max<std::int64_t>(1, kMostBlocks / std::max<std::int64_t>(1, columns * O));
  const std::int64_t chunks = std::clamp<std::int64_t>(R / 64, 1, std::min<std::int64_t>(wanted, 65535));
  const std::int64_t chunk_rows = (R + chunks - 1) / chunks;
  const Scratch<double> partial(context, O * chunks * I);
  launch(sum_rows_kernel,
         {.grid = {static_cast<unsigned>(columns), static_cast<unsigned>(chunks), static_cast<unsigned>(O)},
          .block = kSumColumns * kSumRows,
          .stream = context.stream,
          .name = op},
         x, partial.data(), R, I, chunk_rows);
  const Launch last{
      .grid = static_cast<unsigned>((O * I + 255) / 256), .block = 256, .stream = context.stream, .name = op};
  if (mode == GradMode::kAdd) {
    launch(sum_chunks_kernel<true>, last, partial.data(), y, O, chunks, I, factor);
  } else {
    launch(sum_chunks_kernel<false>, last, partial.data(), y, O, chunks, I, factor);
  }
}

// What the blocks found, on the host; waits for the stream.
template <class T>
std::vector<T> fetch(const Scratch<T>& device, const Context& context) {
  std::vector<T> host(static_cast<std::size_t>(device.size()));
  const auto stream = static_cast<cudaStream_t>(context.stream.handle);
  DCASE_CUDA_CALL(cudaMemcpyAsync(host.data(), device.data(), host.size() * sizeof(T), cudaMemcpyDeviceToHost, stream));
  DCASE_CUDA_CALL(cudaStreamSynchronize(stream));
  return host;
}

}  // namespace

void mean_forward(const MeanForward<float>& a, const Context& context) {
  check(a);
  const std::int64_t R = a.x.dim(1);
  sum_rows("mean_forward", a.x.data, a.y.data, a.x.dim(0), R, a.x.dim(2), 1.0 / static_cast<double>(R), GradMode::kSet,
           context);
}

void mean_backward(const MeanBackward<float>& a, const Context& context) {
  check(a);
  const std::int64_t n = a.dx.size();
  if (n == 0) return;
  const std::int64_t R = a.dx.dim(1);
  const Launch l{.grid = strided_blocks(n, 256), .block = 256, .stream = context.stream, .name = "mean_backward"};
  const auto factor = static_cast<float>(1.0 / static_cast<double>(R));
  if (a.dx_mode == GradMode::kAdd) {
    launch(spread_rows_kernel<true>, l, a.dy.data, a.dx.data, n, R, a.dx.dim(2), factor);
  } else {
    launch(spread_rows_kernel<false>, l, a.dy.data, a.dx.data, n, R, a.dx.dim(2), factor);
  }
}

void column_sum(const ColumnSum<float>& a, const Context& context) {
  check(a);
  sum_rows("column_sum", a.x.data, a.y.data, 1, a.x.dim(0), a.x.dim(1), 1.0, a.mode, context);
}

double squared_norm(View<const float> x, const Context& context) {
  const std::int64_t n = x.size();
  if (n == 0) return 0;
  const Scratch<double> partial(context, strided_blocks(n, kNormThreads));
  launch(squared_norm_kernel,
         {.grid = static_cast<unsigned>(partial.size()),
          .block = kNormThreads,
          .stream = context.stream,
          .name = "squared_norm"},
         x.data, partial.data(), n);
  double sum = 0;
  for (const double part : fetch(partial, context)) sum += part;
  return sum;
}

std::int64_t first_not_finite(View<const float> x, const Context& context) {
  const std::int64_t n = x.size();
  if (n == 0) return -1;
  const Scratch<std::int64_t> first(context, strided_blocks(n, kNormThreads));
  launch(first_not_finite_kernel,
         {.grid = static_cast<unsigned>(first.size()),
          .block = kNormThreads,
          .stream = context.stream,
          .name = "first_not_finite"},
         x.data, first.data(), n);
  std::int64_t found = n;
  for (const std::int64_t index : fetch(first, context)) found = std::min(found, index);
  return found == n ? -1 : found;
}

}  // namespace dcase::cuda
