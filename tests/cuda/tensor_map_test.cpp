// Copies of a tensor's boxes against plain loops, on the emulator and on a GPU.

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/common/error.hpp"
#include "tests/cuda/cuda_test.hpp"
#include "tests/cuda/device_buffer.hpp"
#include "tests/cuda/layouts.hpp"
#include "tests/cuda/products.hpp"

namespace dcase::test {

using layouts::Coordinates;
using layouts::Moved;
using layouts::NumberedTensor;

namespace {

Moved expected_move(const NumberedTensor& tensor, const Coordinates& from, const Coordinates& to) {
  Moved m{std::vector<float>(static_cast<std::size_t>(tensor.box_size())), tensor.values};
  for (std::int64_t i = 0; i < tensor.box_size(); ++i) {
    const float value = tensor.value(tensor.element(i, tensor.layout.box, from));
    m.image[swizzled(static_cast<unsigned>(i) * 4, tensor.layout.swizzle) / 4] = value;
    const Coordinates target = tensor.element(i, tensor.layout.box, to);
    if (tensor.inside(target)) m.target[tensor.place(target)] = value;
  }
  return m;
}

void skip_without_tensor_maps() {
  if (!layouts::has_sm90()) skip("the device has no tensor maps");
}

}  // namespace

TEST_CASE("tensor maps: boxes go to shared memory and back, zeros come from outside", "[layouts]") {
  const FreshRuntime fresh;
  skip_without_tensor_maps();
  for_each_schedule([] {
    for (int rank = 2; rank <= TensorLayout::kMostAxes; ++rank) {
      for (const Swizzle swizzle : layouts::kSwizzles) {
        const NumberedTensor tensor(rank, swizzle);
        for (const Coordinates& from :
             {Coordinates{{4, 1, 2, 1, 0}}, {{-3, -1, -1, -1, -1}}, {{13, 5, 6, 2, 1}}, {{20, 0, 0, 0, 0}}}) {
          const Coordinates to{{from.at[0] - 2, 4, from.at[2] + 1, from.at[3], from.at[4]}};
          const Moved moved = layouts::move_box(tensor, from, to, tensor.values);
          const Moved expected = expected_move(tensor, from, to);
          CAPTURE(rank, static_cast<int>(swizzle), from.at[0]);
          CHECK(moved.image == expected.image);
          CHECK(moved.target == expected.target);
        }
      }
    }
  });
}

TEST_CASE("tensor maps: layouts that the hardware cannot take are refused", "[layouts]") {
  const FreshRuntime fresh;
  skip_without_tensor_maps();
  const NumberedTensor tensor(3, Swizzle::k64);
  const DeviceBuffer<float> memory(tensor.values);
  TensorLayout good = tensor.layout;
  good.global = memory.data();
  static_cast<void>(make_tensor_map(good));
  const auto refuses = [&](auto change, const std::string& reason) {
    TensorLayout l = good;
    change(l);
    try {
      static_cast<void>(make_tensor_map(l));
    } catch (const Error& error) {
      return error.kind() == ErrorKind::kArgument && std::string(error.what()).find(reason) != std::string::npos;
    }
    return false;
  };
  CHECK(refuses([](TensorLayout& l) { l.rank = 1; }, "rank 1"));
  CHECK(refuses([](TensorLayout& l) { l.rank = 6; }, "rank 6"));
  CHECK(refuses([&](TensorLayout& l) { l.global = memory.data() + 1; }, "is not aligned to 16 bytes"));
  CHECK(refuses([](TensorLayout& l) { l.global = nullptr; }, "is not aligned to 16 bytes"));
  CHECK(refuses([](TensorLayout& l) { l.extent[1] = 0; }, "extent[1] is 0"));
  CHECK(refuses([](TensorLayout& l) { l.extent[2] = (std::int64_t{1} << 32) + 1; }, "extent[2] is 4294967297"));
  CHECK(refuses([](TensorLayout& l) { l.stride[1] = 6; }, "stride[1] is 6"));
  CHECK(refuses([](TensorLayout& l) { l.stride[2] = std::int64_t{1} << 38; }, "stride[2] is 274877906944"));
  CHECK(refuses([](TensorLayout& l) { l.stride[0] = 2; }, "stride[0] is 2"));
  CHECK(refuses([](TensorLayout& l) { l.box[1] = 257; }, "box[1] is 257"));
  CHECK(refuses([](TensorLayout& l) { l.box[2] = 0; }, "box[2] is 0"));
  CHECK(refuses([](TensorLayout& l) { l.swizzle = Swizzle::kNone, l.box[0] = 6; }, "box[0] is 6 elements"));
  CHECK(refuses([](TensorLayout& l) { l.box[0] = 32; }, "box[0] has 128 bytes, the span of its swizzle has 64"));
}

}  // namespace dcase::test
