#include "train/data/pcm_cache.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "engine/files.hpp"
#include "kernels/common/error.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/test.hpp"
#include "train/data/resample.hpp"

namespace dcase {

namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;

/// Noise of a given loudness in whole 16-bit steps.
std::vector<float> noise(int seed, std::int64_t samples, double amplitude = 0.7) {
  test::Buffer<float> buffer({samples});
  buffer.fill_uniform(concat("cache ", seed).c_str(), -amplitude, amplitude);
  std::vector<float> x;
  for (std::int64_t i = 0; i < samples; ++i) x.push_back(std::round(buffer[i] * 32768) / 32768);
  return x;
}

/// A folder of three recordings: mono at 44.1 kHz, mono at 24 kHz, four channels at 24 kHz.
struct Recordings {
  TemporaryFolder folder;
  std::vector<float> slow = noise(1, 30000);
  std::vector<float> mono = noise(2, 20000, 0.01);
  std::vector<std::vector<float>> array = {noise(3, 9000), noise(4, 9000), noise(5, 9000), noise(6, 9000)};
  CacheRequest request;

  Recordings() {
    save_wav(folder / "slow.wav", {slow}, 44100);
    save_wav(folder / "mono.wav", {mono}, 24000);
    save_wav(folder / "array.wav", array, 24000);
    request.file = folder / "cache/all.pcm";
    request.sources = {{.path = folder / "slow.wav"},
                       {.path = folder / "mono.wav"},
                       {.path = folder / "array.wav", .channels = ChannelRule::parse("each"), .statistics = true},
                       {.path = folder / "mono.wav"}};
  }
  [[nodiscard]] std::vector<std::string> cache_files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder / "cache"))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
};

std::vector<float> floats(const PcmCache::Item& item, int signal) {
  const PcmView pcm = item.pcm(signal);
  std::vector<float> x;
  for (std::int64_t i = 0; i < pcm.dim(0); ++i)
    x.push_back(pcm.f32.present() ? pcm.f32[i] : static_cast<float>(pcm.i16[i]) * pcm.scale);
  return x;
}

const std::vector<std::string> kComplete = {"all.pcm", "all.pcm.lock"};

/// Runs `work` in a child process, which ends by itself with `work`'s status or by a signal.
template <class Work>
pid_t in_child(const Work& work) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int status = 99;
    try {
      status = work();
    } catch (...) {
    }
    _exit(status);
  }
  return child;
}

int wait_for(pid_t child) {
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return status;
}

}  // namespace

TEST_CASE("pcm_cache: recordings come back as they were decoded", "[cache]") {
  const Recordings set;
  const bool float32 = GENERATE(false, true);
  const int threads = GENERATE(1, 3);
  std::vector<CacheProgress> seen;
  const PcmCache cache = PcmCache::prepare(set.request, {.float32 = float32, .threads = threads},
                                           [&](const CacheProgress& p) { seen.push_back(p); });
  REQUIRE(cache.size() == 4);
  CHECK(seen.size() == 3);  // the fourth item is the second recording again
  CHECK(seen.back().done == 3);
  CHECK(seen.back().total == 3);
  CHECK(seen.front().current == set.folder / "slow.wav");
  CHECK(set.cache_files() == kComplete);
  CHECK(cache.report().listed == 4);
  CHECK(cache.report().decoded == 4);
  CHECK(cache.report().reused == 0);
  CHECK(cache.report().resampled == 1);
  CHECK(cache.report().notes.empty());
  CHECK(cache.bytes() == static_cast<std::int64_t>(fs::file_size(set.request.file)));

  // 16-bit sources at the cache's rate are exact; what was resampled is within half a step.
  CHECK((floats(cache.item(1), 0) == set.mono));
  CHECK((floats(cache.item(3), 0) == set.mono));
  CHECK(cache.item(3).pcm(0).i16.data == cache.item(1).pcm(0).i16.data);
  for (int c = 0; c < 4; ++c) CHECK((floats(cache.item(2), c) == set.array[static_cast<std::size_t>(c)]));
  const std::vector<float> expected = resample(set.slow, 44100, 24000);
  const std::vector<float> actual = floats(cache.item(0), 0);
  REQUIRE(actual.size() == expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < expected.size(); ++i)
    worst = std::max(worst, std::abs(double{actual[i]} - double{expected[i]}));
  CHECK(worst <= (float32 ? 0 : cache.item(0).scale() / 2));
  if (!float32) {
    CHECK(cache.item(1).scale() == 0x1p-21F);  // amplitude 0.01: the quiet recording uses all 16 bits
    CHECK(cache.item(1).pcm16(0).size() == 20000);
  } else {
    CHECK_THROWS_AS(cache.item(1).pcm16(0), Error);
  }
  const PcmView part = cache.item(2).pcm(1, 100, 7);
  CHECK(part.dim(0) == 7);
  CHECK((float32 ? part.f32[0] : static_cast<float>(part.i16[0]) * part.scale) == set.array[1][100]);
  CHECK_THROWS_AS(cache.item(2).pcm(4), Error);
  CHECK_THROWS_AS(cache.item(2).pcm(0, 8999, 2), Error);
  CHECK_THROWS_AS(cache.item(4), Error);
  CHECK_THROWS_AS(PcmCache().item(0), Error);
}

