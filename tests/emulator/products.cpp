// wgmma after the PTX ISA, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Instructions".

#include <bit>
#include <cstring>
#include <map>
#include <vector>

#include "kernels/common/error.hpp"
#include "kernels/common/fragments.hpp"
#include "tests/emulator/gang.hpp"

namespace dcase::emulator {
namespace {

constexpr std::size_t kGroupThreads = 128;

// --- operands in shared memory

/// The fields of a descriptor ("Matrix Descriptor Format").
struct Tile {
  std::uintptr_t start;    // bits 13-0, address within shared memory / 16
  std::uintptr_t leading;  // bits 29-16, leading dimension byte offset / 16
  std::uintptr_t stride;   // bits 45-32, stride dimension byte offset / 16
  unsigned base_offset;    // bits 51-49
  unsigned swizzle_bits;   // bits 63-62: 0 none, 1 128 bytes, 2 64, 3 32
};

Tile decode(std::uint64_t descriptor) {
  const auto field = [&](int low, int bits) { return descriptor >> low & ((std::uint64_t{1} << bits) - 1); };
  const unsigned swizzle_bits[] = {0, 3, 2, 1};
  return {16 * field(0, 14), 16 * field(16, 14), 16 * field(32, 14), static_cast<unsigned>(field(49, 3)),
          swizzle_bits[field(62, 2)]};
}

/// Where the element (row of M or N, k) stands: the canonical layouts ("Canonical Layouts", in elements of which 16
/// bytes hold T), with the pieces of 16 bytes swizzled by whole addresses ("Swizzling Modes"). `pieces` is the span of
/// the swizzle.
std::uintptr_t address_of(const Tile& t, bool mn_major, std::size_t row, std::size_t k, std::size_t element_bytes) {
  const std::size_t T = 16 / element_bytes;
  const std::size_t pieces = std::size_t{1} << t.swizzle_bits;
  std::size_t offset = 0;
  if (!mn_major && pieces == 1) {  // ((8,m),(T,2)) : ((1T,SBO),(1,LBO))
    offset = row % 8 * 16 + row / 8 * t.stride + k % T * element_bytes + k / T * t.leading;
  } else if (!mn_major) {  // ((8,m),(T,2)) : ((pieces T,SBO),(1,T))
    offset = row % 8 * pieces * 16 + row / 8 * t.stride + k * element_bytes;
  } else if (pieces == 1) {  // ((T,1,m),(8,k)) : ((1,T,SBO),(1T,LBO))
    offset = row % T * element_bytes + row / T * t.stride + k % 8 * 16 + k / 8 * t.leading;
  } else {  // ((T,pieces,m),(8,k)) : ((1,T,LBO),(pieces T,SBO))
    offset =
        row % (T * pieces) * element_bytes + row / (T * pieces) * t.leading + k % 8 * pieces * 16 + k / 8 * t.stride;
  }
  return SharedWindow::swizzled((t.start + offset) % SharedWindow::kBytes, t.swizzle_bits);
}

float load(const char* element, std::size_t bytes) {
  unsigned word = 0;
  if (bytes == 2) {
    std::memcpy(reinterpret_cast<char*>(&word) + 2, element, 2);
  } else {
    std::memcpy(&word, element, 4);
    word &= 0xFFFFE000U;  // the upper 19 bits: tf32
  }
  return std::bit_cast<float>(word);
}

std::size_t element_bytes(const GroupProduct& call) { return call.depth == 16 ? 2 : 4; }

/// `work(k, address)` for each element of the operand's rows.
template <class Work>
void for_elements(std::uint64_t descriptor, bool mn_major, std::size_t first_row, std::size_t rows,
                  const GroupProduct& call, const Work& work) {
  const Tile tile = decode(descriptor);
  for (std::size_t row = first_row; row < first_row + rows; ++row) {
    for (std::size_t k = 0; k < static_cast<std::size_t>(call.depth); ++k) {
      work(row - first_row, k, address_of(tile, mn_major, row, k, element_bytes(call)));
    }
  }
}

// --- the call

bool same_call(const GroupProduct& a, const GroupProduct& b) {
  return a.columns == b.columns && a.depth == b.depth && (a.a == nullptr) == (b.a == nullptr) && a.a_tile == b.a_tile &&
         a.b_tile == b.b_tile && a.a_mn_major == b.a_mn_major && a.b_mn_major == b.b_mn_major &&
         a.accumulate == b.accumulate;
}

WarpProducts& products_of_running_warp() {
  Gang& gang = Gang::current();
  return gang.block().products[gang.thread().position.linear_thread / 32];
}

std::array<std::size_t, 32> lanes_from(std::size_t first) {
  std::array<std::size_t, 32> lanes;
  for (std::size_t lane = 0; lane < 32; ++lane) lanes[lane] = first + lane;
  return lanes;
}

// A warp has 16 rows of A and all of B; warps of a group need not be done at the same time.
void finish(const Block& block, unsigned warp, WarpProducts& products, WarpProduct& product) {
  if (product.done) return;
  product.done = true;
  const GroupProduct& call = product.call;
  const auto columns = static_cast<std::size_t>(call.columns);
  const auto depth = static_cast<std::size_t>(call.depth);
  const std::size_t registers = columns / 2;
  const char* const window = block.window.start();
  std::vector<float> a(16 * depth);
  std::vector<float> b(depth * columns);
  const int first_thread = static_cast<int>(warp % 4 * 32);
  const int first_row = static_cast<int>(warp % 4 * 16);
  if (call.a != nullptr) {
    for (int lane = 0; lane < 32; ++lane) {
      for (int i = 0; i < 8; ++i) {
        const MatrixPlace p = wgmma_a(first_thread + lane, i);
        const unsigned word = product.a[static_cast<std::size_t>(lane)][static_cast<std::size_t>(i) / 2];
        a[static_cast<std::size_t>(p.row - first_row) * depth + static_cast<std::size_t>(p.column)] =
            std::bit_cast<float>(word >> 16 * (i % 2) << 16);
      }
    }
  } else {
    for_elements(call.a_tile, call.a_mn_major, static_cast<std::size_t>(first_row), 16, call,
                 [&](std::size_t row, std::size_t k, std::uintptr_t address) {
                   a[row * depth + k] = load(window + address, element_bytes(call));
                 });
  }
  for_elements(call.b_tile, call.b_mn_major, 0, columns, call,
               [&](std::size_t column, std::size_t k, std::uintptr_t address) {
                 b[k * columns + column] = load(window + address, element_bytes(call));
               });
  std::vector<float> sums(16 * columns, 0.0F);
  for (std::size_t row = 0; row < 16; ++row) {
    for (std::size_t k = 0; k < depth; ++k) {
      for (std::size_t n = 0; n < columns; ++n) sums[row * columns + n] += a[row * depth + k] * b[k * columns + n];
    }
  }
  const auto found = products.hidden.find(product.d[0]);
  WarpProducts::Hidden& hidden = found->second;
  for (int lane = 0; lane < 32; ++lane) {
    for (std::size_t i = 0; i < registers; ++i) {
      const MatrixPlace p = wgmma_d(first_thread + lane, static_cast<int>(i));
      const float sum =
          sums[static_cast<std::size_t>(p.row - first_row) * columns + static_cast<std::size_t>(p.column)];
      float& value = hidden.values[static_cast<std::size_t>(lane) * registers + i];
      value = call.accumulate ? value + sum : sum;
    }
  }
  if (--hidden.products > 0) return;
  for (std::size_t lane = 0; lane < 32; ++lane) {
    std::memcpy(product.d[lane], &hidden.values[lane * registers], registers * sizeof(float));
  }
  products.hidden.erase(found);
}

// The warp whose threads are numbered from `first` on asks for a product.
void start_product(std::size_t first, Site site) {
  Gang& gang = Gang::current();
  Block& block = gang.block();
  const auto lanes = lanes_from(first);
  const unsigned warp = gang.thread_at(first).position.linear_thread / 32;
  WarpProducts& products = block.products[warp];
  WarpProduct product;
  product.call = *static_cast<const GroupProduct*>(gang.thread_at(first).arguments);
  product.site = site;
  for (std::size_t lane = 0; lane < 32; ++lane) {
    const auto& call = *static_cast<const GroupProduct*>(gang.thread_at(first + lane).arguments);
    product.d[lane] = call.d;
    if (call.a != nullptr) std::memcpy(product.a[lane].data(), call.a, sizeof(product.a[lane]));
  }
  const auto registers = static_cast<std::size_t>(product.call.columns) / 2;
  WarpProducts::Hidden& hidden = products.hidden[product.d[0]];
  if (hidden.products == 0) {
    hidden.values.resize(32 * registers);
    for (std::size_t lane = 0; lane < 32; ++lane) {
      std::memcpy(&hidden.values[lane * registers], product.d[lane], registers * sizeof(float));
      std::memset(product.d[lane], 0xFF, registers * sizeof(float));
    }
  } else if (hidden.values.size() != 32 * registers) {
    gang.fail("wgmma: its accumulators belong to a product of another shape that is under way", site);
  }
  ++hidden.products;
  if (checker != nullptr) {
    // From now on until the wait. Elements come in pieces of 16 bytes, of which one stands for all.
    product.operation = checker->begins(Agent::kProducts, lanes);
    const auto reads = [&](std::size_t, std::size_t, std::uintptr_t address) {
      if (address % 16 == 0) {
        checker->touch(product.operation.agent, block.window.start() + address, 16, false, false, site);
      }
    };
    if (product.call.a == nullptr) {
      for_elements(product.call.a_tile, product.call.a_mn_major, warp % 4 * 16, 16, product.call, reads);
    }
    for_elements(product.call.b_tile, product.call.b_mn_major, 0, static_cast<std::size_t>(product.call.columns),
                 product.call, reads);
  }
  products.open.push_back(product);
  if (!gang.lands_early()) return;
  // Products of a warp are done in their order.
  for (auto& group : products.groups) {
    for (WarpProduct& earlier : group) finish(block, warp, products, earlier);
  }
  for (WarpProduct& earlier : products.open) finish(block, warp, products, earlier);
}

}  // namespace

void multiply_group(const GroupProduct& call, Site site) {
  const Inside inside;
  Gang& gang = Gang::current();
  const std::size_t linear = gang.thread().position.linear_thread;
  const std::size_t first = gang.thread_number() - linear % kGroupThreads;
  if (linear / kGroupThreads >= gang.block().groups.size()) {
    gang.fail("wgmma: the block ends within the warp group", site);
  }
  if (!products_of_running_warp().fenced) gang.fail("wgmma: no wgmma_fence stands ahead of the first product", site);
  for (const std::uint64_t descriptor : {call.a != nullptr ? 0 : call.a_tile, call.b_tile}) {
    if (decode(descriptor).base_offset != 0) gang.fail("wgmma: base offsets of descriptors are not emulated", site);
  }
  Meeting& meeting = gang.block().groups[linear / kGroupThreads];
  if (!meeting.threads.empty()) {
    const auto& other = *static_cast<const GroupProduct*>(gang.thread_at(meeting.threads[0]).arguments);
    if (meeting.site.line != site.line || !same_call(call, other)) {
      gang.fail(concat("wgmma meets another product of its warp group at ", meeting.site.file, ":", meeting.site.line),
                site);
    }
  }
  meeting.site = site;
  meeting.threads.push_back(gang.thread_number());
  gang.thread().arguments = const_cast<GroupProduct*>(&call);
  if (meeting.threads.size() < kGroupThreads) return gang.wait("wgmma", site);
  for (std::size_t warp = 0; warp < kGroupThreads; warp += 32) start_product(first + warp, site);
  for (const std::size_t thread : meeting.threads) gang.wake(thread);
  meeting.threads.clear();
}

// --- fence, commit, wait: the lanes of a warp come together, the last one acts for all

void fence_products(Site site) {
  meet_warp(
      "wgmma_fence", 0xFFFFFFFFU, nullptr, [](void* const*, unsigned) { products_of_running_warp().fenced = true; },
      site);
}

void commit_products(Site site) {
  meet_warp(
      "wgmma_commit", 0xFFFFFFFFU, nullptr,
      [](void* const*, unsigned) {
        WarpProducts& products = products_of_running_warp();
        products.groups.push_back(std::move(products.open));
        products.open.clear();
      },
      site);
}

void wait_products(unsigned groups_in_flight, Site site) {
  meet_warp(
      "wgmma_wait", 0xFFFFFFFFU, &groups_in_flight,
      [](void* const* arguments, unsigned) {
        Gang& gang = Gang::current();
        const unsigned linear = gang.thread().position.linear_thread;
        const auto lanes = lanes_from(gang.thread_number() - linear % 32);
        WarpProducts& products = products_of_running_warp();
        while (products.groups.size() > *static_cast<const unsigned*>(arguments[0])) {
          for (WarpProduct& product : products.groups.front()) {
            finish(gang.block(), linear / 32, products, product);
            if (checker != nullptr) checker->waited(product.operation, lanes);
          }
          products.groups.pop_front();
        }
      },
      site);
}

}  // namespace dcase::emulator
