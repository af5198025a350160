// Products of warp groups and copies of tensors where only the emulator can tell: mistakes planted in the kernels of
// tests/cuda, which must be found, the bits of a descriptor, and a device and a driver that have no tensor maps.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/common/cuda_error.hpp"
#include "tests/cuda/cuda_test.hpp"
#include "tests/cuda/products_launch.cuh"
#include "tests/emulator/schedules.hpp"

namespace dcase::test {

using emulator::contains;
using layouts::GemmBug;
using layouts::Matrix;
using layouts::Moved;
using layouts::NumberedTensor;
using layouts::ProductBug;
using layouts::registers_of;
using layouts::TensorBug;
using layouts::Tile;

namespace {

/// The text of the fault that `body` ends in on a fresh runtime, "" without one.
template <class Body>
std::string fault_in(const Body& body) {
  const FreshRuntime fresh;
  try {
    body();
  } catch (const CudaError&) {
    return fake::last_fault();
  }
  return "";
}

/// What the access checker says of memory overwritten while something asynchronous reads it; the place follows.
const std::string kNamedRace =
    "race: writes shared memory, which the asynchronous operation of block 0 that started at ";

bool copies_are_late() { return emulator::current_schedule().landing == emulator::Landing::kLate; }

}  // namespace

TEST_CASE("wgmma: descriptors are those of the PTX ISA", "[emulator]") {
  const auto* const tile = reinterpret_cast<const char*>(std::uintptr_t{0x7f0000000400});  // at 0x400 of its window
  CHECK(shared_descriptor(tile, 16, 1024, Swizzle::k128) == 0x4000004000010040ULL);
  CHECK(shared_descriptor(tile, 5200, 288, Swizzle::kNone) == 0x0000001201450040ULL);
  CHECK(shared_descriptor(tile, 0, 512, Swizzle::k64) >> 62 == 2);
  CHECK(shared_descriptor(tile, 0, 256, Swizzle::k32) >> 62 == 3);
}

TEST_CASE("planted: products without a wait or a commit, operands overwritten, half a warp group", "[emulator]") {
  const Matrix a(64, 16, 4);
  const Matrix b(64, 16, 5);
  const Matrix start(64, 64, 6);
  const Tile a_tile = lay_out(a, {}, 2);
  const Tile b_tile = lay_out(b, {}, 2);
  std::vector<float> expected = registers_of(product(start, a, b));
  const std::vector<float> second = registers_of(product(start, a, b, 2));
  expected.insert(expected.end(), second.begin(), second.end());
  std::vector<float> before = registers_of(start);
  before.insert(before.end(), before.begin(), before.begin() + 128 * 32);
  for_each_schedule([&] {
    std::string fault;
    const auto right = [&](auto multiply) {
      bool same = false;
      fault = fault_in([&] { same = multiply(a_tile, b_tile, before) == expected; });
      return same;
    };
    using layouts::two_groups;
    CHECK(right(two_groups<ProductBug::kNone>));
    if (copies_are_late()) {
      CHECK_FALSE(right(two_groups<ProductBug::kNoWait>));
      CHECK_FALSE(right(two_groups<ProductBug::kWrongGroup>));
      CHECK_FALSE(right(two_groups<ProductBug::kOverwritesOperand>));
    }
    if (kChecked) {
      CHECK_FALSE(right(two_groups<ProductBug::kOverwritesOperand>));
      CHECK(contains(fault, kNamedRace + "wgmma_kernels.cuh:"));
    }
    CHECK_FALSE(right(two_groups<ProductBug::kNoCommit>));
    CHECK(contains(fault, "ends with products of its warp that were never waited for"));
    CHECK_FALSE(right(two_groups<ProductBug::kNoFence>));
    CHECK(contains(fault, "no wgmma_fence stands ahead of the first product"));
    CHECK_FALSE(right(two_groups<ProductBug::kHalfGroup>));
    CHECK(contains(fault, "deadlock: 64 threads have returned; 64 wait in wgmma"));
  });
}

TEST_CASE("planted: a ring of tensor copies and products in which one side does not wait", "[emulator]") {
  const Matrix a(61, 296, 9);
  const Matrix b(50, 296, 10);
  const std::vector<float> expected = product(Matrix(64, 64), a, b).values;
  for_each_schedule([&] {
    std::string fault;
    const auto broken = [&](auto multiply) {
      bool same = false;
      fault = fault_in([&] { same = multiply(a, b) == expected; });
      return !same;
    };
    using layouts::ring_product;
    CHECK_FALSE(broken(ring_product<GemmBug::kNone>));
    if (!copies_are_late() && !kChecked) return;
    CHECK(broken(ring_product<GemmBug::kConsumerDoesNotWait>));
    CHECK(broken(ring_product<GemmBug::kProducerDoesNotWait>));
    CHECK(broken(ring_product<GemmBug::kReleasesTooEarly>));
    CHECK((!kChecked || contains(fault, kNamedRace + "wgmma_kernels.cuh:")));
  });
}

TEST_CASE("planted: copies and stores of tensors that nobody waits for", "[emulator]") {
  const NumberedTensor tensor(3, Swizzle::k64);
  const layouts::Coordinates from{{0, 1, 2}};
  const layouts::Coordinates to{{4, 0, 3}};
  Moved expected;
  static_cast<void>(fault_in([&] { expected = layouts::move_box(tensor, from, to, tensor.values); }));
  for_each_schedule([&] {
    std::string fault;
    const auto broken = [&](auto move) {
      bool right = false;
      fault = fault_in([&] {
        const Moved moved = move(tensor, from, to, tensor.values);
        right = moved.image == expected.image && moved.target == expected.target;
      });
      return !right;
    };
    using layouts::move_box;
    CHECK_FALSE(broken(move_box<TensorBug::kNone>));
    if (copies_are_late() || kChecked) {
      CHECK(broken(move_box<TensorBug::kDoesNotWait>));
      CHECK((!kChecked || contains(fault, "reads shared memory")));
      CHECK(broken(move_box<TensorBug::kOverwritesStore>));
      CHECK((!kChecked || contains(fault, kNamedRace + "tensor_map_kernels.cuh:")));
    }
    CHECK(broken(move_box<TensorBug::kStoreNotWaitedFor>));
    CHECK(contains(fault, "ends with stores of tensors that it never waited for"));
    CHECK(broken(move_box<TensorBug::kSmallExpectation>));
    CHECK(contains(fault, "deadlock"));
  });
}

TEST_CASE("tensor maps: a device or a driver without them", "[emulator]") {
  const FreshRuntime fresh;
  const NumberedTensor tensor(3, Swizzle::k64);
  const DeviceBuffer<float> memory(tensor.values);
  TensorLayout layout = tensor.layout;
  layout.global = memory.data();
  static_cast<void>(make_tensor_map(layout));
  fake::set_compute_capability(8, 0);
  try {
    static_cast<void>(make_tensor_map(layout));
    FAIL("a device without tensor maps took one");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kDevice);
    CHECK(contains(error.what(), "refuses with CUresult 801: element 4 bytes, swizzle 64 bytes, axis 0: extent 20"));
  }
  fake::set_driver_version(11080);
  CHECK_THROWS_AS(make_tensor_map(layout), CudaError);
}

}  // namespace dcase::test