TEST_CASE("pcm_cache: statistics are those of the whole recording's log-mel", "[cache]") {
  const Recordings set;
  const PcmCache cache = PcmCache::prepare(set.request);
  const test::CpuContext context;
  const MelTables tables;
  CHECK_FALSE(cache.item(0).mean(0).present());
  CHECK_FALSE(cache.item(0).std(0).present());
  for (int c = 0; c < 4; ++c) {
    const std::int64_t T = mel_frames(9000);
    test::Buffer<float> mel({128, T});
    test::Buffer<float> mean({128});
    test::Buffer<float> std({128});
    const View<const float> pcm(set.array[static_cast<std::size_t>(c)].data(), {9000});
    mel_forward({.pcm = pcm, .out = mel.view()}, tables, context);
    mel_statistics({.x = mel.view(), .mean = mean.view(), .std = std.view()}, context);
    test::check_close("mean", cache.item(2).mean(c), mean.view(), 1e-6, 0);
    test::check_close("std", cache.item(2).std(c), std.view(), 1e-6, 0);
  }
}

TEST_CASE("pcm_cache: the factor avoids clipping and keeps what is quiet", "[cache]") {
  const TemporaryFolder folder;
  struct Case {
    std::vector<float> x;
    float scale;
  };
  const auto [x, scale] =
      GENERATE(Case{{-1, 0.5F}, 0x1p-15F}, Case{{32767.0F / 32768, 0}, 0x1p-15F}, Case{{0, 0}, 0x1p-15F},
               Case{{1, 0}, 0x1p-14F}, Case{{-1.0001F, 0}, 0x1p-14F}, Case{{100, -50}, 0x1p-8F},
               Case{{0x1p-20F, 0}, 0x1p-34F}, Case{{1e-38F, 0}, 0x1p-126F * 0x1p26F}, Case{{9e5F, 0}, 0x1p5F});
  // Through a float file, since only that holds all of these.
  std::string bytes = "RIFF????WAVEfmt ";
  const std::uint32_t header[] = {16, 0x00010003, 24000, 96000, 0x00200004};
  bytes.append(reinterpret_cast<const char*>(header), sizeof(header));
  const std::uint32_t size = static_cast<std::uint32_t>(x.size() * 4);
  bytes.append("data").append(reinterpret_cast<const char*>(&size), 4);
  bytes.append(reinterpret_cast<const char*>(x.data()), size);
  std::ofstream(folder / "a.wav", std::ios::binary) << bytes;
  const PcmCache cache = PcmCache::prepare({.file = folder / "c", .sources = {{.path = folder / "a.wav"}}});
  CHECK(cache.item(0).scale() == scale);
  for (std::size_t i = 0; i < x.size(); ++i) CHECK(std::abs(floats(cache.item(0), 0)[i] - x[i]) <= scale / 2);
  CHECK(cache.report().floating == 1);
  CHECK(cache.report().clipping == (std::abs(x[0]) > 1));
  CHECK(cache.report().silent.size() == (x[0] == 0 ? 1 : 0));
}

