#include "train/report/metrics_report.hpp"

#include "tests/support/test.hpp"

namespace dcase {

TEST_CASE("report: scenes", "[report]") {
  const std::vector<std::string> classes = {"bus", "park"};
  const std::vector<double> p = {0.9, 0.1, 0.6, 0.4, 0.6, 0.4};
  const std::vector<std::int32_t> truth = {0, 0, 0};
  const std::vector<std::string> devices = {"a", "a", "b"};
  const std::string text =
      report_text(asc_metrics({.classes = classes, .probabilities = p, .truth = truth, .devices = devices}));
  CHECK_THAT(text, Catch::Contains("3 clips"));
  CHECK_THAT(text, Catch::Contains("accuracy        100.00 %   (guessing 50.00 %, best constant answer 100.00 %)"));
  CHECK_THAT(text, Catch::Contains("  park       0        0       n/a       n/a"));
  CHECK_THAT(text, Catch::Contains("  b           1        1  100.00 %"));
  CHECK_THAT(text, Catch::Contains("  0 bus               3  0\n  1 park              0  0\n"));
  CHECK(text.find("device group") == std::string::npos);
}

TEST_CASE("report: tags and events name their chance level and rules", "[report]") {
  const std::vector<std::string> classes = {"bark", "yell"};
  const std::vector<double> scores = {0.9, 0.1};
  const std::vector<std::uint8_t> labels = {1, 0};
  const std::string tags = report_text(tag_metrics({.classes = classes, .scores = scores, .truth = labels}));
  CHECK_THAT(tags, Catch::Contains("lwlrap          100.00 %   (ranking by frequency 100.00 %)"));
  CHECK_THAT(tags, Catch::Contains("yell") && Catch::Contains("n/a"));

  const std::vector<SedItem> items = {{{{0, 1'000'000, 0}}, {}, 2'000'000}};
  const std::string segments = report_text(segment_metrics(classes, items, {.undefined = UndefinedRule::kSedEval}));
  CHECK_THAT(segments, Catch::Contains("2 segments of 1 s, undefined scores skipped as sed_eval does"));
  CHECK_THAT(segments, Catch::Contains("(everything on 40.00 %)"));
  CHECK_THAT(segments, Catch::Contains("(1 classes without data left out)"));
  const std::string events = report_text(event_metrics(classes, items));
  CHECK_THAT(events, Catch::Contains("onset within 0.2 s, offset within 0.2 s or 50 % of the length\n"));
  CHECK_THAT(events, Catch::Contains("error rate      1.0000   (S 0.0000, D 1.0000, I 0.0000"));
  CHECK_THAT(report_text(ReferenceSedMetrics{.block_frames = 50, .f1 = 0.64, .error_rate = 0.67}),
             Catch::Contains("F1 64.00 %, ER 0.6700") && Catch::Contains("blocks of 50 frames"));
}

}  // namespace dcase
