/// score from outside: outputs of any system, tuning, and what is refused.

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/program/program.hpp"

namespace dcase {
namespace {

using test::run;

class Files {
 public:
  std::string put(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return folder_ / name;
  }
  [[nodiscard]] test::Finished score(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "score");
    return run(folder_, arguments);
  }
  /// The JSON report of a run that has to succeed.
  [[nodiscard]] nlohmann::json report(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--json", folder_ / "report.json"});
    const test::Finished done = score(arguments);
    INFO(done.errors);
    REQUIRE(done.code == 0);
    return nlohmann::json::parse(read_file(folder_ / "report.json"));
  }
  [[nodiscard]] const test::TemporaryFolder& folder() const { return folder_; }

 private:
  test::TemporaryFolder folder_;
};

/// One class "dog" over ten frames a recording: scores rise where it sounds.
std::string score_file(const std::vector<double>& scores) {
  std::string text = "onset\toffset\tdog\n";
  for (std::size_t t = 0; t < scores.size(); ++t) {
    text += std::to_string(t) + "\t" + std::to_string(t + 1) + "\t" + std::to_string(scores[t]) + "\n";
  }
  return text;
}

}  // namespace

TEST_CASE("program: score asc knows devices and keeps both modes apart", "[program]") {
  const Files f;
  const std::string truth =
      f.put("fold1_evaluate.csv",
            "filename\tscene_label\naudio/bus-lyon-1-1-a.wav\tbus\naudio/park-lyon-1-2-s4.wav\tpark\n"
            "audio/tram-lyon-1-3-a.wav\ttram\n");
  const std::string output = f.put("out.csv",
                                   "filename\tscene_label\tbus\tpark\ttram\nbus-lyon-1-1-a.wav\tbus\t0.5\t0.25\t0.25\n"
                                   "park-lyon-1-2-s4.wav\tbus\t0.5\t0.5\t0\ntram-lyon-1-3-a.wav\ttram\t0\t0\t1\n");
  const auto json = f.report({"asc", "-r", truth, "-s", output, "--metrics", "both", "--bootstrap", "50"});
  CHECK(json["standard"]["accuracy_percent"].get<double>() == Approx(200.0 / 3));
  CHECK(json["standard"]["log_loss"].get<double>() == Approx(2 * std::log(2.0) / 3));
  CHECK(json["standard"]["devices"]["a"]["accuracy_percent"] == 100);
  CHECK(json["standard"]["device_groups"]["unseen-sim"]["accuracy_percent"] == 0);
  CHECK(json["standard"]["intervals"]["accuracy_percent"][1] == 100);
  CHECK(json["reference"]["accuracy_percent"].get<double>() == Approx(200.0 / 3));
  CHECK_FALSE(json["reference"].contains("log_loss"));

  // Plain answers have no log loss.
  const std::string plain = f.put("plain.csv", "filename\tscene_label\nbus-lyon-1-1-a\tbus\npark-lyon-1-2-s4\tbus\n");
  const test::Finished missing = f.score({"asc", "-r", truth, "-s", plain});
  CHECK(missing.code == 3);
  CHECK_THAT(missing.errors, Catch::Contains("1 of 3 recordings of the reference have no output") &&
                                 Catch::Contains("tram-lyon-1-3-a.wav") && Catch::Contains("--on-missing skip"));
  const auto skipped = f.report({"asc", "-r", truth, "-s", plain, "--on-missing", "skip"});
  CHECK(skipped["recordings"]["missing"].size() == 1);
  CHECK(skipped["recordings"]["scored"] == 2);
  CHECK(skipped["standard"]["log_loss"].is_null());
  CHECK(skipped["standard"]["accuracy_percent"] == 50);

  const std::string wrong = f.put("wrong.csv",
                                  "filename\tscene_label\nbus-lyon-1-1-a\tbuss\npark-lyon-1-2-s4\tbus\n"
                                  "tram-lyon-1-3-a\ttram\n");
  const std::string list = f.put("classes.txt", "bus\npark\ntram\n");
  const test::Finished unknown = f.score({"asc", "-r", truth, "-s", wrong, "--classes", list});
  CHECK(unknown.code == 3);
  CHECK_THAT(unknown.errors, Catch::Contains("wrong.csv:2") && Catch::Contains("did you mean 'bus'?"));
  const std::string negative = f.put("negative.csv", "filename\tbus\tpark\nbus-lyon-1-1-a\t-1\t2\n");
  CHECK_THAT(f.score({"asc", "-r", truth, "-s", negative, "--classes", f.put("two.txt", "bus\npark\n"), "--on-missing",
                      "skip"})
                 .errors,
             Catch::Contains("negative.csv:2: the probability -1"));
  CHECK(f.score({"asc", "-r", truth, "-s", output, "--metrics", "mine"}).code == 2);
  CHECK(f.score({"asc", "-r", truth}).code == 2);
  CHECK(f.score({"asc", "-r", truth, "-s", f.folder() / "nothing.csv"}).code == 3);
}

