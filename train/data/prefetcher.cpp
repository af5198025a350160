#include "train/data/prefetcher.hpp"

#include <omp.h>

#include <utility>

namespace dcase {

Prefetcher::Prefetcher(std::vector<std::shared_ptr<const Batcher>> batchers, std::int64_t first, std::int64_t end,
                       int depth)
    : batchers_(std::move(batchers)), make_(first), end_(end), depth_(static_cast<std::size_t>(depth)), worker_([this] {
        work();
      }) {}

Prefetcher::~Prefetcher() {
  {
    const std::scoped_lock lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  worker_.join();
}

std::vector<Batch> Prefetcher::next() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !ready_.empty() || done_; });
  if (ready_.empty()) {
    if (error_) std::rethrow_exception(error_);
    fail(ErrorKind::kArgument, "prefetcher: no step is left");
  }
  std::vector<Batch> batches = std::move(ready_.front());
  ready_.pop_front();
  changed_.notify_all();
  return batches;
}

void Prefetcher::work() {
  // The cores belong to the training step; this thread takes the gaps.
  omp_set_num_threads(1);
  std::exception_ptr error;
  try {
    for (; make_ < end_; ++make_) {
      std::vector<Batch> batches;
      for (const auto& batcher : batchers_) batches.push_back(batcher->make(make_));
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ready_.size() < depth_ || stop_; });
      if (stop_) break;
      ready_.push_back(std::move(batches));
      changed_.notify_all();
    }
  } catch (...) {
    error = std::current_exception();
  }
  const std::scoped_lock lock(mutex_);
  error_ = error;
  done_ = true;
  changed_.notify_all();
}

}  // namespace dcase
