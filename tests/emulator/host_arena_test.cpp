#include "engine/cuda/device_arena.hpp"

#include <array>
#include <thread>

#include "engine/cuda/graph.hpp"
#include "tests/emulator/host_fixture.hpp"

namespace dcase::test {
namespace {

float* floats(void* block) { return static_cast<float*>(block); }

}  // namespace

TEST_CASE("device arena: released blocks serve requests down to half their size", "[cuda]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  {
    DeviceArena arena(kGpu, stream.handle());
    void* large = arena.allocate(512 * 1024);
    void* small = arena.allocate(256 * 1024);
    CHECK(arena.statistics().growths == 2);
    CHECK(arena.statistics().bytes_in_use == 768 * 1024);
    arena.release(large);
    arena.release(small);
    CHECK(arena.statistics().bytes_in_use == 0);
    CHECK(arena.allocate(250 * 1024) == small);  // the smallest that fits
    CHECK(arena.allocate(250 * 1024) == large);
    CHECK(arena.statistics().growths == 2);
    void* kept = arena.allocate_kept(10);
    arena.release(large);
    void* too_small = arena.allocate(100 * 1024);
    CHECK(too_small != large);
    CHECK(arena.statistics().growths == 4);
    CHECK(arena.statistics().peak_in_use == 768 * 1024 + 64);
    int foreign = 0;
    arena.release(&foreign);
    arena.release(nullptr);
    arena.release(small);
    arena.release(kept);
    arena.release(too_small);
    arena.trim();
    CHECK(arena.statistics().bytes_reserved == 0);
    CHECK(fake::counters().device_blocks == 0);
    arena.release(arena.allocate(0));
  }
  CHECK(fake::counters().device_blocks == 0);
  CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("device arena: it does not grow after the first step, and steps are right in all modes", "[cuda]") {
  const FreshRuntime fresh;
  check_in_all_modes([] {
    const CudaStream stream(kGpu);
    DeviceArena arena(kGpu, stream.handle());
    const DeviceBuffer<float> sum(1);
    fill(stream.handle(), sum.data(), 1, 0);
    std::uint64_t after_first = 0;
    for (int step = 0; step < 5; ++step) {
      for (const std::size_t count : {100U, 7U, 1000U, 60U}) {
        void* a = arena.allocate(count * sizeof(float));
        fill(stream.handle(), floats(a), static_cast<int>(count), 1);
        arena.release(a);  // the next block may be the same: the stream's order keeps them apart
        void* b = arena.allocate(count * sizeof(float));
        fill(stream.handle(), floats(b), static_cast<int>(count), 2);
        axpy(stream.handle(), sum.data(), floats(b), 1, 1);
        arena.release(b);
      }
      if (step == 0) after_first = arena.statistics().growths;
    }
    stream.synchronize();
    return arena.statistics().growths == after_first && sum.download() == std::vector<float>(1, 40);
  });
}

TEST_CASE("device arena: a use in another stream must be recorded", "[cuda]") {
  const FreshRuntime fresh;
  const auto read_elsewhere = [](bool recorded) {
    const CudaStream stream(kGpu);
    const CudaStream other(kGpu);
    const CudaEvent filled(kGpu);
    DeviceArena arena(kGpu, stream.handle());
    const DeviceBuffer<float> sum(1);
    fill(other.handle(), sum.data(), 1, 0);
    for (int step = 1; step <= 3; ++step) {
      void* block = arena.allocate(64);
      fill(stream.handle(), floats(block), 1, static_cast<float>(step));
      filled.record(stream.handle());
      other.wait(filled);
      axpy(other.handle(), sum.data(), floats(block), 1, 1);
      if (recorded) arena.record_use(block, other.handle());
      arena.record_use(block, stream.handle());  // its own: nothing to do
      arena.release(block);
    }
    other.synchronize();
    return sum.download() == std::vector<float>(1, 6) && arena.statistics().growths == 1;
  };
  check_in_all_modes([&] { return read_elsewhere(true); });
  CHECK(seeds_where([&] { return !read_elsewhere(false); }) > 0);
}

TEST_CASE("device arena: a block without a pending use elsewhere is preferred", "[cuda]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  const CudaStream other(kGpu);
  DeviceArena arena(kGpu, stream.handle());
  void* free_of_uses = arena.allocate(64);
  void* used = arena.allocate(64);
  arena.record_use(used, other.handle());
  arena.release(free_of_uses);
  arena.release(used);
  CHECK(arena.allocate(64) == free_of_uses);
  CHECK(arena.allocate(64) == used);
  arena.release(used);
  arena.release(free_of_uses);
  CHECK_THROWS_AS(arena.record_use(used, other.handle()), Error);
}

TEST_CASE("device arena: its limit, and the device's memory", "[cuda]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  fake::set_memory_limit(8192);
  DeviceArena limited(kGpu, stream.handle(), 2048);
  void* a = limited.allocate(1024);
  void* b = limited.allocate(1024);
  CHECK_THROWS_WITH(limited.allocate(1000), Catch::Contains("out of memory on cuda:0") &&
                                                Catch::Contains("1000 bytes asked for") &&
                                                Catch::Contains("2048 in use") && Catch::Contains("the limit is 2048"));
  limited.release(a);
  limited.release(b);
  void* c = limited.allocate(2048);  // what was cached is given back first
  CHECK(limited.statistics().bytes_reserved == 2048);
  CHECK(limited.statistics().growths == 3);

  DeviceArena arena(kGpu, stream.handle());
  void* d = arena.allocate(4096);
  CHECK_THROWS_WITH(arena.allocate(4096),
                    Catch::Contains("4096 in use") && Catch::Contains("of the device's 8192 bytes 2048 are free"));
  arena.release(d);
  void* e = arena.allocate(6144);
  CHECK(fake::counters().device_bytes == 8192);
  CHECK(cudaGetLastError() == cudaSuccess);
  arena.release(e);
  limited.release(c);
  CHECK_THROWS_AS(DeviceArena(Device{}, stream.handle()), Error);
  CHECK_THROWS_AS(DeviceArena(kGpu, Stream{}), Error);
}

TEST_CASE("device arena: several threads", "[cuda]") {
  const FreshRuntime fresh;
  const CudaStream stream(kGpu);
  const CudaStream other(kGpu);
  DeviceArena arena(kGpu, stream.handle());
  std::array<int, 3> failures = {};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < failures.size(); ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        try {
          void* block = arena.allocate(64 * (t + 1));
          fill(stream.handle(), floats(block), 1, 1);
          arena.record_use(block, other.handle());
          arena.release(block);
        } catch (const std::exception&) {
          ++failures[t];
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == std::array<int, 3>{});
  stream.synchronize();
  CHECK(arena.statistics().bytes_in_use == 0);
  CHECK(arena.statistics().growths <= 9);
}

TEST_CASE("device arena: captured work takes cached blocks and nothing else", "[cuda]") {
  const FreshRuntime fresh;
  check_in_all_modes([] {
    const CudaStream stream(kGpu);
    const CudaStream other(kGpu);
    const CudaEvent filled(kGpu);
    const CudaEvent added(kGpu);
    DeviceArena arena(kGpu, stream.handle());
    const DeviceBuffer<float> sum(1);
    sum.upload({0});
    const auto step = [&] {
      for (int i = 1; i <= 2; ++i) {
        void* block = arena.allocate(64);
        fill(stream.handle(), floats(block), 1, static_cast<float>(i));
        filled.record(stream.handle());
        other.wait(filled);
        axpy(other.handle(), sum.data(), floats(block), 1, 1);
        arena.record_use(block, other.handle());
        arena.release(block);
      }
      added.record(other.handle());
      stream.wait(added);
    };
    bool refused = false;
    try {
      static_cast<void>(CudaGraph::capture(kGpu, stream.handle(), step));
    } catch (const CudaError&) {
      return false;
    } catch (const Error& error) {
      refused = std::string(error.what()).find("run the work once before") != std::string::npos;
    }
    step();
    stream.synchronize();
    arena.release(arena.allocate(64));  // its recorded use is waited for outside of the capture
    const std::uint64_t grown = arena.statistics().growths;
    const CudaGraph graph = CudaGraph::capture(kGpu, stream.handle(), step);
    for (int i = 0; i < 3; ++i) graph.launch(stream.handle());
    stream.synchronize();
    return refused && arena.statistics().growths == grown && sum.download() == std::vector<float>(1, 12);
  });
}

}  // namespace dcase::test
