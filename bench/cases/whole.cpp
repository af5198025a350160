// Whole paths through the product, as its users run them.

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "bench/case.hpp"
#include "bench/inputs.hpp"
#include "dcasenet/session.hpp"
#include "kernels/mel_stft/mel_stft_ref.hpp"
#include "train/data/audio_file.hpp"
#include "train/loss.hpp"
#include "train/optimizer.hpp"

namespace dcase::bench {
namespace {

constexpr std::int64_t kFrames10s = 500;  // of a clip of 240,000 samples
constexpr std::int64_t kRate = 24000;

Model new_model(std::int64_t divisor) {
  ModelInfo info{.architecture = {.divisor = divisor}};
  info.labels.asc = builtin_labels(Task::kAsc);
  info.labels.tag = builtin_labels(Task::kTag);
  info.labels.sed = builtin_labels(Task::kSed);
  return Model::create(std::move(info), 1);
}

std::shared_ptr<const Session> new_session(std::int64_t divisor) {
  Model model = new_model(divisor);
  model.parameters().set_trainable(false);
  return std::make_shared<const Session>(std::make_shared<const Model>(std::move(model)));
}

// The clip alone and as the second of two: other shapes, so other convolutions and another division of the work.
void check_network(const Session& session, const Tensor& x) {
  const BackendPtr& backend = x.backend();
  const Tensor pair = random_tensor("other clip", {2, x.dim(1), x.dim(2)}, backend);
  std::copy_n(x.data(), x.size(), pair.data() + x.size());
  const NetworkOutputs one = session.run_log_mel(x.view());
  const NetworkOutputs two = session.run_log_mel(pair.view());
  const auto compare = [](const char* what, const Tensor& alone, const Tensor& both) {
    const View<const float> second(both.data() + alone.size(), {alone.size()});
    require_match(what, relative_error(View<const float>(alone.data(), {alone.size()}), second), 2e-5);
  };
  compare("ASC of a clip in a batch of two", one.asc, two.asc);
  compare("TAG of a clip in a batch of two", one.tag, two.tag);
  compare("SED of a clip in a batch of two", one.sed, two.sed);
}

Work infer(std::int64_t divisor, bool check) {
  const auto session = new_session(divisor);
  const Tensor x = random_tensor("log-mel", {1, 128, kFrames10s}, session->model().backend());
  if (check) check_network(*session, x);
  return {.run = [session, x] { (void)session->run_log_mel(x.view()); }, .audio_seconds = 10};
}

// What a clip of 10 s passes from samples to outputs in one window: front end, normalisation, network.
Work infer_wave(bool check) {
  const auto session = new_session(1);
  const BackendPtr& backend = session->model().backend();
  const Tensor pcm = random_tensor("pcm", {10 * kRate}, backend, 0.1F);
  const Tensor x({1, 128, kFrames10s}, backend);
  const auto run = [session, pcm, x] {
    const View<float> rows(x.data(), {x.dim(1), x.dim(2)});
    mel_forward(MelForward{.pcm = View<const float>(pcm.view()), .out = rows}, session->mel(), x.context());
    mel_normalize({.x = rows, .mean = {}, .std = {}}, session->mel().parameters(), x.context());
    (void)session->run_log_mel(x.view());
  };
  run();
  if (check) check_network(*session, x);
  return {.run = run, .audio_seconds = 10};
}

// Session::run: each task over windows of its own, with the overlaps of `dcasenet predict`.
Work predict(std::int64_t divisor) {
  const auto session = new_session(divisor);
  const Tensor pcm = random_tensor("pcm", {10 * kRate}, session->model().backend(), 0.1F);
  const auto run = [session, pcm] {
    return session->run(std::span<const float>(pcm.data(), static_cast<std::size_t>(pcm.size())));
  };
  const Prediction p = run();
  double sum = 0;
  for (const float value : p.asc) sum += static_cast<double>(value);
  require_match("sum of the scene probabilities", std::abs(sum - 1), 1e-5);
  return {.run = [run] { (void)run(); }, .audio_seconds = 10};
}

// One joint step as train/trainer.cpp makes it: forward and backward task after task, then Adam. ASC and TAG: four
// clips of 5 s; SED: two of 6 s (300 frames).
struct Training {
  struct TaskBatch {
    Task task;
    Tensor x, target;
  };
  Model model = new_model(1);
  Optimizer optimizer{model.parameters(), {}};
  std::vector<TaskBatch> batches;
  std::uint32_t step = 0;

