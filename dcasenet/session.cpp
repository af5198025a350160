#include "dcasenet/session.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/elementwise/concat.hpp"
#include "kernels/elementwise/elementwise.hpp"
#include "kernels/softmax_xent/softmax_xent.hpp"

namespace dcase {
namespace {

// Window lengths in samples; the network's steps are in frames, so hop and rate come from the front end.
struct Windows {
  std::int64_t asc_samples, asc_hop;  // 5 s after pre-emphasis, which takes one sample more
  std::int64_t tag_samples;           // 30 s
  std::int64_t sed_samples, sed_hop;  // 60 s every 58 s
  std::int64_t label_samples;         // 100 ms: five frames
  explicit Windows(const MelParameters& p)
      : asc_samples(5 * p.sample_rate + 1),
        asc_hop(5 * p.sample_rate / 2),
        tag_samples(30 * p.sample_rate),
        sed_samples(60 * p.sample_rate),
        sed_hop(58 * p.sample_rate),
        label_samples(kFramesPerStep / kLabelsPerStep * p.hop) {}
};

constexpr std::int64_t kSharedLabels = 10;  // of the 20 label frames in which two windows overlap, each keeps half

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// [1,M,T,1] as [M,T]
View<float> rows_of(const Tensor& x) { return {x.data(), {x.dim(1), x.dim(2)}}; }

// Log-mel [1,M,T,1] of the whole span, normalised by its own statistics.
Tensor features(std::span<const float> pcm, const Session& session) {
  const MelParameters& p = session.mel().parameters();
  const BackendPtr& backend = session.model().backend();
  const auto samples = static_cast<std::int64_t>(pcm.size());
  const std::int64_t frames = mel_frames(samples, p);
  Tensor x({1, p.mels, frames, 1}, backend);
  View<const float> signal(pcm.data(), {samples});
  Tensor on_device;
  if (!backend->device().is_cpu()) {
    on_device = Tensor({samples}, backend);
    on_device.copy_from(pcm);
    signal = on_device;
  }
  mel_forward(MelForward{.pcm = signal, .out = rows_of(x)}, session.mel(), backend->context());
  mel_normalize({.x = rows_of(x), .mean = {}, .std = {}}, p, backend->context());
  return x;
}

// [1,M,T,1] with longer rows: repeated from their start, or with zeros behind.
Tensor repeated(const Tensor& x, std::int64_t frames) {
  if (frames == x.dim(2)) return x;
  Tensor y({1, x.dim(1), frames, 1}, x.backend());
  mel_repeat({.x = rows_of(x), .y = rows_of(y)}, x.context());
  return y;
}

Tensor padded(const Tensor& x, std::int64_t frames) {
  if (frames == x.dim(2)) return x;
  Tensor y({1, x.dim(1), frames, 1}, x.backend());
  const Tensor zeros = Tensor::filled({x.dim(1), frames - x.dim(2)}, 0, x.backend());
  concat2_forward<float>({.a = rows_of(x), .b = zeros, .y = rows_of(y)}, x.context());
  return y;
}

}  // namespace

Session::Session(std::shared_ptr<const Model> model)
    : model_(std::move(model)), mel_(model_ != nullptr ? model_->info().front_end : MelParameters{}) {
  DCASE_CHECK(model_ != nullptr, "session: no model");
  DCASE_CHECK(mel_.parameters().mels == 128, "session: DcaseNet takes 128 mel rows, the front end gives ",
              mel_.parameters().mels);
}

NetworkOutputs Session::run_log_mel(View<const float> log_mel, TaskSet tasks) const {
  DCASE_CHECK(log_mel.rank == 3, "session: log-mel has shape ", shape_string(log_mel), ", expected [N,128,T]");
  Tensor x({log_mel.dim(0), log_mel.dim(1), log_mel.dim(2), 1}, model_->backend());
  x.copy_from(std::span(log_mel.data, static_cast<std::size_t>(log_mel.size())));
  const Outputs out = model_->evaluate(Variable(std::move(x)), tasks);
  return {.asc = out.asc.value(), .tag = out.tag.value(), .sed = out.sed.value()};
}

Prediction Session::run(std::span<const float> pcm, TaskSet tasks) const {
  Predictor predictor(*this, tasks);
  predictor.push(pcm);
  return predictor.finish();
}

Predictor::Predictor(const Session& session, TaskSet tasks) : session_(&session), tasks_(tasks) {
  const Architecture& a = session.model().info().architecture;
  if (tasks.has(Task::kAsc)) asc_sum_.resize(static_cast<std::size_t>(a.classes_asc));
  if (tasks.has(Task::kTag)) tag_sum_.resize(static_cast<std::size_t>(a.classes_tag));
}

std::span<const float> Predictor::samples(std::int64_t first, std::int64_t count) const {
  return std::span(buffer_).subspan(static_cast<std::size_t>(first - base_), static_cast<std::size_t>(count));
}

void Predictor::push(std::span<const float> pcm) {
  for (std::size_t i = 0; i < pcm.size(); ++i) {
    if (!(std::abs(pcm[i]) <= kLoudestPcm)) {
      fail(ErrorKind::kNumeric, "prediction: sample ", base_ + static_cast<std::int64_t>(buffer_.size() + i), " is ",
           pcm[i], ", no sound: full scale is 1");
    }
  }
  // In pieces, so that a long recording given at once does not double its memory.
  constexpr std::size_t kPiece = 1U << 20U;
  for (std::size_t i = 0; i < pcm.size(); i += kPiece) {
    const auto piece = pcm.subspan(i, std::min(kPiece, pcm.size() - i));
    buffer_.insert(buffer_.end(), piece.begin(), piece.end());
    run_complete_windows();
    forget();
  }
}

void Predictor::run_complete_windows() {
  const Windows w(session_->mel().parameters());
  const std::int64_t end = base_ + static_cast<std::int64_t>(buffer_.size());
  if (tasks_.has(Task::kAsc)) {
    for (; asc_next_ + w.asc_samples <= end; asc_next_ += w.asc_hop) run_asc(asc_next_);
  }
  // Windows that might be the last one wait for the end: a sample more must have arrived.
  if (tasks_.has(Task::kTag)) {
    for (; tag_next_ + w.tag_samples < end; tag_next_ += w.tag_samples) run_tag(tag_next_, w.tag_samples);
  }
  if (tasks_.has(Task::kSed)) {
    for (; sed_next_ + w.sed_samples < end; sed_next_ += w.sed_hop) run_sed(sed_next_, w.sed_samples, false);
  }
}

// Drops samples that no coming window can reach: each task may still ask for one whole window before the end.
void Predictor::forget() {
  const Windows w(session_->mel().parameters());
  const std::int64_t end = base_ + static_cast<std::int64_t>(buffer_.size());
  std::int64_t keep = 0;
  if (tasks_.has(Task::kAsc)) keep = std::max(keep, w.asc_samples);
  if (tasks_.has(Task::kTag)) keep = std::max(keep, w.tag_samples);
  if (tasks_.has(Task::kSed)) keep = std::max(keep, w.sed_samples + w.label_samples);
  const std::int64_t drop = end - keep - base_;
  if (drop <= 0) return;
  buffer_.erase(buffer_.begin(), buffer_.begin() + drop);
  base_ += drop;
}

Prediction Predictor::finish() {
  const Windows w(session_->mel().parameters());
  const std::int64_t end = base_ + static_cast<std::int64_t>(buffer_.size());
  DCASE_CHECK(end >= 2, "prediction: ", end, " samples; a recording has at least two");
  const Architecture& a = session_->model().info().architecture;
  Prediction p;
  p.seconds = static_cast<double>(end) / session_->mel().parameters().sample_rate;

  if (tasks_.has(Task::kAsc)) {
    if (asc_windows_ == 0) {  // shorter than a crop: repeated, and the buffer holds all of it
      const std::size_t own = buffer_.size();
      for (std::size_t i = own; i < static_cast<std::size_t>(w.asc_samples); ++i) buffer_.push_back(buffer_[i - own]);
      run_asc(0);
      buffer_.resize(own);
    } else if (asc_next_ - w.asc_hop + w.asc_samples < end) {
      run_asc(end - w.asc_samples);
    }
    for (const double sum : asc_sum_) p.asc.push_back(static_cast<float>(sum / static_cast<double>(asc_windows_)));
  }
  if (tasks_.has(Task::kTag)) {
    const std::int64_t first = tag_windows_ == 0 ? 0 : end - w.tag_samples;
    run_tag(first, end - first);
    for (const double sum : tag_sum_) p.tag.push_back(static_cast<float>(sum / static_cast<double>(tag_windows_)));
  }
  if (tasks_.has(Task::kSed)) {
    // The last window of several starts at a whole label frame, so it may be up to 100 ms longer than the others.
    const std::int64_t first = sed_.empty() ? 0 : (end - w.sed_samples) / w.label_samples * w.label_samples;
    run_sed(first, end - first, true);
    p.sed_classes = a.classes_sed;
    p.sed_frames = ceil_div(end, w.label_samples);
    p.sed = std::move(sed_);
  }
  *this = Predictor(*session_, tasks_);
  return p;
}

void Predictor::run_asc(std::int64_t first) {
  const Windows w(session_->mel().parameters());
  const Tensor x = features(samples(first, w.asc_samples), *session_);
  const Tensor logits = session_->model().evaluate(Variable(x), Task::kAsc).asc.value();
  const Tensor y = logits.like();
  softmax_forward<float>({.x = logits, .y = y}, y.context());
  const std::vector<float> p = y.to_vector();
  for (std::size_t k = 0; k < asc_sum_.size(); ++k) asc_sum_[k] += static_cast<double>(p[k]);
  ++asc_windows_;
}

void Predictor::run_tag(std::int64_t first, std::int64_t count) {
  const Tensor x = features(samples(first, count), *session_);
  const Tensor wide = repeated(x, doubled_frames(x.dim(2), kFramesPerStep));
  const Tensor logits = session_->model().evaluate(Variable(wide), Task::kTag).tag.value();
  const Tensor y = logits.like();
  sigmoid_forward<float>({.x = logits, .y = y}, y.context());
  const std::vector<float> p = y.to_vector();
  for (std::size_t k = 0; k < tag_sum_.size(); ++k) tag_sum_[k] += static_cast<double>(p[k]);
  ++tag_windows_;
}

void Predictor::run_sed(std::int64_t first, std::int64_t count, bool last) {
  const Windows w(session_->mel().parameters());
  const Tensor x = features(samples(first, count), *session_);
  const Tensor wide = padded(x, ceil_div(x.dim(2), kFramesPerStep) * kFramesPerStep);
  const Tensor y = session_->model().evaluate(Variable(wide), Task::kSed).sed.value();
  const std::int64_t K = y.dim(2);
  // Label frames count from the start of the recording; what earlier windows decided stays.
  const std::int64_t origin = first / w.label_samples;
  const std::int64_t labels = std::min(y.dim(1), ceil_div(count, w.label_samples));
  const std::int64_t stop = last ? labels : labels - kSharedLabels;
  const std::int64_t start = static_cast<std::int64_t>(sed_.size()) / K - origin;
  const std::vector<float> p = y.to_vector();
  sed_.insert(sed_.end(), p.begin() + start * K, p.begin() + stop * K);
}

}  // namespace dcase
