#include "train/metrics/asc_metrics.hpp"

#include <cmath>

#include <nlohmann/json.hpp>

#include "engine/archive.hpp"
#include "tests/support/test.hpp"

namespace dcase {

namespace {
const std::vector<std::string> kThree = {"bus", "park", "tram"};
}

TEST_CASE("asc metrics: an example by hand", "[metrics][asc]") {
  const std::vector<double> p = {0.7, 0.2, 0.1,   // bus, right
                                 0.2, 0.2, 0.1,   // park, tie of bus and park: bus, wrong; sum 0.5
                                 0.1, 0.6, 0.3,   // tram, wrong
                                 0.0, 0.0, 1.0};  // tram, right
  const std::vector<std::int32_t> truth = {0, 1, 2, 2};
  const std::vector<std::string> devices = {"b", "a", "a", ""};
  const std::vector<std::string> groups = {"real", "real", "real", "simulated"};
  const AscMetrics m =
      asc_metrics({.classes = kThree, .probabilities = p, .truth = truth, .devices = devices, .groups = groups});
  CHECK(m.prediction == std::vector<std::int32_t>{0, 0, 1, 2});
  CHECK(m.confusion == std::vector<std::int64_t>{1, 0, 0, 1, 0, 0, 0, 1, 1});
  CHECK(m.overall.items == 4);
  CHECK(m.overall.correct == 2);
  CHECK(m.overall.accuracy == 50);
  CHECK(m.overall.macro_accuracy == 50);  // mean of 100, 0, 50
  const double loss0 = -std::log(0.7);
  const double loss1 = -std::log(0.4);
  const double loss2 = -std::log(0.3);
  CHECK(m.overall.log_loss == Approx((loss0 + loss1 + loss2) / 4).epsilon(1e-14));
  CHECK(m.classes[2].name == "tram");
  CHECK(m.classes[2].score.accuracy == 50);
  CHECK(m.classes[2].score.log_loss == Approx(loss2 / 2).epsilon(1e-14));
  REQUIRE(m.devices.size() == 2);  // the item without a device is in none
  CHECK(m.devices[0].name == "a");
  CHECK(m.devices[0].score.items == 2);
  CHECK(m.devices[0].score.accuracy == 0);
  CHECK(m.devices[0].score.log_loss == Approx((loss1 + loss2) / 2).epsilon(1e-14));
  CHECK(m.devices[1].score.accuracy == 100);
  REQUIRE(m.groups.size() == 2);
  CHECK(m.groups[0].score.macro_accuracy == Approx(100.0 / 3).epsilon(1e-14));
  CHECK(m.uniform_accuracy == Approx(100.0 / 3).epsilon(1e-14));
  CHECK(m.constant_accuracy == 50);  // always "tram"
  CHECK(m.uniform_log_loss == std::log(3.0));
}

TEST_CASE("asc metrics: a certain and wrong answer costs -ln(eps), not infinity", "[metrics][asc]") {
  const std::vector<double> p = {0, 1, 0};
  const std::vector<std::int32_t> truth = {0};
  const AscMetrics m = asc_metrics({.classes = kThree, .probabilities = p, .truth = truth});
  CHECK(m.overall.log_loss == Approx(-std::log(2.220446049250313e-16)).epsilon(1e-14));
}

TEST_CASE("asc metrics: what is undefined is NaN, and null in JSON", "[metrics][asc]") {
  const AscMetrics none = asc_metrics({.classes = kThree, .probabilities = {}, .truth = {}});
  CHECK(none.overall.items == 0);
  CHECK(std::isnan(none.overall.accuracy));
  CHECK(std::isnan(none.overall.log_loss));
  CHECK(std::isnan(none.constant_accuracy));
  const std::vector<double> p = {1, 0, 0};
  const std::vector<std::int32_t> truth = {0};
  const AscMetrics m = asc_metrics({.classes = kThree, .probabilities = p, .truth = truth});
  CHECK(std::isnan(m.classes[1].score.accuracy));
  CHECK(m.overall.macro_accuracy == 100);  // classes without items are left out
  const auto json = nlohmann::json::parse(to_json(m).dump());
  CHECK(json["classes"]["park"]["accuracy_percent"].is_null());
  CHECK(json["accuracy_percent"] == 100.0);
  CHECK(json["confusion_rows_truth"] == nlohmann::json::parse("[[1,0,0],[0,0,0],[0,0,0]]"));
}

TEST_CASE("asc metrics: bad input is refused", "[metrics][asc]") {
  const auto kind = [](const std::vector<double>& p, const std::vector<std::int32_t>& truth,
                       const std::vector<std::string>& devices = {}) {
    try {
      static_cast<void>(asc_metrics({.classes = kThree, .probabilities = p, .truth = truth, .devices = devices}));
    } catch (const Error& error) {
      return error.kind();
    }
    return ErrorKind::kInterrupted;
  };
  CHECK(kind({0.5, NAN, 0.5}, {0}) == ErrorKind::kNumeric);
  CHECK(kind({0.5, INFINITY, 0.5}, {0}) == ErrorKind::kNumeric);
  CHECK(kind({0.5, -0.1, 0.6}, {0}) == ErrorKind::kNumeric);
  CHECK(kind({0, 0, 0}, {0}) == ErrorKind::kNumeric);
  CHECK(kind({1, 0, 0}, {3}) == ErrorKind::kArgument);
  CHECK(kind({1, 0, 0}, {-1}) == ErrorKind::kArgument);
  CHECK(kind({1, 0}, {0}) == ErrorKind::kArgument);
  CHECK(kind({1, 0, 0}, {0}, {"a", "b"}) == ErrorKind::kArgument);
  const std::vector<float> bad = {1, NAN};
  CHECK_THROWS_AS(mean_softmax(bad, 1, 2), Error);
  CHECK_THROWS_AS(mean_softmax(bad, 1, 3), Error);
}

TEST_CASE("asc metrics: the reference file", "[metrics][asc][golden]") {
  const Archive file = Archive::open(test::golden("metrics.safetensors"));
  const std::vector<double> p = mean_softmax(file.floats("asc.logits"), 3, 10);
  const std::vector<double> expected = file.doubles("asc.mean_prob");
  REQUIRE(p.size() == expected.size());
  double worst = 0;
  for (std::size_t i = 0; i < p.size(); ++i) worst = std::max(worst, std::abs(p[i] - expected[i]));
  CHECK(worst <= 1e-14);
  const std::vector<std::int64_t> labels = file.integers("asc.truth");
  const std::vector<std::int32_t> truth(labels.begin(), labels.end());
  const std::vector<std::string> classes(10, "c");
  const AscMetrics m = asc_metrics({.classes = classes, .probabilities = p, .truth = truth});
  const std::vector<std::int64_t> prediction(m.prediction.begin(), m.prediction.end());
  CHECK(prediction == file.integers("asc.pred"));
  CHECK(m.confusion == file.integers("asc.confusion"));
  CHECK(m.overall.accuracy == file.doubles("asc.accuracy_percent")[0]);
}

}  // namespace dcase
