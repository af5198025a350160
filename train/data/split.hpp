#pragma once
/// Splits of a data set: the paper's 80/20 split of FSDKaggle2019, and deterministic hold-out parts.

#include <cstdint>
#include <string>
#include <vector>

namespace dcase {

/// The permutation NumPy's RandomState(seed).shuffle gives 0..n-1 (Mersenne twister, masked rejection).
[[nodiscard]] std::vector<std::int64_t> numpy_permutation(std::int64_t n, std::uint32_t seed);

/// Rows of fold 0 of scikit-learn's KFold(5, shuffle=True, random_state=42) over n rows, ascending: the evaluation part
/// of the paper's tagging experiments. ceil(n / 5) rows; 994 of 4970.
[[nodiscard]] std::vector<std::int64_t> paper_evaluation_rows(std::int64_t n);

/// CRC-32 (IEEE) of the rows as decimal text joined by commas. 0xcacf1126 for paper_evaluation_rows(4970).
[[nodiscard]] std::uint32_t rows_crc32(const std::vector<std::int64_t>& rows);

/// A random `count` of 0..n-1, ascending, by Philox under (seed, purpose).
[[nodiscard]] std::vector<std::int64_t> random_subset(std::int64_t n, std::int64_t count, std::uint64_t seed,
                                                      const std::string& purpose);

/// One candidate for hold_out_groups.
struct GroupedRow {
  std::string stratum;     ///< to stand on both sides where it has two groups or more (ASC: the city)
  std::string group;       ///< never divided (ASC: city and place)
  std::int32_t label = 0;  ///< whose share is kept near `share` (ASC: the scene)
};
/// Marks the rows held out for validation: about `share` of every label, whole groups only, every stratum on both
/// sides where it has at least two groups. Depends on the contents and the seed, not on the order of the rows.
[[nodiscard]] std::vector<bool> hold_out_groups(const std::vector<GroupedRow>& rows, double share, std::uint64_t seed,
                                                const std::string& purpose);

}  // namespace dcase