TEST_CASE("program: score tag tunes on one part and refuses to report it", "[program]") {
  const Files f;
  const std::string valid = f.put("valid.csv", "fname,labels\n1.wav,Bark\n2.wav,\"Bark,Run\"\n3.wav,\n");
  const std::string valid_output =
      f.put("valid_out.csv", "fname,Bark,Run\n1.wav,0.3,0.1\n2.wav,0.25,0.2\n3.wav,0.1,0.0\n");
  const std::string truth = f.put("test.csv", "fname,labels\n4.wav,Bark\n5.wav,Run\n");
  const std::string output = f.put("test_out.csv", "fname,Bark,Run\n4.wav,0.3,0.1\n5.wav,0.1,0.2\n6.wav,0,0\n");
  const auto half = f.report({"tag", "-r", truth, "-s", output});
  CHECK(half["standard"]["lwlrap"] == 1);
  CHECK(half["standard"]["map"] == 1);
  CHECK(half["standard"]["micro_f1"] == 0);
  CHECK(half["recordings"]["extra"] == std::vector<std::string>{"6.wav"});

  const std::string decisions = f.folder() / "decisions.json";
  const test::Finished tuned = f.score({"tag", "-r", valid, "-s", valid_output, "--tune", decisions});
  INFO(tuned.errors);
  REQUIRE(tuned.code == 0);
  CHECK_THAT(tuned.output, Catch::Contains("report others"));
  CHECK(nlohmann::json::parse(read_file(decisions))["origin"]["recordings"].size() == 3);
  const auto applied = f.report({"tag", "-r", truth, "-s", output, "--apply", decisions});
  CHECK(applied["standard"]["micro_f1"] == 1);
  CHECK(applied["standard"]["tuned"]["objective"] == "f1");
  const test::Finished same = f.score({"tag", "-r", valid, "-s", valid_output, "--apply", decisions});
  CHECK(same.code == 2);
  CHECK_THAT(same.errors, Catch::Contains("3 of the 3 recordings to be reported chose these thresholds"));
  CHECK(f.score({"tag", "-r", truth, "-s", output, "--tune", decisions, "--threshold", "0.2"}).code == 2);
  CHECK(f.score({"tag", "-r", truth, "-s", truth}).code == 3);  // no scores
}