TEST_CASE("pcm_cache: only what changed is decoded again", "[cache]") {
  Recordings set;
  (void)PcmCache::prepare(set.request);
  const auto again = [&](const CacheOptions& options = {}) { return PcmCache::prepare(set.request, options); };
  const auto written = fs::last_write_time(set.request.file);
  {
    const PcmCache cache = again();
    CHECK(cache.report().reused == 4);
    CHECK(cache.report().decoded == 0);
    CHECK(fs::last_write_time(set.request.file) == written);  // not even written
  }
  SECTION("another content") {
    const PcmCache former = again();
    const std::vector<float> x = noise(9, 21000);
    save_wav(set.folder / "mono.wav", {x}, 24000);
    const PcmCache cache = again();
    CHECK(cache.report().reused == 2);
    CHECK(cache.report().decoded == 2);  // two items, one recording
    CHECK((floats(cache.item(1), 0) == x));
    CHECK((floats(cache.item(2), 3) == set.array[3]));
    CHECK(std::memcmp(cache.item(2).mean(1).data, former.item(2).mean(1).data, 128 * sizeof(float)) == 0);
    CHECK((floats(former.item(1), 0) == set.mono));  // a reader keeps what it mapped
  }
  SECTION("another time of modification") {
    fs::last_write_time(set.folder / "mono.wav",
                        fs::last_write_time(set.folder / "mono.wav") - std::chrono::seconds(2));
    CHECK(again().report().decoded == 2);
  }
  SECTION("another channel rule") {
    set.request.sources[2].channels = {};
    const PcmCache cache = again();
    CHECK(cache.report().decoded == 1);
    CHECK(cache.report().downmixed == 1);
    CHECK(cache.item(2).signals() == 1);
  }
  SECTION("a part of a recording") {
    set.request.sources[1].start = 0.25;
    const PcmCache cache = again();
    CHECK(cache.report().decoded == 1);
    CHECK(cache.item(1).samples() == 14000);
    CHECK(cache.item(3).samples() == 20000);
  }
  SECTION("fewer sources need nothing") {
    set.request.sources.erase(set.request.sources.begin());
    CHECK(again().report().reused == 3);
    CHECK(fs::last_write_time(set.request.file) == written);
  }
  SECTION("other parameters") {
    const PcmCache cache = again({.float32 = true});
    CHECK(cache.report().decoded == 4);
    REQUIRE(cache.report().notes.size() == 1);
    CHECK(cache.report().notes[0].find("other parameters") != std::string::npos);
  }
}

TEST_CASE("pcm_cache: a damaged file is rebuilt with a note", "[cache]") {
  const Recordings set;
  (void)PcmCache::prepare(set.request);
  const std::string bytes = read_file(set.request.file);
  std::string damaged = bytes;
  SECTION("shorter") { damaged.resize(bytes.size() - 1); }
  SECTION("without its index") { damaged.resize(bytes.size() / 2); }
  SECTION("longer") { damaged += '\0'; }
  SECTION("empty") { damaged.clear(); }
  SECTION("a byte of the index") {
    const std::size_t from_end =
        GENERATE(20, 34);  // of the last entry: its factor, and a note that only the checksum guards
    damaged[bytes.size() - from_end] = static_cast<char>(damaged[bytes.size() - from_end] ^ 1);
  }
  SECTION("a byte of the header") {
    const int at = GENERATE(0, 8, 16, 24, 32, 40, 48);
    damaged[static_cast<std::size_t>(at)] = static_cast<char>(damaged[static_cast<std::size_t>(at)] ^ 0x40);
  }
  SECTION("zeros, as after a power failure") { damaged.assign(bytes.size(), '\0'); }
  std::ofstream(set.request.file, std::ios::binary | std::ios::trunc) << damaged;
  const PcmCache cache = PcmCache::prepare(set.request);
  CHECK(cache.report().decoded == 4);
  REQUIRE(cache.report().notes.size() == 1);
  CHECK(cache.report().notes[0].find("rebuilt") != std::string::npos);
  CHECK((floats(cache.item(1), 0) == set.mono));
  CHECK(read_file(set.request.file) == bytes);  // and the same bytes as before
}

TEST_CASE("pcm_cache: bad files stop with all their names, or are skipped", "[cache]") {
  Recordings set;
  std::ofstream(set.folder / "text.wav") << "not audio";
  std::ofstream(set.folder / "empty.wav") << "";
  set.request.sources.insert(
      set.request.sources.begin() + 1,
      {{.path = set.folder / "text.wav"}, {.path = set.folder / "gone.wav"}, {.path = set.folder / "empty.wav"}});
  SECTION("stop") {
    try {
      (void)PcmCache::prepare(set.request);
      FAIL("no error");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::kData);
      const std::string message = error.what();
      INFO(message);
      CHECK(message.starts_with("3 of 6 recordings"));
      for (const char* name :
           {"text.wav: cannot be decoded", "gone.wav: cannot be opened: No such file", "empty.wav: "})
        CHECK(message.find(name) != std::string::npos);
      CHECK(message.find("mono.wav") == std::string::npos);
    }
    // The good ones were kept.
    const PcmCache cache = PcmCache::prepare(set.request, {.on_bad_file = BadFilePolicy::kSkip});
    CHECK(cache.report().reused == 4);
    CHECK(cache.report().decoded == 0);
  }
  SECTION("skip") {
    const PcmCache cache = PcmCache::prepare(set.request, {.on_bad_file = BadFilePolicy::kSkip});
    CHECK(cache.report().bad.size() == 3);
    CHECK(cache.report().bad[0].path == set.folder / "text.wav");
    CHECK(cache.report().bad[0].reason.find("text.wav") == std::string::npos);
    REQUIRE(cache.size() == 7);
    CHECK_FALSE(cache.item(1).usable());
    CHECK(cache.item(1).signals() == 0);
    CHECK_THROWS_AS(cache.item(1).pcm(0), Error);
    CHECK(cache.item(4).usable());
    CHECK((floats(cache.item(4), 0) == set.mono));
  }
  SECTION("nothing but bad files") {
    set.request.sources.resize(4);
    set.request.sources.erase(set.request.sources.begin());
    const PcmCache cache = PcmCache::prepare(set.request, {.on_bad_file = BadFilePolicy::kSkip});
    CHECK(cache.size() == 3);
    CHECK(cache.bytes() == 0);
    CHECK_FALSE(fs::exists(set.request.file));
  }
}

