#include "dcasenet/bn_stats.hpp"

#include <algorithm>
#include <vector>

namespace dcase {
namespace {

void copy(const Averages& from, const Averages& to) {
  to.mean->value.copy_from(from.mean->value);
  to.variance->value.copy_from(from.variance->value);
  to.batches->value = from.batches->value;
}

// In double, on the host: a few thousand numbers, seldom.
void pool(const AverageSets& sets) {
  std::vector<std::vector<float>> means;
  std::vector<std::vector<float>> variances;
  std::int64_t batches = 0;
  for (const Averages& own : sets.domains) {
    if (own.batches->value <= 0) continue;
    means.push_back(own.mean->value.to_vector());
    variances.push_back(own.variance->value.to_vector());
    batches += own.batches->value;
  }
  if (means.empty()) return;
  const auto K = static_cast<double>(means.size());
  std::vector<float> mean(means[0].size());
  std::vector<float> variance(mean.size());
  for (std::size_t c = 0; c < mean.size(); ++c) {
    double centre = 0;
    double spread = 0;
    for (const auto& m : means) centre += static_cast<double>(m[c]) / K;
    for (const auto& m : means) spread += (static_cast<double>(m[c]) - centre) * (static_cast<double>(m[c]) - centre);
    for (const auto& v : variances) spread += static_cast<double>(v[c]);
    mean[c] = static_cast<float>(centre);
    variance[c] = static_cast<float>(spread / K);
  }
  sets.common.mean->value.copy_from(mean);
  sets.common.variance->value.copy_from(variance);
  sets.common.batches->value = batches;
}

}  // namespace

const char* bn_stats_name(BnStats mode) { return kBnStatsWords.at(static_cast<std::size_t>(mode)).first; }

void pool_averages(const ParameterStore& store) {
  for (const AverageSets& sets : store.averages()) pool(sets);
}

void split_averages(const ParameterStore& store) {
  for (const AverageSets& sets : store.averages()) {
    copy(sets.common, sets.mixture);
    for (const Averages& own : sets.domains) {
      copy(sets.common, own);
      own.batches->value = 0;
    }
  }
}

void unsplit_averages(const ParameterStore& store) {
  for (const AverageSets& sets : store.averages()) copy(sets.mixture, sets.common);
}

void take_averages(const ParameterStore& store, Task task) {
  for (const AverageSets& sets : store.averages()) {
    const Averages& own = sets.domains.at(static_cast<std::size_t>(domain_of(task)));
    if (own.batches->value > 0) copy(own, sets.common);
  }
}

void forget_averages(const ParameterStore& store, Task task) {
  for (const AverageSets& sets : store.averages()) {
    sets.domains.at(static_cast<std::size_t>(domain_of(task))).batches->value = 0;
  }
}

std::int64_t averaged_batches(const ParameterStore& store, Task task) {
  std::int64_t most = 0;
  for (const AverageSets& sets : store.averages()) {
    most = std::max(most, sets.domains.at(static_cast<std::size_t>(domain_of(task))).batches->value);
  }
  return most;
}

}  // namespace dcase
