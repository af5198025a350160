#include "train/metrics/tag_metrics.hpp"

#include <cmath>

#include <nlohmann/json.hpp>

#include "engine/archive.hpp"
#include "kernels/common/philox.hpp"
#include "tests/support/test.hpp"

namespace dcase {

namespace {
const std::vector<std::string> kThree = {"bark", "bus", "yell"};
const std::vector<std::string> kOne = {"bark"};
}  // namespace

TEST_CASE("tag metrics: the worked example of lwlrap", "[metrics][tag]") {
  const std::vector<double> scores = {0.2, 0.9, 0.5, 0.1, 0.7, 0.3, 0.4, 0.1, 0.2};
  const std::vector<std::uint8_t> truth = {1, 0, 1, 0, 1, 0, 0, 0, 0};  // the third item has no label
  const TagMetrics m = tag_metrics({.classes = kThree, .scores = scores, .truth = truth});
  CHECK(m.lwlrap == Approx((0.5 + 2.0 / 3 + 1) / 3).epsilon(1e-14));
  CHECK(lwlrap(scores, truth, 3) == m.lwlrap);
  CHECK(m.items == 3);
  CHECK(m.items_without_labels == 1);
  CHECK(m.labels == 3);
  CHECK(m.classes[0].lwlrap == Approx(2.0 / 3).epsilon(1e-14));
  CHECK(m.classes[1].lwlrap == 1);
  CHECK(m.classes[2].lwlrap == 0.5);
  double sum = 0;
  for (const TagClass& c : m.classes) sum += c.weight * c.lwlrap;
  CHECK(sum == Approx(m.lwlrap).epsilon(1e-14));
}

TEST_CASE("tag metrics: equal scores rank by class index", "[metrics][tag]") {
  const std::vector<double> scores = {0.5, 0.5, 0.5};
  CHECK(lwlrap(scores, std::vector<std::uint8_t>{1, 0, 0}, 3) == 1);
  CHECK(lwlrap(scores, std::vector<std::uint8_t>{0, 0, 1}, 3) == Approx(1.0 / 3).epsilon(1e-14));
}

TEST_CASE("tag metrics: average precision and AUC by hand, ties included", "[metrics][tag]") {
  // By score: 0.9 positive; 0.8 negative; 0.5 one of each; 0.1 positive.
  const std::vector<double> scores = {0.5, 0.9, 0.1, 0.8, 0.5};
  const std::vector<std::uint8_t> truth = {0, 1, 1, 0, 1};
  const TagMetrics m = tag_metrics({.classes = kOne, .scores = scores, .truth = truth});
  // steps: R 1/3 at P 1; R 2/3 at P 2/4; R 1 at P 3/5
  const double ap = (1.0 + 0.5 + 0.6) / 3;
  CHECK(m.classes[0].average_precision == Approx(ap).epsilon(1e-14));
  CHECK(m.mean_ap == Approx(ap).epsilon(1e-14));
  CHECK(m.micro_ap == Approx(ap).epsilon(1e-14));
  // pairs: against 0.8: only 0.9 wins; against 0.5: 0.9 wins, 0.5 is half
  CHECK(m.classes[0].roc_auc == Approx((1 + 1.5) / 6).epsilon(1e-14));
  CHECK(m.d_prime == Approx(std::sqrt(2.0) * inverse_normal(2.5 / 6)).epsilon(1e-14));
  // 0.5 is not above the threshold of 0.5
  CHECK(m.classes[0].counts == Counts{.tp = 1, .fp = 1, .fn = 2});
  CHECK(m.classes[0].at_threshold.f1 == Approx(0.4).epsilon(1e-14));
}

TEST_CASE("tag metrics: the inverse normal", "[metrics][tag]") {
  CHECK(inverse_normal(0.5) == Approx(0).margin(1e-15));
  CHECK(inverse_normal(0.975) == Approx(1.959963984540054).epsilon(1e-12));
  CHECK(inverse_normal(0.025) == Approx(-1.959963984540054).epsilon(1e-12));
  CHECK(inverse_normal(1e-10) == Approx(-6.361340902404056).epsilon(1e-12));
  CHECK(inverse_normal(1) == INFINITY);
  CHECK(inverse_normal(0) == -INFINITY);
  CHECK(std::isnan(inverse_normal(1.1)));
  CHECK(std::isnan(inverse_normal(NAN)));
}

TEST_CASE("tag metrics: classes without positives, without negatives, and no items", "[metrics][tag]") {
  const std::vector<double> scores = {0.2, 0.9, 0.5, 0.1, 0.7, 0.3};
  const std::vector<std::uint8_t> truth = {1, 0, 0, 1, 1, 0};
  const TagMetrics m = tag_metrics({.classes = kThree, .scores = scores, .truth = truth});
  CHECK(std::isnan(m.classes[2].lwlrap));  // no positives
  CHECK(std::isnan(m.classes[2].average_precision));
  CHECK(std::isnan(m.classes[2].roc_auc));
  CHECK(m.classes[2].weight == 0);
  CHECK(m.classes[0].average_precision == 1);  // no negatives
  CHECK(std::isnan(m.classes[0].roc_auc));
  CHECK(m.mean_auc == m.classes[1].roc_auc);
  CHECK(m.mean_ap == Approx((1 + m.classes[1].average_precision) / 2).epsilon(1e-14));
  CHECK(nlohmann::json::parse(to_json(m).dump())["classes"]["yell"]["ap"].is_null());
  const TagMetrics none = tag_metrics({.classes = kThree, .scores = {}, .truth = {}});
  CHECK(std::isnan(none.lwlrap));
  CHECK(std::isnan(none.mean_ap));
  CHECK(none.items == 0);
}

TEST_CASE("tag metrics: the chance level ranks by frequency", "[metrics][tag]") {
  const std::vector<std::uint8_t> truth = {1, 0, 0, 1, 0, 0, 0, 1, 0};
  const std::vector<double> scores(9, 0.0);
  // own frequencies 2,1,0 -> bark 1, bus 2
  CHECK(tag_metrics({.classes = kThree, .scores = scores, .truth = truth}).prior_lwlrap ==
        Approx((1 + 1 + 0.5) / 3).epsilon(1e-14));
  const std::vector<double> training = {1, 5, 9};  // yell 1, bus 2, bark 3
  CHECK(tag_metrics({.classes = kThree, .scores = scores, .truth = truth, .frequencies = training}).prior_lwlrap ==
        Approx((1.0 / 3 + 1.0 / 3 + 0.5) / 3).epsilon(1e-14));
}

TEST_CASE("tag metrics: thresholds chosen on validation", "[metrics][tag]") {
  const std::vector<double> scores = {0.9, 0.6, 0.4, 0.2};
  const std::vector<std::uint8_t> truth = {1, 0, 1, 0};
  const std::vector<double> best = best_f1_thresholds(scores, truth, 1);
  CHECK(best[0] == Approx(0.3));  // three outputs, two right: F1 0.8
  const TagMetrics m = tag_metrics({.classes = kOne, .scores = scores, .truth = truth, .thresholds = best});
  CHECK(m.micro_f1 == Approx(0.8));
  CHECK(best_f1_thresholds(scores, std::vector<std::uint8_t>(4, 0), 1)[0] == 0.5);
  CHECK(best_f1_thresholds(scores, std::vector<std::uint8_t>(4, 1), 1)[0] < 0.2);
  // No threshold on a fine grid does better.
  const RandomKey key{.seed = 1, .purpose = purpose_id("thresholds"), .step = 0};
  std::vector<double> s(60);
  std::vector<std::uint8_t> t(60);
  for (std::size_t i = 0; i < s.size(); ++i) {
    t[i] = uniform_double(key, i) < 0.3 ? 1 : 0;
    s[i] = uniform_double(key, 100 + i) + 0.4 * t[i];
  }
  const double chosen =
      tag_metrics({.classes = kOne, .scores = s, .truth = t, .thresholds = best_f1_thresholds(s, t, 1)}).micro_f1;
  for (double threshold = -0.1; threshold < 1.5; threshold += 0.003) {
    const std::vector<double> one = {threshold};
    CHECK(tag_metrics({.classes = kOne, .scores = s, .truth = t, .thresholds = one}).micro_f1 <= chosen);
  }
}

TEST_CASE("tag metrics: bad input is refused", "[metrics][tag]") {
  const std::vector<std::uint8_t> truth = {1, 0, 1};
  const auto kind = [&](const std::vector<double>& scores, const std::vector<std::uint8_t>& labels) {
    try {
      static_cast<void>(tag_metrics({.classes = kThree, .scores = scores, .truth = labels}));
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kInterrupted;
  };
  CHECK(kind({0, NAN, 1}, truth) == ErrorKind::kNumeric);
  CHECK(kind({0, -INFINITY, 1}, truth) == ErrorKind::kNumeric);
  CHECK(kind({0, 1}, truth) == ErrorKind::kArgument);
  CHECK(kind({0, 1, 2, 3}, {0, 1, 1, 0}) == ErrorKind::kArgument);
  CHECK(kind({0, 1, 2}, {0, 1, 2}) == ErrorKind::kArgument);
  CHECK_THROWS_AS(prior_lwlrap(std::vector<double>{1, NAN, 0}, truth), Error);
}

TEST_CASE("tag metrics: the reference file", "[metrics][tag][golden]") {
  const Archive file = Archive::open(test::golden("metrics.safetensors"));
  const std::vector<std::int64_t> labels = file.integers("tag.truth");
  const std::vector<std::uint8_t> truth(labels.begin(), labels.end());
  const std::vector<std::string> classes(80, "c");
  const TagMetrics m = tag_metrics({.classes = classes, .scores = file.doubles("tag.scores"), .truth = truth});
  CHECK(std::abs(m.lwlrap - file.doubles("tag.lwlrap")[0]) <= 1e-12);
  const std::vector<double> per_class = file.doubles("tag.per_class_lwlrap");
  const std::vector<double> weights = file.doubles("tag.class_weight");
  for (std::size_t c = 0; c < 80; ++c) {
    if (m.classes[c].positives > 0) CHECK(std::abs(m.classes[c].lwlrap - per_class[c]) <= 1e-12);
    CHECK(std::abs(m.classes[c].weight - weights[c]) <= 1e-12);
  }
}

}  // namespace dcase
