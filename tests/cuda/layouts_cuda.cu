#include <cstring>
#include <utility>

#include "kernels/common/launch.hpp"
#include "tests/cuda/copies_kernels.cuh"
#include "tests/cuda/device_buffer.hpp"
#include "tests/cuda/layouts.hpp"
#include "tests/cuda/layouts_kernels.cuh"
#include "tests/cuda/products.hpp"

namespace dcase::layouts {
namespace {

using test::DeviceBuffer;

Launch launch_of(unsigned threads, const char* name, unsigned blocks = 1) {
  return {.grid = blocks, .block = threads, .name = name};
}

}  // namespace

bool has_sm90() {
  int device = 0;
  int major = 0;
  DCASE_CUDA_CALL(cudaGetDevice(&device));
  DCASE_CUDA_CALL(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device));
  return major == 9;  // what needs sm_90a runs on nothing newer
}

std::vector<std::uint32_t> ldmatrix(const std::vector<std::uint16_t>& tile, int matrices, bool transposed) {
  const DeviceBuffer<std::uint16_t> in(tile);
  const DeviceBuffer<std::uint32_t> out(32 * matrices);
  launch(matrices == 4 ? ldmatrix_kernel : ldmatrix_x2_kernel, launch_of(32, "ldmatrix"), in.data(), out.data(),
         transposed ? 1 : 0);
  return out.download();
}

std::vector<std::uint16_t> stmatrix(const std::vector<std::uint32_t>& words) {
  const DeviceBuffer<std::uint32_t> in(words);
  const DeviceBuffer<std::uint16_t> out(256);
  launch(stmatrix_kernel, launch_of(32, "stmatrix"), in.data(), out.data());
  return out.download();
}

std::vector<float> mma(Mma operands, const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b,
                       const std::vector<float>& c) {
  const DeviceBuffer<std::uint32_t> da(a);
  const DeviceBuffer<std::uint32_t> db(b);
  const DeviceBuffer<float> dc(c);
  launch(operands == Mma::kBf16 ? mma_kernel<true> : mma_kernel<false>, launch_of(32, "mma"), da.data(), db.data(),
         dc.data());
  return dc.download();
}

std::vector<std::uint32_t> to_tf32(const std::vector<float>& x) {
  const DeviceBuffer<float> in(x);
  const DeviceBuffer<std::uint32_t> out(32);
  launch(to_tf32_kernel, launch_of(32, "to_tf32"), in.data(), out.data());
  return out.download();
}

std::vector<float> copy_async(const std::vector<float>& x, unsigned valid) {
  const DeviceBuffer<float> in(x);
  const DeviceBuffer<float> out(512);
  launch(copy_async_kernel<CopyBug::kNone>, launch_of(64, "copy_async"), in.data(), out.data(), valid);
  return out.download();
}

std::vector<float> named_barriers(const std::vector<float>& x) {
  const DeviceBuffer<float> in(x);
  const DeviceBuffer<float> out(256);
  launch(named_barrier_kernel, launch_of(64, "named_barriers"), in.data(), out.data());
  return out.download();
}

std::vector<float> bulk_ring(const std::vector<float>& x) {
  const DeviceBuffer<float> in(x);
  const DeviceBuffer<float> out(static_cast<std::int64_t>(x.size()));
  launch(bulk_ring_kernel<RingBug::kNone>, launch_of(64, "bulk_ring"), in.data(), out.data(),
         static_cast<int>(x.size() / 128));
  return out.download();
}

std::vector<float> cluster_sum(unsigned blocks, unsigned cluster) {
  const DeviceBuffer<float> out(blocks);
  Launch l = launch_of(32, "cluster_sum", blocks);
  l.cluster = cluster;
  launch(cluster_sum_kernel, l, out.data(), static_cast<int>(cluster));
  return out.download();
}

namespace {

template <class T>
std::vector<std::uint32_t> words_of(const std::vector<T>& values) {
  std::vector<std::uint32_t> words((values.size() * sizeof(T) + 3) / 4);
  if (!values.empty()) std::memcpy(words.data(), values.data(), values.size() * sizeof(T));
  return words;
}

// 0, 1, 2, ...: any wrong place shows.
template <class T>
std::vector<T> count_up(std::size_t n) {
  std::vector<T> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<T>(i);
  return values;
}

// One element of one operand is 1 and the other operand is a different number everywhere, for each element in turn:
// the sums name the place that the element has in the product.
std::vector<std::uint32_t> mma_places(Mma operands) {
  const std::uint32_t one = operands == Mma::kBf16 ? 0x3F80U : 0x3F800000U;
  std::vector<std::uint32_t> all;
  const auto numbers = [&](std::size_t n) {  // as operands: exact in bf16 up to 256
    std::vector<std::uint32_t> words(n);
    for (std::size_t i = 0; i < n; ++i) {
      const auto bits = [](std::size_t v) {
        const auto f = static_cast<float>(v);
        std::uint32_t word = 0;
        std::memcpy(&word, &f, sizeof(word));
        return word;
      };
      words[i] = operands == Mma::kBf16 ? (bits(2 * i % 251 + 1) >> 16 | (bits((2 * i + 1) % 251 + 1) & 0xFFFF0000U))
                                        : bits(i % 251 + 1);
    }
    return words;
  };
  const int halves = operands == Mma::kBf16 ? 2 : 1;
  const auto add = [&](const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
    const auto words = words_of(mma(operands, a, b, std::vector<float>(128, 0.0F)));
    all.insert(all.end(), words.begin(), words.end());
  };
  for (std::size_t lane = 0; lane < 32; lane += 5) {
    for (std::size_t j = 0; j < 4; ++j) {
      for (int half = 0; half < halves; ++half) {
        std::vector<std::uint32_t> a(128, 0);
        a[lane * 4 + j] = one << 16 * half;
        add(a, numbers(64));
        if (j >= 2) continue;
        std::vector<std::uint32_t> b(64, 0);
        b[lane * 2 + j] = one << 16 * half;
        add(numbers(128), b);
      }
    }
  }
  return all;
}

}  // namespace

std::vector<Table> tables() {
  const auto tile = count_up<std::uint16_t>(256);
  std::vector<Table> all = {
      {"ldmatrix_x4", ldmatrix(tile, 4, false)},
      {"ldmatrix_x4_trans", ldmatrix(tile, 4, true)},
      {"ldmatrix_x2", ldmatrix(tile, 2, false)},
      {"ldmatrix_x2_trans", ldmatrix(tile, 2, true)},
      {"mma_bf16", mma_places(Mma::kBf16)},
      {"mma_tf32", mma_places(Mma::kTf32)},
      {"to_tf32", to_tf32([] {
         std::vector<float> x(32);
         for (std::size_t i = 0; i < 32; ++i)
           x[i] = (i % 2 == 0 ? 1.0F : -1.0F) * (1.0F + static_cast<float>(i) * 0x1p-13F);
         return x;
       }())},
      {"copy_async_all", words_of(copy_async(count_up<float>(512), 16))},
      {"copy_async_part", words_of(copy_async(count_up<float>(512), 4))},
      {"named_barriers", words_of(named_barriers(count_up<float>(256)))},
  };
  if (has_sm90()) {
    all.push_back({"stmatrix_x4", words_of(stmatrix(count_up<std::uint32_t>(128)))});
    all.push_back({"bulk_ring", words_of(bulk_ring(count_up<float>(6 * 128)))});
    all.push_back({"cluster_sum", words_of(cluster_sum(8, 4))});
    for (Table& table : product_tables()) all.push_back(std::move(table));
  }
  return all;
}

}  // namespace dcase::layouts
