#include "train/metrics/asc_metrics.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <nlohmann/json.hpp>

#include "kernels/common/error.hpp"
#include "train/metrics/counts.hpp"

namespace dcase {

namespace {

/// Sums of one subset of the items.
struct Tally {
  explicit Tally(std::size_t classes) : items(classes), correct(classes) {}
  std::vector<std::int64_t> items;    // [K]
  std::vector<std::int64_t> correct;  // [K]
  double loss = 0;

  void add(std::size_t truth, bool right, double item_loss) {
    ++items[truth];
    correct[truth] += right ? 1 : 0;
    loss += item_loss;
  }
  [[nodiscard]] AscScore score() const {
    AscScore s;
    std::vector<double> accuracy;
    for (std::size_t c = 0; c < items.size(); ++c) {
      s.items += items[c];
      s.correct += correct[c];
      accuracy.push_back(100 * ratio(static_cast<double>(correct[c]), static_cast<double>(items[c])));
    }
    s.accuracy = 100 * ratio(static_cast<double>(s.correct), static_cast<double>(s.items));
    s.macro_accuracy = mean_defined(accuracy);
    s.log_loss = ratio(loss, static_cast<double>(s.items));
    return s;
  }
};

void check(const AscInput& in) {
  const std::size_t items = in.truth.size();
  const std::size_t classes = in.classes.size();
  DCASE_CHECK(classes > 0, "asc_metrics: no classes");
  DCASE_CHECK(in.probabilities.size() == items * classes, "asc_metrics: ", in.probabilities.size(),
              " probabilities for ", items, " items of ", classes, " classes");
  DCASE_CHECK(in.devices.empty() || in.devices.size() == items, "asc_metrics: ", in.devices.size(), " devices for ",
              items, " items");
  DCASE_CHECK(in.groups.empty() || in.groups.size() == items, "asc_metrics: ", in.groups.size(), " groups for ", items,
              " items");
  for (std::size_t i = 0; i < items; ++i) {
    DCASE_CHECK(in.truth[i] >= 0 && static_cast<std::size_t>(in.truth[i]) < classes, "asc_metrics: item ", i,
                " has class ", in.truth[i], " of ", classes);
  }
}

/// Sum of a row; throws where it is no distribution.
[[nodiscard]] double row_sum(std::span<const double> row, std::size_t item) {
  double sum = 0;
  for (const double p : row) {
    if (!std::isfinite(p) || p < 0) {
      fail(ErrorKind::kNumeric, "asc_metrics: item ", item, " has the probability ", p);
    }
    sum += p;
  }
  if (!(sum > 0)) fail(ErrorKind::kNumeric, "asc_metrics: item ", item, " has no probability above 0");
  return sum;
}

[[nodiscard]] nlohmann::ordered_json score_json(const AscScore& s) {
  return {{"items", s.items},
          {"correct", s.correct},
          {"accuracy_percent", s.accuracy},
          {"macro_accuracy_percent", s.macro_accuracy},
          {"log_loss", s.log_loss}};
}

[[nodiscard]] nlohmann::ordered_json parts_json(const std::vector<AscPart>& parts) {
  nlohmann::ordered_json all = nlohmann::ordered_json::object();
  for (const AscPart& part : parts) all[part.name] = score_json(part.score);
  return all;
}

}  // namespace

AscMetrics asc_metrics(const AscInput& in) {
  check(in);
  const std::size_t classes = in.classes.size();
  AscMetrics m;
  m.confusion.assign(classes * classes, 0);
  m.prediction.reserve(in.truth.size());
  Tally overall(classes);
  std::vector<Tally> by_class(classes, Tally(classes));
  std::map<std::string, Tally> devices;
  std::map<std::string, Tally> groups;

  for (std::size_t i = 0; i < in.truth.size(); ++i) {
    const std::span<const double> row = in.probabilities.subspan(i * classes, classes);
    const double sum = row_sum(row, i);
    const auto truth = static_cast<std::size_t>(in.truth[i]);
    const auto best = static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
    const double p = std::clamp(row[truth] / sum, kLogLossEpsilon, 1 - kLogLossEpsilon);
    const double loss = -std::log(p);
    m.prediction.push_back(static_cast<std::int32_t>(best));
    m.losses.push_back(loss);
    ++m.confusion[truth * classes + best];
    overall.add(truth, best == truth, loss);
    by_class[truth].add(truth, best == truth, loss);
    const auto add_part = [&](std::map<std::string, Tally>& parts, std::span<const std::string> names) {
      if (!names.empty() && !names[i].empty()) {
        parts.try_emplace(names[i], classes).first->second.add(truth, best == truth, loss);
      }
    };
    add_part(devices, in.devices);
    add_part(groups, in.groups);
  }

  m.overall = overall.score();
  for (std::size_t c = 0; c < classes; ++c) m.classes.push_back({in.classes[c], by_class[c].score()});
  for (const auto& [name, tally] : devices) m.devices.push_back({name, tally.score()});
  for (const auto& [name, tally] : groups) m.groups.push_back({name, tally.score()});
  m.uniform_accuracy = 100 / static_cast<double>(classes);
  m.uniform_log_loss = std::log(static_cast<double>(classes));
  m.constant_accuracy = 100 * ratio(static_cast<double>(*std::max_element(overall.items.begin(), overall.items.end())),
                                    static_cast<double>(in.truth.size()));
  return m;
}

std::vector<double> mean_softmax(std::span<const float> logits, std::int64_t crops, std::int64_t classes) {
  DCASE_CHECK(crops > 0 && classes > 0, "mean_softmax: ", crops, " crops of ", classes, " classes");
  const auto width = static_cast<std::size_t>(classes);
  const auto rows = static_cast<std::size_t>(crops);
  DCASE_CHECK(logits.size() % (rows * width) == 0, "mean_softmax: ", logits.size(), " logits for ", crops, " crops of ",
              classes, " classes");
  const std::size_t items = logits.size() / (rows * width);
  std::vector<double> mean(items * width, 0.0);
  std::vector<double> e(width);
  for (std::size_t row = 0; row < items * rows; ++row) {
    const std::span<const float> x = logits.subspan(row * width, width);
    for (const float value : x) {
      if (!std::isfinite(value)) {
        fail(ErrorKind::kNumeric, "mean_softmax: item ", row / rows, ", crop ", row % rows, " has the logit ", value);
      }
    }
    const double highest = *std::max_element(x.begin(), x.end());  // exp of differences cannot overflow
    double sum = 0;
    for (std::size_t c = 0; c < width; ++c) sum += e[c] = std::exp(static_cast<double>(x[c]) - highest);
    for (std::size_t c = 0; c < width; ++c) mean[row / rows * width + c] += e[c] / sum / static_cast<double>(crops);
  }
  return mean;
}

nlohmann::ordered_json to_json(const AscMetrics& m) {
  const std::size_t classes = m.classes.size();
  nlohmann::ordered_json json = score_json(m.overall);
  json["log_loss_epsilon"] = kLogLossEpsilon;
  json["chance"] = {{"uniform_accuracy_percent", m.uniform_accuracy},
                    {"constant_accuracy_percent", m.constant_accuracy},
                    {"uniform_log_loss", m.uniform_log_loss}};
  json["classes"] = parts_json(m.classes);
  json["devices"] = parts_json(m.devices);
  json["device_groups"] = parts_json(m.groups);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (std::size_t t = 0; t < classes; ++t) {
    const auto row = m.confusion.begin() + static_cast<std::ptrdiff_t>(t * classes);
    rows.push_back(std::vector<std::int64_t>(row, row + static_cast<std::ptrdiff_t>(classes)));
  }
  json["confusion_rows_truth"] = std::move(rows);
  return json;
}

}  // namespace dcase
