#include "train/data/audio_file.hpp"

#include <sndfile.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <mutex>
#include <system_error>

#include "engine/files.hpp"
#include "kernels/common/error.hpp"
#include "train/data/resample.hpp"

namespace dcase {

namespace {

constexpr std::int64_t kBlockFloats = 1 << 16;  // decoded at a time, over all channels: 256 KiB

struct CloseSound {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using Sound = std::unique_ptr<SNDFILE, CloseSound>;

template <class... Parts>
[[noreturn]] void fail_file(const std::string& path, const Parts&... reason) {
  fail(ErrorKind::kData, path, ": ", reason...);
}

std::string format_name(int format) {
  const auto name_of = [](int part) {
    SF_FORMAT_INFO info = {};
    info.format = part;
    const bool known = sf_command(nullptr, SFC_GET_FORMAT_INFO, &info, sizeof(info)) == 0 && info.name != nullptr;
    return known ? std::string(info.name) : concat("format ", part);
  };
  return name_of(format & SF_FORMAT_TYPEMASK) + ", " + name_of(format & SF_FORMAT_SUBMASK);
}

/// Bits of a sample, 0 for compressed formats.
int bits_of(int format) {
  switch (format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_S8:
    case SF_FORMAT_PCM_U8:
      return 8;
    case SF_FORMAT_PCM_16:
      return 16;
    case SF_FORMAT_PCM_24:
      return 24;
    case SF_FORMAT_PCM_32:
    case SF_FORMAT_FLOAT:
      return 32;
    case SF_FORMAT_DOUBLE:
      return 64;
    default:
      return 0;
  }
}

std::uint64_t little_endian(const unsigned char* bytes, int count) {
  std::uint64_t value = 0;
  for (int i = 0; i < count; ++i) value |= std::uint64_t{bytes[i]} << static_cast<unsigned>(8 * i);
  return value;
}

/// libsndfile shortens the data chunk of a truncated WAV file to what is there and says nothing, so the chunks are
/// walked here. Programs that write to a pipe leave a placeholder of 2 or 4 GB; then the length is not known.
void check_wav_complete(const std::string& path) {
  const InputFile file = InputFile::open(path);
  constexpr std::uint64_t kPlaceholder = 0x7FFFF000U;
  unsigned char header[12] = {};
  if (file.size() < sizeof(header)) return;
  file.read(0, std::as_writable_bytes(std::span(header)));
  const bool wide = std::memcmp(header, "RF64", 4) == 0;  // 64-bit sizes, in a chunk of their own before the others
  if ((!wide && std::memcmp(header, "RIFF", 4) != 0) || std::memcmp(header + 8, "WAVE", 4) != 0) return;
  std::uint64_t promised = kPlaceholder;
  std::uint64_t at = sizeof(header);
  constexpr int kMaxChunks = 1000;  // a file of empty chunks must not keep us
  for (int i = 0; i < kMaxChunks && at + 8 <= file.size(); ++i) {
    unsigned char chunk[8] = {};
    file.read(at, std::as_writable_bytes(std::span(chunk)));
    at += sizeof(chunk);
    const std::uint64_t size = little_endian(chunk + 4, 4);
    if (wide && std::memcmp(chunk, "ds64", 4) == 0 && size >= 16 && file.size() - at >= 16) {
      unsigned char sizes[16] = {};  // of the file, of the data
      file.read(at, std::as_writable_bytes(std::span(sizes)));
      promised = little_endian(sizes + 8, 8);
    } else if (std::memcmp(chunk, "data", 4) == 0) {
      const bool known = size < kPlaceholder || (wide && promised != kPlaceholder);
      if (size < kPlaceholder) promised = size;
      if (known && promised > file.size() - at)
        fail_file(path, "truncated: the header promises ", promised, " bytes of samples, the file has ",
                  file.size() - at);
      return;
    }
    at += size + (size & 1U);  // chunks are padded to even sizes
  }
}

Sound open_sound(const std::string& path, AudioInfo& info) {
  { const InputFile readable = InputFile::open(path); }  // a kIo error with the system's reason; no pipes or folders
  SF_INFO raw = {};
  Sound sound;
  std::string reason;
  {
    // libsndfile keeps the error of a failed opening, and its log, in variables that all threads share.
    static std::mutex opening;
    const std::lock_guard lock(opening);
    sound.reset(sf_open(path.c_str(), SFM_READ, &raw));
    if (sound == nullptr) reason = sf_strerror(nullptr);
  }
  if (sound == nullptr) {
    while (!reason.empty() && (reason.back() == '.' || reason.back() == '\n')) reason.pop_back();
    fail_file(path, "cannot be decoded: ", reason);
  }
  if (raw.channels < 1 || raw.channels > AudioStream::kMaxChannels)
    fail_file(path, raw.channels, " channels, expected 1 .. ", AudioStream::kMaxChannels);
  if (raw.samplerate < AudioStream::kMinRate || raw.samplerate > AudioStream::kMaxRate)
    fail_file(path, "sample rate ", raw.samplerate, " Hz, expected ", AudioStream::kMinRate, " .. ",
              AudioStream::kMaxRate);
  const int subtype = raw.format & SF_FORMAT_SUBMASK;
  info.path = path;
  info.sample_rate = raw.samplerate;
  info.channels = raw.channels;
  info.frames = raw.frames >= 0 && raw.frames < SF_COUNT_MAX ? raw.frames : -1;
  info.format = format_name(raw.format);
  info.bits = bits_of(raw.format);
  info.floating = subtype == SF_FORMAT_FLOAT || subtype == SF_FORMAT_DOUBLE;
  const int type = raw.format & SF_FORMAT_TYPEMASK;
  if (type == SF_FORMAT_WAV || type == SF_FORMAT_WAVEX || type == SF_FORMAT_RF64) check_wav_complete(path);
  return sound;
}

/// Frame of `seconds`, or the largest number for infinity.
std::int64_t frame_at(double seconds, int rate) {
  const double frame = std::round(seconds * rate);
  constexpr double kFar = 0x1p62;
  return frame < kFar ? static_cast<std::int64_t>(frame) : std::numeric_limits<std::int64_t>::max();
}

}  // namespace

ChannelRule ChannelRule::parse(const std::string& text) {
  if (text == "mix") return {.mode = Mode::kMix};
  if (text == "each") return {.mode = Mode::kEach};
  int index = -1;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (code != std::errc() || end != text.data() + text.size() || index < 0)
    fail(ErrorKind::kUsage, "channels: '", text, "' is neither mix, each nor a channel number from 0");
  return {.mode = Mode::kOne, .index = index};
}

std::string ChannelRule::name() const {
  return mode == Mode::kMix ? "mix" : (mode == Mode::kEach ? "each" : std::to_string(index));
}

AudioInfo audio_info(const std::string& path) {
  AudioInfo info;
  open_sound(path, info);
  return info;
}

struct AudioStream::State {
  State(const std::string& path, const AudioOptions& chosen) : options(chosen), sound(open_sound(path, info)) {
    DCASE_CHECK(options.start >= 0 && options.end > options.start, "audio: part ", options.start, " .. ", options.end,
                " s of ", path);
    if (options.channels.mode == ChannelRule::Mode::kOne && options.channels.index >= info.channels)
      fail_file(path, "channel ", options.channels.index, " was asked for, the file has ", info.channels,
                " (they count from 0)");
    const auto filter = std::make_shared<const ResampleFilter>(info.sample_rate, options.sample_rate);
    const int signals = options.channels.mode == ChannelRule::Mode::kEach ? info.channels : 1;
    for (int i = 0; i < signals; ++i) resamplers.emplace_back(filter);
    notes.resampled = !filter->identity();
    notes.downmixed = options.channels.mode == ChannelRule::Mode::kMix && info.channels > 1;
    notes.floating = info.floating;
    notes.bits24 = info.bits == 24;
    notes.silent = true;

    position = frame_at(options.start, info.sample_rate);
    end = frame_at(options.end, info.sample_rate);
    if (position > 0 && sf_seek(sound.get(), position, SEEK_SET) != position)
      fail_file(path, "has no samples from ", options.start, " s on");
    first = position;
    block.resize(static_cast<std::size_t>(std::max<std::int64_t>(1, kBlockFloats / info.channels) * info.channels));
    signal.resize(block.size() / static_cast<std::size_t>(info.channels));
  }

