#include <limits>

#include "kernels/common/launch.hpp"
#include "kernels/gemm/gemm.hpp"
#include "kernels/gemm/gemm_kernels.cuh"

namespace dcase::cuda {
namespace {

using Kernel = void (*)(GemmArguments);

// By layout of a, layout of b, and mode.
template <bool kTransA, bool kTransB, bool kAdd>
Kernel kernel_for(Precision precision) {
  switch (precision) {
    case Precision::kTf32:
      return gemm_mma_kernel<GemmOperands::kTf32, kTransA, kTransB, kAdd>;
    case Precision::kBf16:
      return gemm_mma_kernel<GemmOperands::kBf16, kTransA, kTransB, kAdd>;
    case Precision::kFp32:
      break;
  }
  return gemm_simple_kernel<kTransA, kTransB, kAdd>;
}

template <bool kTransA, bool kTransB>
Kernel kernel_for(Precision precision, GradMode mode) {
  return mode == GradMode::kAdd ? kernel_for<kTransA, kTransB, true>(precision)
                                : kernel_for<kTransA, kTransB, false>(precision);
}

Kernel choose(const Gemm<float>& args, Precision precision) {
  if (args.trans_a) {
    return args.trans_b ? kernel_for<true, true>(precision, args.mode) : kernel_for<true, false>(precision, args.mode);
  }
  return args.trans_b ? kernel_for<false, true>(precision, args.mode) : kernel_for<false, false>(precision, args.mode);
}

int checked(std::int64_t size, const char* name) {
  DCASE_CHECK(size <= std::numeric_limits<int>::max(), "gemm: ", name, " is ", size, ", at most 2147483647");
  return static_cast<int>(size);
}

}  // namespace

void gemm(const Gemm<float>& args, const Context& context) {
  const GemmSizes s = gemm_sizes(args);
  if (s.m == 0 || s.n == 0) return;
  const int m = checked(s.m, "m");
  const int n = checked(s.n, "n");
  const int k = checked(s.k, "k");
  const int lda = args.trans_a ? m : k;
  const int ldb = args.trans_b ? k : n;
  const auto vector = [](const float* p, int pitch) {
    return reinterpret_cast<std::uintptr_t>(p) % 16 == 0 && pitch % 4 == 0 ? 1 : 0;
  };
  const GemmArguments g{.a = args.a.data,
                        .b = args.b.data,
                        .bias = args.bias.data,
                        .c = args.c.data,
                        .m = m,
                        .n = n,
                        .k = k,
                        .lda = lda,
                        .ldb = ldb,
                        .ldc = n,
                        .alpha = args.alpha,
                        .vector_a = vector(args.a.data, lda),
                        .vector_b = vector(args.b.data, ldb)};
  const bool simple = context.precision == Precision::kFp32;
  const int tile = simple ? kSimpleTile : kMmaTile;
  const auto tiles = [tile](int size) { return static_cast<unsigned>((size + tile - 1) / tile); };
  DCASE_CHECK(tiles(m) <= 65535, "gemm: m is ", m, ", at most ", 65535 * tile);
  launch(choose(args, context.precision),
         {.grid = {tiles(n), tiles(m)},
          .block = static_cast<unsigned>(simple ? kSimpleThreads : kMmaThreads),
          .smem = simple ? std::size_t{0} : std::size_t{kMmaSharedBytes},
          .stream = context.stream,
          .name = simple                                  ? "gemm_simple"
                  : context.precision == Precision::kTf32 ? "gemm_mma_tf32"
                                                          : "gemm_mma_bf16"},
         g);
}

}  // namespace dcase::cuda
