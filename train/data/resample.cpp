#include "train/data/resample.hpp"

#include <algorithm>
#include <limits>

#include "kernels/common/error.hpp"

namespace dcase {

namespace {

constexpr int kLanes = 8;                 // taps come in multiples of it
constexpr std::int64_t kSlice = 1 << 15;  // samples of input at a time: it stays in the second-level cache

/// Sum of x[k] * w[k] in an order that the compiler cannot change. count is a multiple of kLanes.
float dot(const float* x, const float* w, int count) {
  using Vec = float __attribute__((vector_size(16), aligned(4), may_alias));
  Vec low = {};
  Vec high = {};
  for (int k = 0; k < count; k += kLanes) {
    low += *reinterpret_cast<const Vec*>(x + k) * *reinterpret_cast<const Vec*>(w + k);
    high += *reinterpret_cast<const Vec*>(x + k + 4) * *reinterpret_cast<const Vec*>(w + k + 4);
  }
  const Vec sum = low + high;
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

}  // namespace

Resampler::Resampler(std::shared_ptr<const ResampleFilter> filter) : filter_(std::move(filter)) {
  DCASE_CHECK(filter_ != nullptr, "resampler: no filter");
  computed_.resize(static_cast<std::size_t>(filter_->taps()));
  restart();
}

void Resampler::restart() {
  consumed_ = 0;
  produced_ = 0;
  pending_begin_ = filter_->identity() ? 0 : filter_->first_input(0);
  pending_.assign(static_cast<std::size_t>(-pending_begin_), 0.0F);
}

void Resampler::push(std::span<const float> input, std::vector<float>& output) {
  if (filter_->identity()) {
    output.insert(output.end(), input.begin(), input.end());
    return;
  }
  while (!input.empty()) {
    const std::span<const float> slice = input.first(std::min<std::size_t>(input.size(), kSlice));
    input = input.subspan(slice.size());
    pending_.insert(pending_.end(), slice.begin(), slice.end());
    consumed_ += static_cast<std::int64_t>(slice.size());
    // Outputs whose taps, including the zero ones, all lie in the samples at hand. Their number is not needed.
    produce(std::numeric_limits<std::int64_t>::max(), output);
  }
}

void Resampler::finish(std::vector<float>& output) {
  if (!filter_->identity()) {
    pending_.insert(pending_.end(), static_cast<std::size_t>(filter_->taps()), 0.0F);
    produce(resampled_length(consumed_, filter_->in_rate(), filter_->out_rate()), output);
  }
  restart();
}

void Resampler::produce(std::int64_t end, std::vector<float>& output) {
  const int taps = filter_->taps();
  const std::int64_t available = pending_begin_ + static_cast<std::int64_t>(pending_.size());
  std::int64_t first = filter_->first_input(produced_);
  while (produced_ < end && first + taps <= available) {
    const float* x = pending_.data() + (first - pending_begin_);
    output.push_back(dot(x, filter_->weights(produced_, computed_.data()), taps));
    first = filter_->first_input(++produced_);
  }
  const std::int64_t done = std::min(first, available) - pending_begin_;
  pending_.erase(pending_.begin(), pending_.begin() + done);
  pending_begin_ += done;
}

std::vector<float> resample(std::span<const float> input, int in_rate, int out_rate) {
  std::vector<float> output;
  output.reserve(
      static_cast<std::size_t>(resampled_length(static_cast<std::int64_t>(input.size()), in_rate, out_rate)));
  Resampler resampler(std::make_shared<const ResampleFilter>(in_rate, out_rate));
  resampler.push(input, output);
  resampler.finish(output);
  return output;
}

}  // namespace dcase
