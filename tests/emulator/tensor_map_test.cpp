// Copies of a tensor's boxes against plain loops, and mistakes that must be found.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/common/tensor_map.hpp"
#include "tests/emulator/kernel_fixture.hpp"
#include "tests/emulator/tensor_map_kernels.cuh"
#include "tests/support/test.hpp"

namespace dcase::test {

using emulator::contains;
using emulator::for_each_schedule;
using emulator::kChecked;
using layouts::TensorBug;

namespace {

/// Floats [7][6][20] in rows of 24 and planes of 160, numbered; what is between is -1.
struct Numbered {
  static constexpr int kExtent[3] = {20, 6, 7};
  static constexpr int kStride[3] = {1, 24, 160};
  std::vector<float> values = std::vector<float>(7 * 160, -1.0F);
  Numbered() {
    for (int z = 0; z < kExtent[2]; ++z) {
      for (int y = 0; y < kExtent[1]; ++y) {
        for (int x = 0; x < kExtent[0]; ++x) values[place(x, y, z)] = value(x, y, z);
      }
    }
  }
  static std::size_t place(int x, int y, int z) {
    return static_cast<std::size_t>(z * kStride[2] + y * kStride[1] + x);
  }
  static float value(int x, int y, int z) {
    const bool inside = x >= 0 && x < kExtent[0] && y >= 0 && y < kExtent[1] && z >= 0 && z < kExtent[2];
    return inside ? static_cast<float>(1 + x + 20 * y + 120 * z) : 0;
  }
};

TensorLayout layout_of(const float* global, std::int64_t width, Swizzle swizzle) {
  TensorLayout l{.global = global, .element = TensorElement::kFloat, .rank = 3};
  for (int i = 0; i < 3; ++i) {
    l.extent[i] = Numbered::kExtent[i];
    l.stride[i] = Numbered::kStride[i];
  }
  l.box[0] = width;
  l.box[1] = 3;
  l.box[2] = 2;
  l.swizzle = swizzle;
  return l;
}

/// The kernel's results for the box at `from`, stored at `to`.
struct Moved {
  std::vector<float> image, tensor;
};
template <TensorBug kBug>
Moved move_box(Swizzle swizzle, const layouts::Coordinates& from, const layouts::Coordinates& to) {
  const Numbered numbers;
  const auto width = static_cast<std::int64_t>(swizzle == Swizzle::kNone ? 12 : swizzle_span(swizzle) / 4);
  const Uploaded source(numbers.values);
  const Uploaded target(numbers.values);
  const DeviceBuffer<float> image(width * 6);
  const TensorMap from_map = make_tensor_map(layout_of(source.data(), width, swizzle));
  const TensorMap to_map = make_tensor_map(layout_of(target.data(), width, swizzle));
  const int bytes = static_cast<int>(width) * 6 * 4;
  run(layouts::tensor_copy_kernel<3, kBug>, one_group("tensor_copy", static_cast<std::size_t>(bytes)), from_map, from,
      to_map, to, bytes, reinterpret_cast<uint4*>(image.data()));
  return {image.download(), target.download()};
}

Moved expected_move(Swizzle swizzle, const layouts::Coordinates& from, const layouts::Coordinates& to) {
  const int width = swizzle == Swizzle::kNone ? 12 : static_cast<int>(swizzle_span(swizzle) / 4);
  Moved m{std::vector<float>(static_cast<std::size_t>(width * 6)), Numbered().values};
  for (int i = 0; i < width * 6; ++i) {
    const int x = i % width;
    const int y = i / width % 3;
    const int z = i / width / 3;
    const float value = Numbered::value(from.at[0] + x, from.at[1] + y, from.at[2] + z);
    m.image[swizzled(static_cast<unsigned>(i) * 4, swizzle) / 4] = value;
    const bool inside = Numbered::value(to.at[0] + x, to.at[1] + y, to.at[2] + z) != 0;
    if (inside) m.tensor[Numbered::place(to.at[0] + x, to.at[1] + y, to.at[2] + z)] = value;
  }
  return m;
}

}  // namespace

TEST_CASE("tensor maps: boxes go to shared memory and back, zeros come from outside", "[ptx]") {
  for_each_schedule([] {
    const FreshRuntime fresh;
    for (const Swizzle swizzle : kSwizzles) {
      for (const layouts::Coordinates& from :
           {layouts::Coordinates{{4, 1, 2}}, {{-3, -1, -1}}, {{13, 5, 6}}, {{20, 0, 0}}}) {
        const layouts::Coordinates to{{from.at[0] - 2, 4, from.at[2] + 1}};
        const Moved moved = move_box<TensorBug::kNone>(swizzle, from, to);
        const Moved expected = expected_move(swizzle, from, to);
        CAPTURE(static_cast<int>(swizzle), from.at[0]);
        CHECK(moved.image == expected.image);
        CHECK(moved.tensor == expected.tensor);
      }
    }
  });
}

TEST_CASE("tensor maps: copies and stores that nobody waits for are found", "[ptx]") {
  const layouts::Coordinates from{{0, 1, 2}};
  const layouts::Coordinates to{{4, 0, 3}};
  const Moved expected = expected_move(Swizzle::k64, from, to);
  for_each_schedule([&] {
    std::string fault;
    bool right = false;
    const auto broken = [&](auto move) {
      right = false;
      fault = fault_in([&] {
        const Moved moved = move(Swizzle::k64, from, to);
        right = moved.image == expected.image && moved.tensor == expected.tensor;
      });
      return !right;
    };
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

TEST_CASE("tensor maps: layouts that the hardware cannot take are refused", "[ptx]") {
  const FreshRuntime fresh;
  alignas(16) static const float memory[64] = {};
  const TensorLayout good = layout_of(memory, 16, Swizzle::k64);
  static_cast<void>(make_tensor_map(good));
  const auto refusal = [](const TensorLayout& l) {
    try {
      static_cast<void>(make_tensor_map(l));
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::kArgument);
      return std::string(error.what());
    }
    return std::string();
  };
  const auto with = [&](auto change) {
    TensorLayout l = good;
    change(l);
    return refusal(l);
  };
  CHECK(contains(with([](TensorLayout& l) { l.rank = 1; }), "rank 1"));
  CHECK(contains(with([](TensorLayout& l) { l.rank = 6; }), "rank 6"));
  CHECK(contains(with([](TensorLayout& l) { l.global = memory + 1; }), "is not aligned to 16 bytes"));
  CHECK(contains(with([](TensorLayout& l) { l.global = nullptr; }), "is not aligned to 16 bytes"));
  CHECK(contains(with([](TensorLayout& l) { l.extent[1] = 0; }), "extent[1] is 0"));
  CHECK(contains(with([](TensorLayout& l) { l.extent[2] = (std::int64_t{1} << 32) + 1; }), "extent[2] is 4294967297"));
  CHECK(contains(with([](TensorLayout& l) { l.stride[1] = 6; }), "stride[1] is 6"));
  CHECK(contains(with([](TensorLayout& l) { l.stride[2] = std::int64_t{1} << 38; }), "stride[2] is 274877906944"));
  CHECK(contains(with([](TensorLayout& l) { l.stride[0] = 2; }), "stride[0] is 2"));
  CHECK(contains(with([](TensorLayout& l) { l.box[1] = 257; }), "box[1] is 257"));
  CHECK(contains(with([](TensorLayout& l) { l.box[2] = 0; }), "box[2] is 0"));
  CHECK(contains(with([](TensorLayout& l) { l.swizzle = Swizzle::kNone, l.box[0] = 6; }), "box[0] is 6 elements"));
  CHECK(contains(with([](TensorLayout& l) { l.box[0] = 32; }), "box[0] has 128 bytes, the span of its swizzle has 64"));
  fake::set_compute_capability(8, 0);
  try {
    static_cast<void>(make_tensor_map(good));
    FAIL("a device without tensor maps took one");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kDevice);
    CHECK(contains(error.what(), "refuses with CUresult 801: element 4 bytes, swizzle 64 bytes, axis 0: extent 20"));
  }
  fake::set_driver_version(11080);
  CHECK_THROWS_AS(make_tensor_map(good), CudaError);
}

}  // namespace dcase::test