TEST_CASE("pcm_cache: a preparation that is called off leaves the former file", "[cache]") {
  Recordings set;
  (void)PcmCache::prepare(set.request);
  const std::string before = read_file(set.request.file);
  save_wav(set.folder / "mono.wav", {noise(9, 5000)}, 24000);
  const auto stop = [](const CacheProgress&) { throw Error(ErrorKind::kInterrupted, "stopped"); };
  CHECK_THROWS_AS(PcmCache::prepare(set.request, {}, stop), Error);
  CHECK(read_file(set.request.file) == before);
  CHECK(set.cache_files() == kComplete);
}

TEST_CASE("pcm_cache: a process killed while it prepares leaves a usable state", "[cache]") {
  Recordings set;
  const bool first_time = GENERATE(true, false);
  if (!first_time) (void)PcmCache::prepare(set.request);
  save_wav(set.folder / "mono.wav", {noise(9, 5000)}, 24000);
  // Killed after one recording or two have been written. The child has no threads but its own.
  const std::int64_t done = first_time ? 2 : 1;
  const int status = wait_for(in_child([&] {
    (void)PcmCache::prepare(set.request, {.threads = 1}, [&](const CacheProgress& p) {
      if (p.done == done) raise(SIGKILL);
    });
    return 0;
  }));
  REQUIRE(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGKILL);
  CHECK(fs::exists(set.request.file + ".partial"));
  CHECK(fs::exists(set.request.file) == !first_time);
  const PcmCache cache = PcmCache::prepare(set.request);
  CHECK(cache.report().decoded == (first_time ? 4 : 2));
  CHECK(cache.report().notes.empty());
  CHECK((floats(cache.item(1), 0) == noise(9, 5000)));
  CHECK((floats(cache.item(2), 2) == set.array[2]));
  CHECK(set.cache_files() == kComplete);
}

TEST_CASE("pcm_cache: preparing processes exclude each other", "[cache]") {
  const Recordings set;
  // The first one stops in the middle until the second one has said that it waits.
  int channel[2];
  REQUIRE(pipe(channel) == 0);
  const pid_t first = in_child([&] {
    (void)PcmCache::prepare(set.request, {.threads = 1}, [&](const CacheProgress& p) {
      char byte = 0;
      if (p.done == 1 && read(channel[0], &byte, 1) != 1) _exit(98);
    });
    return 0;
  });
  while (!fs::exists(set.request.file + ".partial")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  bool waited = false;
  const PcmCache cache = PcmCache::prepare(set.request, {}, [&](const CacheProgress& p) {
    if (p.total == 0 && !std::exchange(waited, true)) CHECK(write(channel[1], "x", 1) == 1);
  });
  CHECK(wait_for(first) == 0);
  close(channel[0]);
  close(channel[1]);
  CHECK(waited);
  CHECK(cache.report().reused == 4);  // the work of the first
  CHECK((floats(cache.item(1), 0) == set.mono));
}

TEST_CASE("pcm_cache: a full disk is an error and leaves nothing behind", "[cache]") {
  const Recordings set;
  const int status = wait_for(in_child([&] {
    const rlimit limit = {.rlim_cur = 20000, .rlim_max = 20000};  // bytes a file may have
    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    try {
      (void)PcmCache::prepare(set.request, {.threads = 1});
    } catch (const Error& error) {
      return error.kind() == ErrorKind::kIo ? 0 : 3;
    }
    return 4;
  }));
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
  CHECK(set.cache_files() == std::vector<std::string>{"all.pcm.lock"});
  const CacheRequest impossible = {.file = "/proc/none/cache", .sources = set.request.sources};
  CHECK_THROWS_AS(PcmCache::prepare(impossible), Error);
}

TEST_CASE("pcm_cache: threads read at the same time", "[cache]") {
  const Recordings set;
  const PcmCache cache = PcmCache::prepare(set.request);
  std::vector<int> good(4);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < good.size(); ++i) {
    threads.emplace_back([&, i, copy = cache] {
      for (int round = 0; round < 20; ++round)
        good[i] += floats(copy.item(2), static_cast<int>(i)) == set.array[i] && floats(copy.item(1), 0) == set.mono;
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == std::vector<int>(4, 20));
}

}  // namespace dcase
