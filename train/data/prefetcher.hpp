#pragma once
/// Makes the batches of coming steps while the current one is trained on.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "train/data/batcher.hpp"

namespace dcase {

/// One worker thread, at most `depth` steps ahead. Batches depend on their step alone, so what comes out does not
/// depend on timing.
class Prefetcher {
 public:
  /// Steps first .. end-1, each with one batch of every batcher.
  Prefetcher(std::vector<std::shared_ptr<const Batcher>> batchers, std::int64_t first, std::int64_t end, int depth = 2);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The batches of the next step, in the order of the batchers. Rethrows what went wrong while making them.
  /// Throws Error(kArgument) past the end.
  [[nodiscard]] std::vector<Batch> next();

 private:
  void work();

  std::vector<std::shared_ptr<const Batcher>> batchers_;
  std::int64_t make_;  // next step to make; worker only
  std::int64_t end_;
  std::size_t depth_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::vector<Batch>> ready_;
  std::exception_ptr error_;
  bool stop_ = false;
  bool done_ = false;
  std::thread worker_;  // last: starts when everything else stands
};

}  // namespace dcase