  Training() {
    model.parameters().set_trainable(true);
    const BackendPtr& backend = model.backend();
    const Architecture& a = model.info().architecture;
    const auto add = [&](Task task, std::int64_t n, std::int64_t frames, const Shape& target_shape) {
      const Tensor target = Tensor::filled(target_shape, 0, backend);
      const std::int64_t K = a.classes(task);
      for (std::int64_t i = 0; i < target.size() / K; ++i) target.data()[i * K + i % K] = 1;
      batches.push_back({task, random_tensor(task_name(task), {n, 128, frames, 1}, backend), target});
    };
    add(Task::kAsc, 4, 251, {4, a.classes_asc});
    add(Task::kTag, 4, 251, {4, a.classes_tag});
    add(Task::kSed, 2, 300, {2, 60, a.classes_sed});
  }

  double run() {
    const Pass pass{.training = true, .random = {.seed = 1, .step = step++}};
    model.parameters().reset_grads();
    double total = 0;
    for (const TaskBatch& b : batches) {
      const Outputs out = model.network().forward(Variable(b.x), b.task, pass);
      const Loss loss = task_loss(b.task, out, b.target);
      backward(loss.variable);
      total += loss.read();
    }
    (void)optimizer.step(1e-3);
    return total;
  }
};

Work train_step() {
  const auto training = std::make_shared<Training>();
  const double loss = training->run();  // optimizer.step has refused gradients that are not finite
  if (!std::isfinite(loss) || loss <= 0) throw Mismatch(concat("the joint loss of the first step is ", loss));
  return {.run = [training] { (void)training->run(); }, .audio_seconds = 4 * 5 + 4 * 5 + 2 * 6};
}

// Four frames at each end of the last item against the Fourier sum.
void check_mel(const Tensor& pcm, const Tensor& out, const MelParameters& p) {
  const std::int64_t items = pcm.dim(0);
  const std::int64_t samples = pcm.dim(1);
  const std::vector<double> signal(pcm.data() + (items - 1) * samples, pcm.data() + items * samples);
  for (const std::int64_t first : {std::int64_t{0}, out.dim(2) - 4}) {
    const std::vector<double> power = ref::mel_power(signal, p, first, 4);
    std::vector<float> actual;
    std::vector<double> expected;
    for (std::int64_t m = 0; m < p.mels; ++m) {
      for (std::int64_t t = 0; t < 4; ++t) {
        actual.push_back(out.data()[((items - 1) * p.mels + m) * out.dim(2) + first + t]);
        expected.push_back(std::log(power[static_cast<std::size_t>(m * 4 + t)]));
      }
    }
    const std::int64_t n = p.mels * 4;
    require_match("log-mel",
                  relative_error(View<const float>(actual.data(), {n}), View<const double>(expected.data(), {n})),
                  1e-5);
  }
}

Work mel(std::int64_t items, std::int64_t seconds, bool check) {
  const auto backend = Backend::cpu();
  const MelTables tables;
  const MelParameters& p = tables.parameters();
  const std::int64_t samples = seconds * kRate;
  const Tensor pcm = random_tensor("pcm", {items, samples}, backend, 0.1F);
  const Tensor out({items, p.mels, mel_frames(samples)}, backend);
  const auto forward = [pcm, out, tables] {
    mel_batch_forward({.pcm = View<const float>(pcm.view()), .out = out}, tables, out.context());
  };
  forward();
  if (check) check_mel(pcm, out, p);
  const auto run = [forward, out, p] {
    forward();
    mel_normalize({.x = out, .mean = {}, .std = {}}, p, out.context());
  };
  return {.run = run, .audio_seconds = static_cast<double>(items * seconds)};
}

// A file below the system's temporary folder, removed with the last copy of the case that reads it.
class TemporaryWav {
 public:
  TemporaryWav(int rate, int channels, std::int64_t seconds) {
    const auto folder = std::filesystem::temp_directory_path();
    std::string name = (folder / "dcasenet-bench-XXXXXX.wav").string();
    const int file = mkstemps(name.data(), 4);
    if (file < 0) fail(ErrorKind::kIo, "cannot create a file in '", folder.string(), "'");
    close(file);
    path_ = name;
    const BackendPtr backend = Backend::cpu();
    std::vector<std::vector<float>> signals;
    for (int c = 0; c < channels; ++c) {
      signals.push_back(random_tensor(concat("channel", c), {rate * seconds}, backend, 0.1F).to_vector());
    }
    save_wav(path_, signals, rate);
  }
  ~TemporaryWav() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TemporaryWav(const TemporaryWav&) = delete;
  TemporaryWav& operator=(const TemporaryWav&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Work prepare_audio(int rate, int channels) {
  constexpr std::int64_t kSeconds = 60;
  const auto wav = std::make_shared<const TemporaryWav>(rate, channels, kSeconds);
  const AudioData data = load_audio(wav->path());
  DCASE_CHECK(data.signals.size() == 1, "prepare: ", data.signals.size(), " signals");
  if (data.signals[0].size() != static_cast<std::size_t>(kSeconds * kRate)) {
    throw Mismatch(concat("decoded to ", data.signals[0].size(), " samples, expected ", kSeconds * kRate));
  }
  return {.run = [wav] { (void)load_audio(wav->path()); }, .audio_seconds = static_cast<double>(kSeconds)};
}

}  // namespace

void add_whole(std::vector<Case>& cases) {
  const auto whole = [&](const std::string& name, const std::string& shape,
                         const std::function<Work(bool check)>& prepare) -> Case& {
    cases.push_back({.name = name,
                     .shape = shape,
                     .prepare = [prepare] { return prepare(true); },
                     .unchecked = [prepare] { return prepare(false); },
                     .operation = false});
    return cases.back();
  };
  const auto against_peer = [](Case& c, double ratio) {
    c.peer = true;
    c.promised_ratio = ratio;
    c.promised_memory = ratio > 0;
  };
  against_peer(whole("infer_10s", "v3, log-mel [1,128,500]", [](bool check) { return infer(1, check); }), 1);
  against_peer(whole("infer_10s_wave", "v3, 240000 samples", infer_wave), 1);
  against_peer(whole("infer_10s_small", "v3 width/8, log-mel [1,128,500]", [](bool check) { return infer(8, check); }),
               0);
  whole("predict_10s", "v3, 240000 samples", [](bool) { return predict(1); });
  whole("predict_10s_small", "v3 width/8, 240000 samples", [](bool) { return predict(8); });
  against_peer(whole("train_step", "v3, ASC 4x251, TAG 4x251, SED 2x300 frames", [](bool) { return train_step(); }), 1);
  against_peer(whole("mel_10s", "[1,240000] samples", [](bool check) { return mel(1, 10, check); }), 2);
  against_peer(whole("mel_60s", "[1,1440000] samples", [](bool check) { return mel(1, 60, check); }), 2);
  against_peer(whole("mel_16x5s", "[16,120000] samples", [](bool check) { return mel(16, 5, check); }), 2);
  for (const int channels : {1, 2}) {
    Case& c = whole(channels == 1 ? "prepare" : "prepare_stereo", concat("60 s WAV, 44.1 kHz, ", channels, " channels"),
                    [channels](bool) { return prepare_audio(44100, channels); });
    c.promised_speed = 100;
    c.threads = 1;
  }
}

}  // namespace dcase::bench
