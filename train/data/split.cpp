#include "train/data/split.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <utility>

#include "kernels/common/error.hpp"
#include "kernels/common/philox.hpp"

namespace dcase {

namespace {

/// 0..n-1 in an order that (seed, purpose) decides: Fisher-Yates, draw i for position i.
std::vector<std::int64_t> philox_permutation(std::int64_t n, std::uint64_t seed, const std::string& purpose) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  const RandomKey key{.seed = seed, .purpose = purpose_id(purpose), .step = 0};
  for (std::int64_t i = n - 1; i > 0; --i) {
    const std::uint64_t j = uniform_below(key, static_cast<std::uint64_t>(i), static_cast<std::uint32_t>(i + 1));
    std::swap(order[static_cast<std::size_t>(i)], order[j]);
  }
  return order;
}

}  // namespace

std::vector<std::int64_t> numpy_permutation(std::int64_t n, std::uint32_t seed) {
  DCASE_CHECK(n >= 0 && n <= std::int64_t{0xffffffff}, "numpy_permutation: n is ", n);
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::mt19937 generator(seed);  // the stream of NumPy's legacy RandomState
  for (std::int64_t i = n - 1; i > 0; --i) {
    std::uint32_t mask = 1;  // smallest 2^k - 1 >= i
    while (mask < i) mask = mask << 1U | 1U;
    std::uint32_t v = 0;
    do v = static_cast<std::uint32_t>(generator()) & mask;
    while (v > i);
    std::swap(order[static_cast<std::size_t>(i)], order[v]);
  }
  return order;
}

std::vector<std::int64_t> paper_evaluation_rows(std::int64_t n) {
  std::vector<std::int64_t> rows = numpy_permutation(n, 42);
  rows.resize(static_cast<std::size_t>(n / 5 + (n % 5 > 0 ? 1 : 0)));  // KFold gives the first n % 5 folds one more
  std::sort(rows.begin(), rows.end());
  return rows;
}

std::uint32_t rows_crc32(const std::vector<std::int64_t>& rows) {
  std::string text;
  for (const std::int64_t row : rows) text += (text.empty() ? "" : ",") + std::to_string(row);
  std::uint32_t crc = 0xffffffffU;
  for (const char c : text) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

std::vector<std::int64_t> random_subset(std::int64_t n, std::int64_t count, std::uint64_t seed,
                                        const std::string& purpose) {
  DCASE_CHECK(count >= 0 && count <= n, "random_subset: ", count, " of ", n);
  std::vector<std::int64_t> chosen = philox_permutation(n, seed, purpose);
  chosen.resize(static_cast<std::size_t>(count));
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

std::vector<bool> hold_out_groups(const std::vector<GroupedRow>& rows, double share, std::uint64_t seed,
                                  const std::string& purpose) {
  DCASE_CHECK(share > 0 && share < 1, "hold_out_groups: the share is ", share);
  using Counts = std::map<std::int32_t, double>;  // rows by label
  using Groups = std::map<std::string, Counts>;
  std::map<std::string, Groups> strata;  // all sorted by name, so the order of the rows does not matter
  Counts totals;
  for (const GroupedRow& row : rows) {
    strata[row.stratum][row.group][row.label] += 1;
    totals[row.label] += 1;
  }

  // What is still to be taken of each label. What one stratum takes too little or too much of, the next makes up for,
  // so that the rounding to whole groups does not add up.
  Counts wanted;
  std::set<std::pair<std::string, std::string>> held;
  for (const auto& [stratum, groups] : strata) {
    for (const auto& [group, counts] : groups) {
      for (const auto& [label, count] : counts) wanted[label] += share * count;
    }
    // Change of the squared distance to `wanted` by taking the group: below 0 the group brings it nearer. Distances
    // are relative to a label's rows, so that a frequent one does not outvote the rare ones.
    const auto cost = [&](const Counts& counts) {
      double change = 0;
      for (const auto& [label, count] : counts) {
        change += count * (count - 2 * wanted[label]) / (totals[label] * totals[label]);
      }
      return change;
    };
    std::vector<const Groups::value_type*> sorted;
    for (const auto& entry : groups) sorted.push_back(&entry);
    std::vector<const Groups::value_type*> order;
    for (const std::int64_t i : philox_permutation(std::ssize(sorted), seed, purpose + "/" + stratum)) {
      order.push_back(sorted[static_cast<std::size_t>(i)]);
    }

    const std::size_t most = groups.size() - 1;  // one group stays in training: the only one of a stratum always does
    std::size_t taken = 0;
    const auto take = [&, &name = stratum](const Groups::value_type& group) {
      held.emplace(name, group.first);
      for (const auto& [label, count] : group.second) wanted[label] -= count;
      ++taken;
    };
    for (const auto* group : order) {
      if (taken < most && cost(group->second) < 0) take(*group);
    }
    if (taken == 0 && most > 0) {
      take(**std::min_element(order.begin(), order.end(),
                              [&cost](const auto* a, const auto* b) { return cost(a->second) < cost(b->second); }));
    }
  }
  std::vector<bool> marks;
  marks.reserve(rows.size());
  for (const GroupedRow& row : rows) marks.push_back(held.count({row.stratum, row.group}) > 0);
  return marks;
}

}  // namespace dcase
