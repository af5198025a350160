/// dcasenet features: what the front end makes of a recording.

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <string>

#include "engine/archive.hpp"
#include "engine/files.hpp"
#include "engine/tensor.hpp"
#include "kernels/mel_stft/mel_stft.hpp"
#include "train/cli/app.hpp"
#include "train/cli/exit_codes.hpp"
#include "train/cli/verbs.hpp"
#include "train/data/audio_file.hpp"

namespace dcase::cli {
namespace {

struct Options {
  std::string input;
  std::string output;
  bool raw = false;
  std::string channels = "mix";
};

// NumPy's format, version 1.0: magic, header length, a Python literal padded to 64 bytes, row-major data.
void write_npy(const std::string& path, const Tensor& x) {
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, {}), }}", x.dim(0), x.dim(1));
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(header.size() & 0xFFU);
  text += static_cast<char>(header.size() >> 8U);
  text += header;
  const std::vector<float> values = x.to_vector();
  atomic_write(path, [&](OutputFile& file) {
    file.write(text);
    file.write(std::as_bytes(std::span(values)));
  });
}

int features(const Options& options, Environment& environment) {
  const bool npy = options.output.ends_with(".npy");
  if (!npy && !options.output.ends_with(".safetensors")) {
    fail(ErrorKind::kUsage, options.output, ": the output is NAME.npy or NAME.safetensors");
  }
  const AudioData audio = load_audio(options.input, {.channels = ChannelRule::parse(options.channels)});
  if (audio.signals.size() != 1) fail(ErrorKind::kUsage, "--channels takes mix or one channel number here");
  const std::vector<float>& pcm = audio.signals[0];
  if (pcm.size() < 2)
    fail(ErrorKind::kData, options.input, ": ", pcm.size(), " samples at 24 kHz, at least 2 are needed");

  const BackendPtr& backend = environment.backend();
  const MelTables tables;
  const Tensor x({tables.parameters().mels, mel_frames(static_cast<std::int64_t>(pcm.size()))}, backend);
  const Tensor samples = Tensor::from({static_cast<std::int64_t>(pcm.size())}, pcm, backend);
  mel_forward(MelForward{.pcm = View<const float>(samples), .out = x}, tables, backend->context());
  if (!options.raw) mel_normalize({.x = x, .mean = {}, .std = {}}, tables.parameters(), backend->context());
  if (npy) {
    write_npy(options.output, x);
  } else {
    ArchiveWriter writer;
    writer.add("log_mel", x);
    writer.metadata("normalised", options.raw ? "no" : "yes");
    writer.write(options.output);
  }
  environment.console.info(fmt::format("{}: {} mel rows x {} frames of 20 ms", options.output, x.dim(0), x.dim(1)));
  return kExitOk;
}

}  // namespace

void add_features(Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App& verb = program.add("features", "log-mel of a recording as .npy or .safetensors",
                               [options](Environment& e) { return features(*options, e); });
  verb.add_option("FILE", options->input, "recording (any format libsndfile reads)")->required();
  verb.add_option("-o,--output", options->output, "NAME.npy or NAME.safetensors: [128, frames], float32")->required();
  verb.add_flag("--raw", options->raw, "log-mel before the normalisation per mel row");
  verb.add_option("--channels", options->channels, "mix (mean of all), or a channel number from 0")
      ->capture_default_str();
}

}  // namespace dcase::cli
