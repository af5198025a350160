#include "kernels/common/launch.hpp"
#include "kernels/gru/gru_mma_kernels.cuh"

namespace dcase::cuda {
namespace {

constexpr int kMostUnits = 128;           // of one block
constexpr int kMostUnitsOfCluster = 256;  // of four

// Whether the kernels that run on this device were compiled for one with clusters. A newer device than this build knows
// may run code for an older one.
bool has_clusters() {
  cudaFuncAttributes attributes = {};
  DCASE_CUDA_CALL(cudaFuncGetAttributes(&attributes,
                                        reinterpret_cast<const void*>(gru_forward_mma_kernel<kMostUnitsOfCluster, 4>)));
  return attributes.ptxVersion >= 90;
}

// The kernel's tile has kTile * kDepth columns.
template <int kDepth, int kBlocks, int kTile, class Steps>
void start(void (*pack)(const float*, const float*, uint4*, int, int), void (*kernel)(Steps, const uint4*),
           const char* name, const Steps& a, const Context& context) {
  constexpr std::int64_t kPacked = std::int64_t{2} * (kDepth / 16) * gru_fragments(kDepth) * 32;
  const Scratch<uint4> packed(context, kPacked);
  launch(pack,
         {.grid = static_cast<unsigned>((kPacked + kGruPackThreads - 1) / kGruPackThreads),
          .block = kGruPackThreads,
          .stream = context.stream,
          .name = "gru_pack"},
         a.w_hh[0], a.w_hh[1], packed.data(), a.H, kDepth);
  const int threads = gru_threads(kBlocks == 1 ? a.H : kDepth / kBlocks);
  const std::int64_t tiles = (std::int64_t{a.N} + kGruSequences - 1) / kGruSequences;
  launch(kernel,
         {.grid = {static_cast<unsigned>(tiles) * kBlocks, 2},
          .block = static_cast<unsigned>(threads),
          .smem = gru_mma_shared(kDepth, kBlocks, kTile * kDepth, threads),
          .stream = context.stream,
          .cluster = {kBlocks, 1, 1},
          .name = name},
         a, packed.data());
}

template <int kDepth, int kBlocks>
void forward(const GruForwardSteps& a, const Context& context) {
  start<kDepth, kBlocks, 1>(gru_pack_kernel<false>, gru_forward_mma_kernel<kDepth, kBlocks>, "gru_forward_mma", a,
                            context);
}
template <int kDepth, int kBlocks>
void backward(const GruBackwardSteps& a, const Context& context) {
  start<kDepth, kBlocks, 3>(gru_pack_kernel<true>, gru_backward_mma_kernel<kDepth, kBlocks>, "gru_backward_mma", a,
                            context);
}

}  // namespace

bool takes_gru_mma(std::int64_t H, const Context& context) {
  return context.precision == Precision::kBf16 && (H <= kMostUnits || (H <= kMostUnitsOfCluster && has_clusters()));
}

void gru_forward_mma(const GruForwardSteps& a, const Context& context) {
  if (a.H <= 32) return forward<32, 1>(a, context);
  if (a.H <= 64) return forward<64, 1>(a, context);
  if (a.H <= 128) return forward<128, 1>(a, context);
  forward<256, 4>(a, context);
}

void gru_backward_mma(const GruBackwardSteps& a, const Context& context) {
  if (a.H <= 32) return backward<32, 1>(a, context);
  if (a.H <= 64) return backward<64, 1>(a, context);
  if (a.H <= 128) return backward<128, 1>(a, context);
  backward<256, 4>(a, context);
}

}  // namespace dcase::cuda