  /// Decodes one block and hands it to the resamplers. False at the end.
  bool decode(std::vector<std::vector<float>>& signals);
  void check_complete() const;

  AudioOptions options;
  AudioInfo info;
  AudioNotes notes;
  Sound sound;
  std::vector<Resampler> resamplers;  // one a signal
  std::vector<float> block;           // [frames, channels]
  std::vector<float> signal;          // [frames]
  std::int64_t first = 0;             // frame of the part's start
  std::int64_t position = 0;          // next frame
  std::int64_t end = 0;               // frame after the part's last
  bool finished = false;
};

bool AudioStream::State::decode(std::vector<std::vector<float>>& signals) {
  const std::int64_t wanted = std::min(static_cast<std::int64_t>(signal.size()), end - position);
  const std::int64_t got = wanted > 0 ? sf_readf_float(sound.get(), block.data(), wanted) : 0;
  if (got <= 0) return false;
  position += got;
  const auto channels = static_cast<std::size_t>(info.channels);
  const auto frames = static_cast<std::size_t>(got);
  float peak = 0;
  bool finite = true;
  for (std::size_t i = 0; i < frames * channels; ++i) {
    const float magnitude = std::abs(block[i]);
    finite = finite && magnitude <= std::numeric_limits<float>::max();
    peak = std::max(peak, magnitude);
  }
  if (!finite) fail_file(info.path, "a sample before frame ", position, " is NaN or infinite");
  if (peak > kLoudestSample) {
    fail_file(info.path, "a sample before frame ", position, " is ", peak, ", no sound: full scale is 1");
  }
  if (peak > 0) notes.silent = false;
  if (info.floating && peak > 1) notes.clipping = true;

  const float share = 1.0F / static_cast<float>(info.channels);
  for (std::size_t s = 0; s < signals.size(); ++s) {
    if (options.channels.mode == ChannelRule::Mode::kMix) {
      for (std::size_t t = 0; t < frames; ++t) {
        float sum = 0;
        for (std::size_t c = 0; c < channels; ++c) sum += block[t * channels + c];
        signal[t] = sum * share;
      }
    } else {
      const std::size_t c =
          options.channels.mode == ChannelRule::Mode::kEach ? s : static_cast<std::size_t>(options.channels.index);
      for (std::size_t t = 0; t < frames; ++t) signal[t] = block[t * channels + c];
    }
    resamplers[s].push(std::span(signal).first(frames), signals[s]);
  }
  return true;
}

void AudioStream::State::check_complete() const {
  if (sf_error(sound.get()) != SF_ERR_NO_ERROR)
    fail_file(info.path, "decoding failed after ", position - first, " frames: ", sf_strerror(sound.get()));
  if (position == first)
    fail_file(info.path, "has no samples", first > 0 ? concat(" from ", options.start, " s on") : "");
  // The length of a lossy format is an estimate; that of PCM and of lossless formats is a promise.
  if (info.bits > 0 && info.frames >= 0 && position < std::min(end, info.frames))
    fail_file(info.path, "truncated: the header promises ", info.frames, " frames, ", position, " can be decoded");
}

AudioStream::AudioStream(const std::string& path, const AudioOptions& options)
    : state_(std::make_unique<State>(path, options)) {}
AudioStream::~AudioStream() = default;
AudioStream::AudioStream(AudioStream&&) noexcept = default;
AudioStream& AudioStream::operator=(AudioStream&&) noexcept = default;

const AudioInfo& AudioStream::info() const { return state_->info; }
int AudioStream::signals() const { return static_cast<int>(state_->resamplers.size()); }
const AudioNotes& AudioStream::notes() const { return state_->notes; }

bool AudioStream::read(std::vector<std::vector<float>>& signals) {
  if (signals.empty()) signals.resize(state_->resamplers.size());
  DCASE_CHECK(signals.size() == state_->resamplers.size(), "audio: ", signals.size(), " vectors for ",
              state_->resamplers.size(), " signals");
  const std::size_t before = signals[0].size();
  // A block shorter than the filter completes no output: go on until one does.
  while (!state_->finished && signals[0].size() == before) {
    if (state_->decode(signals)) continue;
    state_->finished = true;
    state_->check_complete();
    for (std::size_t s = 0; s < signals.size(); ++s) state_->resamplers[s].finish(signals[s]);
  }
  return signals[0].size() > before;
}

AudioData load_audio(const std::string& path, const AudioOptions& options, std::int64_t max_samples) {
  AudioStream stream(path, options);
  AudioData data;
  while (stream.read(data.signals)) {
    if (static_cast<std::int64_t>(data.signals[0].size()) > max_samples)
      fail_file(path, "longer than ", static_cast<double>(max_samples) / options.sample_rate,
                " s; cut it, or choose a part by start and end");
  }
  data.source = stream.info();
  data.notes = stream.notes();
  return data;
}

void save_wav(const std::string& path, const std::vector<std::vector<float>>& signals, int sample_rate) {
  DCASE_CHECK(!signals.empty() && signals.size() <= AudioStream::kMaxChannels, "save_wav: ", signals.size(),
              " channels");
  const std::size_t frames = signals[0].size();
  for (const std::vector<float>& signal : signals)
    DCASE_CHECK(signal.size() == frames, "save_wav: channels of ", frames, " and ", signal.size(), " samples");
  SF_INFO info = {};
  info.samplerate = sample_rate;
  info.channels = static_cast<int>(signals.size());
  info.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  const Sound sound(sf_open(path.c_str(), SFM_WRITE, &info));
  if (sound == nullptr) fail(ErrorKind::kIo, "cannot write '", path, "': ", sf_strerror(nullptr));
  std::vector<short> samples;
  for (std::size_t t = 0; t < frames; ++t) {
    for (const std::vector<float>& signal : signals)
      samples.push_back(static_cast<short>(std::lround(std::clamp(signal[t] * 32768.0F, -32768.0F, 32767.0F))));
  }
  const auto count = static_cast<sf_count_t>(frames);
  if (sf_writef_short(sound.get(), samples.data(), count) != count)
    fail(ErrorKind::kIo, "cannot write '", path, "': ", sf_strerror(sound.get()));
  sf_write_sync(sound.get());
}

}  // namespace dcase
