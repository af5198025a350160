#include "kernels/bce/bce.hpp"

#include <algorithm>
#include <limits>

#include "kernels/bce/bce_kernels.cuh"
#include "kernels/common/launch.hpp"

namespace dcase::cuda {
namespace {

template <class Term>
void weighted_mean(const char* op, const BceArguments& a, View<double> loss, Term term, const Context& context) {
  const std::int64_t chunks = (a.width + kBceChunk - 1) / kBceChunk;
  const std::int64_t blocks = a.items * chunks;
  DCASE_CHECK(blocks <= std::numeric_limits<std::int32_t>::max(), op, ": ", a.items, " items of ", a.width,
              " elements are more than a grid holds");
  const Scratch<double> partial(context, blocks);
  if (blocks > 0) {
    launch(bce_kernel<Term>,
           {.grid = static_cast<unsigned>(blocks), .block = kBceThreads, .stream = context.stream, .name = op}, a,
           partial.data(), static_cast<unsigned>(chunks), term);
  }
  launch(bce_finish_kernel, {.grid = 1, .block = kBceThreads, .stream = context.stream, .name = op}, a, partial.data(),
         static_cast<unsigned>(blocks), loss.data);
}

template <class Args>
BceArguments arguments_of(const Args& a, std::int64_t width, std::int64_t target_width) {
  return {.x = a.x.data,
          .target = a.target.data,
          .weight = a.weight.data,
          .dx = a.dx.data,
          .items = a.x.dim(0),
          .width = width,
          .target_width = target_width,
          .used = std::min(width, target_width),
          .grad_scale = a.grad_scale,
          .accumulate = a.dx_mode == GradMode::kAdd};
}

}  // namespace

void bce(const Bce<float>& a, const Context& context) {
  check(a);
  const std::int64_t k = a.x.dim(2);
  weighted_mean("bce", arguments_of(a, a.x.dim(1) * k, a.target.dim(1) * k), a.loss, BceOfProbability{}, context);
}

void bce_logits(const BceLogits<float>& a, const Context& context) {
  check(a);
  weighted_mean("bce_logits", arguments_of(a, a.x.dim(1), a.x.dim(1)), a.loss, BceOfLogit{}, context);
}

}  // namespace dcase::cuda
