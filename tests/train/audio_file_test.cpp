#include "train/data/audio_file.hpp"

#include <sndfile.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <vector>

#include "engine/files.hpp"
#include "kernels/common/error.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/test.hpp"
#include "train/data/resample.hpp"

namespace dcase {

namespace {

using test::TemporaryFolder;

std::vector<float> noise(const char* name, std::int64_t samples) {
  test::Buffer<float> buffer({samples});
  buffer.fill_uniform(name, -0.7, 0.7);
  std::vector<float> x;
  for (std::int64_t i = 0; i < samples; ++i) x.push_back(std::round(buffer[i] * 32768) / 32768);
  return x;
}

/// Writes channels that take turns in `x` in any format of libsndfile. False where this build of it lacks the format.
bool write(const std::string& path, int format, int rate, int channels, const std::vector<float>& x) {
  SF_INFO info = {};
  info.samplerate = rate;
  info.channels = channels;
  info.format = format;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  if (file == nullptr) return false;
  const auto frames = static_cast<sf_count_t>(x.size()) / channels;
  const int subtype = format & SF_FORMAT_SUBMASK;
  bool complete = false;
  if (subtype == SF_FORMAT_PCM_16 || subtype == SF_FORMAT_PCM_24) {
    // As integers: from float libsndfile would multiply by 32767.
    std::vector<int> integers;
    for (const float v : x) integers.push_back(static_cast<int>(std::lround(std::ldexp(static_cast<double>(v), 31))));
    complete = sf_writef_int(file, integers.data(), frames) == frames;
  } else {
    complete = sf_writef_float(file, x.data(), frames) == frames;
  }
  sf_close(file);
  return complete;
}

void store(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

/// Kind and message of the Error that loading ends in.
std::pair<ErrorKind, std::string> refusal(const std::string& path, const AudioOptions& options = {}) {
  try {
    (void)load_audio(path, options);
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {ErrorKind::kArgument, "no error"};
}

std::string little(std::uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
  return text;
}

/// A mono 16-bit WAV header, with whatever sizes it is told to claim.
std::string wav_header(std::uint32_t data_bytes, std::uint16_t channels = 1, std::uint32_t rate = 24000) {
  const std::string format = little(1, 2) + little(channels, 2) + little(rate, 4) + little(rate * 2U * channels, 4) +
                             little(2U * channels, 2) + little(16, 2);
  return "RIFF" + little(36 + data_bytes, 4) + "WAVEfmt " + little(16, 4) + format + "data" + little(data_bytes, 4);
}

}  // namespace

// Vectors are compared in double parentheses: a failure is not to print all their samples.

TEST_CASE("audio_file: samples of every PCM width are exact", "[audio]") {
  const TemporaryFolder folder;
  struct Width {
    int format;
    int bits;
    bool floating;
  };
  const auto width =
      GENERATE(Width{SF_FORMAT_WAV | SF_FORMAT_PCM_16, 16, false}, Width{SF_FORMAT_WAV | SF_FORMAT_PCM_24, 24, false},
               Width{SF_FORMAT_WAV | SF_FORMAT_FLOAT, 32, true}, Width{SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 16, false},
               Width{SF_FORMAT_AIFF | SF_FORMAT_PCM_24, 24, false}, Width{SF_FORMAT_RF64 | SF_FORMAT_PCM_16, 16, false},
               Width{SF_FORMAT_W64 | SF_FORMAT_DOUBLE, 64, true});
  const std::vector<float> x = noise("audio", 70000);  // more than one block
  const std::string path = folder / "a";
  REQUIRE(write(path, width.format, 24000, 1, x));
  const AudioData audio = load_audio(path);
  REQUIRE(audio.signals.size() == 1);
  CHECK((audio.signals[0] == x));
  CHECK(audio.source.path == path);
  CHECK(audio.source.sample_rate == 24000);
  CHECK(audio.source.channels == 1);
  CHECK(audio.source.frames == 70000);
  CHECK(audio.source.bits == width.bits);
  CHECK(audio.source.floating == width.floating);
  CHECK(audio.notes == AudioNotes{.floating = width.floating, .bits24 = width.bits == 24});
  CHECK(audio_info(path).format == audio.source.format);
}

TEST_CASE("audio_file: lossy formats decode", "[audio]") {
  const TemporaryFolder folder;
  std::vector<float> x;
  for (int i = 0; i < 48000; ++i) x.push_back(static_cast<float>(0.4 * std::sin(0.1 * i)));
  const std::string path = folder / "a.ogg";
  REQUIRE(write(path, SF_FORMAT_OGG | SF_FORMAT_VORBIS, 48000, 1, x));
  const AudioData audio = load_audio(path);
  CHECK(audio.source.bits == 0);
  CHECK(audio.notes.resampled);
  REQUIRE(audio.signals[0].size() == 24000);
  double energy = 0;
  for (const float v : audio.signals[0]) energy += static_cast<double>(v) * static_cast<double>(v) / 24000;
  CHECK(std::abs(energy - 0.08) < 0.004);
}

TEST_CASE("audio_file: channels are mixed, picked or kept", "[audio]") {
  const TemporaryFolder folder;
  const std::vector<float> x = noise("channels", 3 * 1001);
  const std::string path = folder / "a.wav";
  REQUIRE(write(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 24000, 3, x));
  const AudioData each = load_audio(path, {.channels = {.mode = ChannelRule::Mode::kEach}});
  const AudioData mixed = load_audio(path);
  const AudioData one = load_audio(path, {.channels = ChannelRule::parse("2")});
  REQUIRE(each.signals.size() == 3);
  REQUIRE(mixed.signals.size() == 1);
  REQUIRE(one.signals.size() == 1);
  CHECK((one.signals[0] == each.signals[2]));
  for (std::size_t t = 0; t < 1001; ++t) {
    for (std::size_t c = 0; c < 3; ++c) REQUIRE(each.signals[c][t] == x[3 * t + c]);
    REQUIRE(std::abs(mixed.signals[0][t] - (x[3 * t] + x[3 * t + 1] + x[3 * t + 2]) / 3) < 1e-7F);
  }
  CHECK(mixed.notes.downmixed);
  CHECK_FALSE(each.notes.downmixed);
  CHECK_FALSE(one.notes.downmixed);
  CHECK(refusal(path, {.channels = ChannelRule::parse("3")}).second ==
        path + ": channel 3 was asked for, the file has 3 (they count from 0)");

  CHECK(ChannelRule::parse("mix") == ChannelRule{});
  CHECK(ChannelRule::parse("each").name() == "each");
  CHECK(ChannelRule::parse("12").name() == "12");
  for (const char* text : {"", "all", "-1", "1 ", "99999999999"}) CHECK_THROWS_AS(ChannelRule::parse(text), Error);
}

TEST_CASE("audio_file: a stream gives the whole file resampled, bit for bit", "[audio]") {
  const TemporaryFolder folder;
  const int rate = GENERATE(44100, 8000);
  const std::vector<float> x = noise("rates", 200001);
  const std::string path = folder / "a.wav";
  REQUIRE(write(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, rate, 1, x));
  const std::vector<float> expected = resample(x, rate, 24000);
  AudioStream stream(path);
  std::vector<std::vector<float>> signals;
  std::size_t blocks = 0;
  std::size_t before = 0;
  while (stream.read(signals)) {
    CHECK(signals[0].size() > before);
    CHECK(signals[0].size() - before <= 3 * 65536 + 64);
    before = signals[0].size();
    ++blocks;
  }
  CHECK(blocks > 3);
  CHECK((signals[0] == expected));
  CHECK(stream.notes().resampled);
  CHECK_FALSE(stream.read(signals));
}

TEST_CASE("audio_file: a part of a file", "[audio]") {
  const TemporaryFolder folder;
  const std::vector<float> x = noise("part", 24000);
  const std::string path = folder / "a.flac";
  REQUIRE(write(path, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 24000, 1, x));
  const AudioData part = load_audio(path, {.start = 0.25, .end = 0.5});
  CHECK((part.signals[0] == std::vector<float>(x.begin() + 6000, x.begin() + 12000)));
  CHECK(load_audio(path, {.start = 0.9, .end = 7}).signals[0].size() == 2400);
  CHECK(refusal(path, {.start = 1.5}).first == ErrorKind::kData);
  CHECK(refusal(path, {.start = 1}).second == path + ": has no samples from 1 s on");
  CHECK_THROWS_AS(load_audio(path, {.start = 0.5, .end = 0.5}), Error);
  CHECK_THROWS_AS(load_audio(path, {.start = -1}), Error);
  CHECK_THROWS_AS(load_audio(path, {}, 23999), Error);
  CHECK_NOTHROW(load_audio(path, {}, 24000));
}

TEST_CASE("audio_file: bad files are refused with their name and the reason", "[audio]") {
  const TemporaryFolder folder;
  const std::string path = folder / "bad.wav";
  const auto expect = [&](ErrorKind kind, const std::string& reason) {
    const auto [actual, message] = refusal(path);
    INFO(message);
    CHECK(actual == kind);
    CHECK(message.find(path) != std::string::npos);
    CHECK(message.find(reason) != std::string::npos);
  };
  SECTION("missing") { expect(ErrorKind::kIo, "No such file"); }
  SECTION("a folder") {
    REQUIRE(write(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 24000, 1, {0.5F}));
    CHECK(refusal(folder.path()).first == ErrorKind::kIo);
  }
  SECTION("empty") {
    store(path, "");
    expect(ErrorKind::kData, "cannot be decoded");
  }
  SECTION("text") {
    store(path, std::string(5000, 'x'));
    expect(ErrorKind::kData, "cannot be decoded");
  }
  SECTION("no samples") {
    store(path, wav_header(0));
    expect(ErrorKind::kData, "has no samples");
  }
  SECTION("a truncated WAV file") {
    REQUIRE(write(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 24000, 1, noise("cut", 4000)));
    std::string bytes = read_file(path);
    bytes.resize(5000);
    store(path, bytes);
    expect(ErrorKind::kData, "truncated: the header promises 8000 bytes");
  }
  SECTION("a truncated FLAC file") {
    REQUIRE(write(path, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 24000, 1, noise("cut", 40000)));
    std::string bytes = read_file(path);
    bytes.resize(bytes.size() / 2);
    store(path, bytes);
    CHECK(refusal(path).first == ErrorKind::kData);
  }
  SECTION("a header that claims 4 GB in 100 bytes") {
    store(path, wav_header(0x7FFFEFFF) + std::string(56, '\1'));
    expect(ErrorKind::kData, "truncated");
  }
  SECTION("a header that claims 2^60 frames in 200 bytes") {
    // RF64: the sizes stand in a ds64 chunk of their own.
    const std::string sizes = little(std::uint64_t{1} << 61, 8) + little(std::uint64_t{1} << 61, 8) +
                              little(std::uint64_t{1} << 60, 8) + little(0, 4);
    const std::string inner = wav_header(0xFFFFFFFF).substr(12);
    store(path, "RF64" + little(0xFFFFFFFF, 4) + "WAVEds64" + little(28, 4) + sizes + inner + std::string(100, '\1'));
    expect(ErrorKind::kData, concat("truncated: the header promises ", std::uint64_t{1} << 61U));
  }
  SECTION("too many channels") {
    store(path, wav_header(2 * 65, 65) + std::string(2 * 65, '\1'));
    expect(ErrorKind::kData, "65 channels, expected 1 .. 64");
  }
  SECTION("an impossible rate") {
    store(path, wav_header(100, 1, 999) + std::string(100, '\1'));
    expect(ErrorKind::kData, "sample rate 999 Hz");
    store(path, wav_header(100, 1, 800000) + std::string(100, '\1'));
    expect(ErrorKind::kData, "sample rate 800000 Hz");
  }
  SECTION("NaN and infinity") {
    for (const float value : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
      std::vector<float> x = noise("nan", 4000);
      x[3999] = value;
      REQUIRE(write(path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 24000, 1, x));
      expect(ErrorKind::kData, "NaN or infinite");
    }
  }
  SECTION("samples whose power would overflow") {
    std::vector<float> x = noise("loud", 4000);
    x[7] = -0.99F * AudioStream::kLoudestSample;
    REQUIRE(write(path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 24000, 1, x));
    CHECK(load_audio(path).signals[0][7] == x[7]);
    x[7] = -1.01F * AudioStream::kLoudestSample;
    REQUIRE(write(path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 24000, 1, x));
    expect(ErrorKind::kData, "is 1.01e+06, no sound");
  }
}

TEST_CASE("audio_file: a WAV file written to a pipe has no length, and is whole", "[audio]") {
  const TemporaryFolder folder;
  const std::string path = folder / "piped.wav";
  store(path, wav_header(0xFFFFFFFF) + std::string(2000, '\1'));
  CHECK(load_audio(path).signals[0].size() == 1000);
}

TEST_CASE("audio_file: mutated headers end in an Error or in samples, never otherwise", "[audio]") {
  const TemporaryFolder folder;
  const int format = GENERATE(SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
                              SF_FORMAT_AIFF | SF_FORMAT_PCM_16, SF_FORMAT_OGG | SF_FORMAT_VORBIS);
#if defined(__SANITIZE_ADDRESS__)
  if (format == (SF_FORMAT_OGG | SF_FORMAT_VORBIS)) return;  // libsndfile 1.2.0 itself leaks on damaged Ogg headers
#endif
  const std::string path = folder / "a";
  REQUIRE(write(path, format, 24000, 2, noise("mutated", 4000)));
  const std::string bytes = read_file(path);
  const RandomKey key{.seed = 3, .purpose = purpose_id("mutated"), .step = 0};
  int survived = 0;
  for (std::uint64_t i = 0; i < 150; ++i) {
    std::string mutated = bytes;
    for (std::uint64_t k = 0; k < 3; ++k)
      mutated[uniform_below(key, 6 * i + k, 100)] = static_cast<char>(uniform_below(key, 6 * i + 3 + k, 256));
    store(path, mutated);
    try {
      survived += load_audio(path, {}, 1 << 20).signals.empty() ? 0 : 1;
    } catch (const Error& error) {
      CHECK(std::string(error.what()).find(path) != std::string::npos);
    }
  }
  CHECK(survived < 150);
}

TEST_CASE("audio_file: silence and clipping are noted", "[audio]") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.wav";
  REQUIRE(write(path, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 24000, 1, std::vector<float>(500)));
  CHECK(load_audio(path).notes == AudioNotes{.silent = true});
  REQUIRE(write(path, SF_FORMAT_WAV | SF_FORMAT_FLOAT, 24000, 1, {0, -1.5F, 0.5F}));
  CHECK(load_audio(path).notes == AudioNotes{.floating = true, .clipping = true});
  CHECK(load_audio(path).signals[0] == std::vector<float>{0, -1.5F, 0.5F});
}

TEST_CASE("audio_file: save_wav is read back", "[audio]") {
  const TemporaryFolder folder;
  const std::vector<float> x = noise("saved", 300);
  std::vector<float> loud = x;
  loud[7] = 1.5F;
  save_wav(folder / "a.wav", {x, loud}, 24000);
  const AudioData audio = load_audio(folder / "a.wav", {.channels = {.mode = ChannelRule::Mode::kEach}});
  CHECK((audio.signals[0] == x));
  CHECK(audio.signals[1][7] == 32767.0F / 32768);
  CHECK_THROWS_AS(save_wav(folder / "no/such/folder.wav", {x}, 24000), Error);
  CHECK_THROWS_AS(save_wav(folder / "b.wav", {x, {}}, 24000), Error);
}

}  // namespace dcase
