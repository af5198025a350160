#include <algorithm>

#include "engine/tensor.hpp"
#include "kernels/common/error.hpp"
#include "kernels/mel_stft/mel_stft.hpp"
#include "kernels/mel_stft/mel_stft_ref.hpp"
#include "train/data/resample.hpp"
#include "train/verify/verify_kinds.hpp"

namespace dcase::detail {

namespace {

constexpr std::int64_t kShortest = 40;  // frames: shorter clips are doubled when tags are evaluated

/// Signal and tables of one front-end file.
class MelCheck {
 public:
  MelCheck(Checker& checker, BackendPtr backend) : checker_(checker), backend_(std::move(backend)) {}

  void signal(const std::string& name) {
    const std::string pcm = name + ".pcm16";
    const std::vector<float> samples = scaled(pcm);
    const auto length = static_cast<std::int64_t>(samples.size());
    const Tensor x = Tensor::from({length}, samples, backend_);
    const MelParameters& p = tables_.parameters();
    const Tensor logmel({p.mels, mel_frames(length, p)}, backend_);
    mel_forward(MelForward{.pcm = PcmView(View<const float>(x)), .out = logmel}, tables_, backend_->context());
    if (checker_.file().contains(name + ".logmel")) results(name, logmel);
    const std::string repeated = name + "_tageval";
    if (checker_.file().contains(repeated + ".logmel")) {
      const Tensor longer({p.mels, doubled_frames(logmel.dim(1), kShortest)}, backend_);
      mel_repeat({.x = logmel, .y = longer}, backend_->context());
      results(repeated, longer);
    }
  }

  void filter_bank() {
    const std::int64_t bins = tables_.parameters().n_fft / 2 + 1;
    const auto mels = static_cast<std::int64_t>(tables_.filters().size());
    std::vector<double> bank(static_cast<std::size_t>(bins * mels));  // [bins, mels]
    for (std::int64_t m = 0; m < mels; ++m) {
      const MelFilter& filter = tables_.filters()[static_cast<std::size_t>(m)];
      for (int i = 0; i < filter.bins; ++i) {
        bank[static_cast<std::size_t>((filter.first_bin + i) * mels + m)] =
            tables_.weights()[static_cast<std::size_t>(filter.offset + i)];
      }
    }
    checker_.compare("fb64", bank);
  }

  void resampling() {
    const std::vector<float> samples = scaled("resample.pcm16_44k");
    checker_.compare("resample.out24k", resample(samples, 44100, 24000));
  }

  /// The first samples of signal `name` after pre-emphasis. The front end has no such result of its own: this checks
  /// the definition that its tests use.
  void preemphasis(const std::string& name) {
    const std::string key = "preemph." + name;
    const auto count = static_cast<std::size_t>(checker_.file().info(key).count());
    const std::vector<float> samples = scaled(name + ".pcm16");
    DCASE_CHECK(count < samples.size(), key, ": ", count, " samples of a signal of ", samples.size());
    const auto end = samples.begin() + static_cast<std::ptrdiff_t>(count + 1);
    checker_.compare(key, ref::preemphasis({samples.begin(), end}, tables_.parameters().preemphasis));
  }

 private:
  [[nodiscard]] std::vector<float> scaled(const std::string& name) {
    std::vector<float> samples = checker_.floats(name);
    for (float& value : samples) value *= 0x1p-15F;
    return samples;
  }

  void results(const std::string& name, const Tensor& logmel) {
    checker_.compare(name + ".logmel", logmel.to_vector());
    const Tensor norm = logmel.clone();
    mel_normalize({.x = norm}, tables_.parameters(), backend_->context());
    checker_.compare(name + ".norm", norm.to_vector());
    for (const char* other : {".logmel_torch32", ".norm_torch32"}) {
      if (checker_.file().contains(name + other)) checker_.information(name + other);
    }
  }

  Checker& checker_;
  BackendPtr backend_;
  MelTables tables_;
};

}  // namespace

void verify_mel(Checker& checker, const BackendPtr& backend) {
  MelCheck check(checker, backend);
  for (const TensorInfo& tensor : checker.file().tensors()) {
    if (fits("*.pcm16", tensor.name)) check.signal(tensor.name.substr(0, tensor.name.find('.')));
    if (tensor.name == "fb64") check.filter_bank();
    if (tensor.name == "resample.out24k") check.resampling();
    if (fits("preemph.*", tensor.name)) check.preemphasis(tensor.name.substr(tensor.name.find('.') + 1));
  }
}

}  // namespace dcase::detail
