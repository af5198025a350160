#pragma once
/// Scores of acoustic scene classification: one true class an item. Sums run in double in item order.

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace dcase {

/// Log loss clips probabilities to [eps, 1 - eps]; scikit-learn's newer versions use the same number.
inline constexpr double kLogLossEpsilon = std::numeric_limits<double>::epsilon();

struct AscInput {
  std::span<const std::string> classes;       // [K]
  std::span<const double> probabilities;      // [N,K], >= 0; rows are divided by their sum
  std::span<const std::int32_t> truth;        // [N], 0..K-1
  std::span<const std::string> devices = {};  // [N] or empty; an item with "" belongs to no device
  std::span<const std::string> groups = {};   // [N] or empty: device groups, likewise
};

struct AscScore {
  std::int64_t items = 0;
  std::int64_t correct = 0;
  double accuracy = 0;        ///< percent; NaN without items
  double macro_accuracy = 0;  ///< mean over the classes that have items, percent
  double log_loss = 0;        ///< natural log, NaN without items
};

struct AscPart {
  std::string name;
  AscScore score;
};

struct AscMetrics {
  AscScore overall;
  std::vector<AscPart> classes;          ///< [K]; macro_accuracy repeats accuracy
  std::vector<AscPart> devices;          ///< sorted by name
  std::vector<AscPart> groups;           ///< sorted by name
  std::vector<std::int64_t> confusion;   ///< [K,K], rows truth, columns prediction
  std::vector<std::int32_t> prediction;  ///< [N], the lowest index among equals
  std::vector<double> losses;            ///< [N], of which log_loss is the mean
  double uniform_accuracy = 0;           ///< of guessing: 100 / K
  double constant_accuracy = 0;          ///< of the best single answer on these items
  double uniform_log_loss = 0;           ///< ln K
};

/// Throws Error(kArgument) for sizes and classes that do not fit, Error(kNumeric) for a probability that is negative or
/// not finite, or a row of zeros.
[[nodiscard]] AscMetrics asc_metrics(const AscInput& input);

/// Mean over crops of the softmax, in double: [N,K] from logits [N,crops,K]. Throws Error(kNumeric) for NaN or
/// infinity.
[[nodiscard]] std::vector<double> mean_softmax(std::span<const float> logits, std::int64_t crops, std::int64_t classes);

/// Undefined numbers become null. Predictions and losses of items are left out.
[[nodiscard]] nlohmann::ordered_json to_json(const AscMetrics& metrics);

}  // namespace dcase