TEST_CASE("program: score sed reads scores and events, tunes, and knows lengths", "[program]") {
  const Files f;
  const std::string truth = f.put("truth.tsv", "filename\tonset\toffset\tevent_label\na.wav\t2\t4\tdog\nb.wav\t\t\t\n");
  f.put("scores/a.tsv", score_file({0, 0.1, 0.4, 0.35, 0.1, 0, 0, 0, 0, 0}));
  f.put("scores/b.tsv", score_file({0, 0, 0, 0, 0, 0.2, 0, 0, 0, 0}));
  const std::string scores = f.folder() / "scores";
  const auto json = f.report({"sed", "-r", truth, "-s", scores, "--metrics", "both", "--bootstrap", "20"});
  CHECK(json["standard"]["psds1"]["psds"] == 1);
  CHECK(json["standard"]["psds2"]["psds"] == 1);
  CHECK(json["standard"]["segment_based"]["f1"] == 0);  // nothing above 0.5
  CHECK(json["standard"]["segment_based"]["segments"] == 20);
  CHECK(json["standard"]["segment_based"]["intervals"].contains("f1"));
  CHECK(json["reference"]["f1"].get<double>() == Approx(1).margin(1e-6));  // 0.3, blocks of five seconds
  CHECK(json["reference"]["threshold"] == 0.3);
  CHECK(f.report({"sed", "-r", truth, "-s", scores, "--threshold", "0.3"})["standard"]["event_based"]["f1"] == 1);
  const auto rule =
      f.report({"sed", "-r", truth, "-s", scores, "--psds", "psds1,alpha_st=0", "--psds", "dtc=0.5,gtc=0.5"});
  CHECK(rule["standard"]["psds1,alpha_st=0"]["rule"]["dtc"] == 0.7);
  CHECK(rule["standard"]["dtc=0.5,gtc=0.5"]["rule"]["gtc"] == 0.5);
  CHECK(f.score({"sed", "-r", truth, "-s", scores, "--psds", "psds3"}).code == 2);
  CHECK(f.score({"sed", "-r", truth, "-s", scores, "--psds", "dtc=2"}).code == 2);

  // Tuning: segments of the two seconds above 0.2, then another part with them.
  const std::string decisions = f.folder() / "decisions.json";
  REQUIRE(f.score({"sed", "-r", truth, "-s", scores, "--tune", decisions}).code == 0);
  CHECK(f.score({"sed", "-r", truth, "-s", scores, "--apply", decisions}).code == 2);
  const std::string other = f.put("other.tsv", "filename\tonset\toffset\tevent_label\nc.wav\t2\t4\tdog\n");
  f.put("more/c.tsv", score_file({0, 0.1, 0.4, 0.35, 0.1, 0, 0, 0, 0, 0}));
  const auto applied = f.report({"sed", "-r", other, "-s", f.folder() / "more", "--decisions", decisions});
  CHECK(applied["standard"]["segment_based"]["f1"] == 1);
  CHECK(applied["standard"]["tuned"]["objective"] == "segment-f1");
  REQUIRE(f.score({"sed", "-r", truth, "-s", scores, "--tune", decisions, "--objective", "event-f1"}).code == 0);
  CHECK(f.score({"sed", "-r", truth, "-s", scores, "--tune", decisions, "--objective", "f1"}).code == 2);

  // Events: lengths have to come from somewhere, silent recordings from the durations.
  const std::string events = f.put("out.tsv", "filename\tonset\toffset\tevent_label\na.wav\t2\t4\tdog\n");
  const test::Finished unknown = f.score({"sed", "-r", truth, "-s", events});
  CHECK(unknown.code == 3);
  CHECK_THAT(unknown.errors, Catch::Contains("--durations FILE"));
  const std::string durations = f.put("durations.tsv", "filename\tduration\na.wav\t10\nb.wav\t10\nz.wav\t5\n");
  const auto from_events = f.report({"sed", "-r", truth, "-s", events, "--durations", durations});
  CHECK(from_events["standard"]["segment_based"]["f1"] == 1);
  CHECK(from_events["standard"]["segment_based"]["segments"] == 25);
  CHECK_FALSE(from_events["standard"].contains("psds1"));
  CHECK(f.report({"sed", "-r", truth, "-s", events, "--duration", "10"})["standard"]["event_based"]["f1"] == 1);
  CHECK(f.report({"sed", "-r", truth, "-s", events, "--sed-eval-compat"})["standard"]["event_based"]["f1"] == 1);
  CHECK(f.score({"sed", "-r", truth, "-s", events, "--duration", "10", "--psds", "psds1"}).code == 2);
  CHECK(f.score({"sed", "-r", truth, "-s", events, "--duration", "1e12"}).code == 3);
  CHECK(f.score({"sed", "-r", truth, "-s", events, "--duration", "10", "--median", "3"}).code == 2);
  CHECK(f.score({"sed", "-r", scores, "-s", events}).code == 3);  // scores are no reference
  const std::string typo = f.put("typo.tsv", "filename\tonset\toffset\tevent_label\na.wav\t2\t4\tdgo\n");
  CHECK_THAT(f.score({"sed", "-r", truth, "-s", typo, "--duration", "10"}).errors, Catch::Contains("is 'dog' meant?"));
}

}  // namespace dcase
