#include "train/report/paper_table.hpp"

#include <cmath>
#include <filesystem>

#include "engine/files.hpp"
#include "tests/support/test.hpp"
#include "train/config/config.hpp"

namespace dcase {
namespace {

// What eval --json writes of one model, as far as tables read it; F1 and ER of both modes.
std::string evaluation(const std::string& preset, int seed, const std::string& tasks, const std::string& changes = "") {
  return concat(R"({"model": "m", "run": {"preset": ")", preset, R"(", "changes": [)", changes, R"(], "seed": )", seed,
                R"(, "step": 5}, "tasks": [)", tasks, "]}");
}
std::string asc(double percent) {
  return concat(R"({"task": "asc", "part": "test", "metrics": {"accuracy_percent": )", percent, "}}");
}
std::string sed(double f1, double er, double reference_f1, double reference_er) {
  return concat(R"({"task": "sed", "part": "test", "segment_based": {"f1": )", f1, R"(, "error_rate": )", er,
                R"(}, "reference_code": {"f1": )", reference_f1, R"(, "error_rate": )", reference_er, "}}");
}

struct Files {
  test::TemporaryFolder folder;
  int count = 0;
  std::string write(const std::string& text) {
    const std::string path = folder / concat("e", count++, ".json");
    atomic_write(path, text);
    return path;
  }
  std::string run_folder(const std::string& name, const std::string& preset, int seed, const std::string& log) {
    const std::string path = folder / name;
    std::filesystem::create_directories(path);
    atomic_write(path + "/config.json", to_json(load_config("", {concat("train.seed=", seed)}, preset)).dump());
    if (!log.empty()) atomic_write(path + "/log.jsonl", log);
    return path;
  }
};

}  // namespace

TEST_CASE("table: mean and spread over seeds, beside the published figure of the same mode alone", "[table]") {
  Files files;
  const PaperRuns runs = read_paper_runs({files.write(evaluation("v3-single-asc", 1, asc(60))),
                                          files.write(evaluation("v3-single-asc", 2, asc(64))),
                                          files.write(evaluation("v3-single-sed", 1, sed(0.5, 0.75, 0.625, 0.5)))});
  REQUIRE(runs.runs.size() == 3);
  CHECK(runs.warnings.empty());
  const std::string csv = paper_tables_csv(runs);
  CHECK_THAT(csv, Catch::Contains("\nv3-single-asc,2,asc,accuracy,reference,68.33,62,2.8284271247461903,2,,\n"));
  CHECK_THAT(csv, Catch::Contains("\nv3-single-asc,2,asc,accuracy,standard,,62,2.8284271247461903,2,,\n"));
  CHECK_THAT(csv, Catch::Contains("\nv3-single-sed,2,sed,f1,reference,78.61,62.5,,1,,\n"));
  CHECK_THAT(csv, Catch::Contains("\nv3-single-sed,2,sed,f1,standard,,50,,1,,\n"));
  CHECK_THAT(csv, Catch::Contains("\nv3-single-tag,2,tag,lwlrap,reference,70.62,,,0,missing,\n"));
  CHECK_THAT(csv, !Catch::Contains("@code"));

  const std::string text = paper_tables_text(runs);
  const std::size_t standard = text.find("standard metrics");
  REQUIRE(standard != std::string::npos);
  CHECK_THAT(text.substr(0, standard), Catch::Contains("62.00 ±2.83 (2)") && Catch::Contains("62.50 (1)") &&
                                           Catch::Contains("0.5000 (1)") && Catch::Contains("missing"));
  CHECK_THAT(text.substr(standard), Catch::Contains("50.00 (1)") && !Catch::Contains("62.50") &&
                                        !Catch::Contains("78.61") && !Catch::Contains("paper "));
  CHECK_THAT(paper_tables_markdown(runs), Catch::Contains("| v3 | ours | 62.00 ±2.83 (2) | missing | 62.50 (1) |"));
}

TEST_CASE("table: a run folder with evaluations of its best models", "[table]") {
  Files files;
  const std::string finished = "{\"step\":1,\"event\":\"start\"}\n{\"step\":5,\"event\":\"finished\"}\n";
  const std::string run = files.run_folder("a", "v3-joint-asc+sed@code", 4, finished);
  CHECK(read_paper_runs({run}).runs.at(0).state == "not evaluated");
  atomic_write(run + "/eval_asc.json", evaluation("v3-joint-asc+sed@code", 4, asc(50)));
  const PaperRuns half = read_paper_runs({run});
  CHECK(half.runs.at(0).state == "not evaluated");
  CHECK_THAT(paper_tables_csv(half), Catch::Contains("sed,f1,standard,,,,0,not evaluated,"));
  atomic_write(run + "/eval_sed.json", evaluation("v3-joint-asc+sed@code", 4, sed(0.5, 1, 0.5, 1)));
  const PaperRuns whole = read_paper_runs({run});
  REQUIRE(whole.runs.size() == 1);
  CHECK(whole.runs[0].state.empty());
  CHECK(whole.runs[0].standard.accuracy == 50);
  CHECK(whole.runs[0].reference.error_rate == 1);
  CHECK_THAT(paper_tables_text(whole),
             Catch::Contains("batch sizes of the released code") && !Catch::Contains("batch sizes of the paper"));
  atomic_write(run + "/eval_tag.json", evaluation("v3-joint-asc+sed@code", 5, asc(50)));
  CHECK_THROWS_WITH(read_paper_runs({run}), Catch::Contains("another run"));
}

TEST_CASE("table: failed and unfinished runs are in no mean, and named", "[table]") {
  Files files;
  const PaperRuns runs = read_paper_runs(
      {files.run_folder("f", "v3-single-asc", 1, "{\"step\":7,\"event\":\"failed\",\"error\":\"nan\"}\n"),
       files.run_folder("s", "v3-single-tag", 1, "{\"step\":9,\"event\":\"stopped\"}\n"),
       files.run_folder("u", "v3-single-tag", 2, "{\"step\":2,\"event\":\"evaluation\"}\n{\"step\":"),
       files.run_folder("n", "v3-single-sed", 1, ""), files.write(evaluation("v3-single-asc", 1, asc(90)))});
  const std::string text = paper_tables_text(runs);
  CHECK_THAT(text, Catch::Contains("v3-single-asc, seed 1: failed at step 7") &&
                       Catch::Contains("v3-single-tag, seed 1: stopped at step 9") &&
                       Catch::Contains("v3-single-tag, seed 2: unfinished at step 2") &&
                       Catch::Contains("v3-single-sed, seed 1: never started") && !Catch::Contains("90.00"));
  CHECK_THAT(paper_tables_csv(runs), Catch::Contains("v3-single-asc,2,asc,accuracy,standard,,,,0,failed,"));
}

TEST_CASE("table: what departs from a preset is marked and said", "[table]") {
  Files files;
  const std::string changes = R"("model.width=1/8", "train.steps=5")";
  const PaperRuns runs = read_paper_runs({files.write(evaluation("v3-single-asc", 1, asc(60), changes))});
  CHECK_THAT(paper_tables_text(runs), Catch::Contains("60.00 (1)*") &&
                                          Catch::Contains("* not as in the paper: model.width=1/8, train.steps=5\n"));
  const PaperRuns mixed = read_paper_runs({files.write(evaluation("v3-single-asc", 1, asc(60), changes)),
                                           files.write(evaluation("v1-single-asc", 1, asc(50), changes)),
                                           files.write(evaluation("v2-single-asc", 1, asc(40), R"("train.steps=6")"))});
  CHECK_THAT(paper_tables_text(mixed),
             Catch::Contains("v1-single-asc, v3-single-asc: not as in the paper: model.width") &&
                 Catch::Contains("* v2-single-asc: not as in the paper: train.steps=6"));
  CHECK_THAT(paper_tables_csv(runs), Catch::Contains(",model.width=1/8; train.steps=5\n"));
  CHECK_THROWS_WITH(read_paper_runs({files.write(evaluation("v3-single-asc", 1, asc(60), changes)),
                                     files.write(evaluation("v3-single-asc", 2, asc(60)))}),
                    Catch::Contains("different configurations"));
}

TEST_CASE("table: what cannot be laid out is named", "[table]") {
  Files files;
  const auto refused = [&](const std::string& text) {
    try {
      static_cast<void>(read_paper_runs({files.write(text)}));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK_THAT(refused("[1, 2]"), Catch::Contains("no JSON object"));
  CHECK_THAT(refused("{\"tasks\": 3}"), Catch::Contains("eval --json"));
  CHECK_THAT(refused(evaluation("v9-single-asc", 1, asc(1))), Catch::Contains("unknown preset"));
  CHECK_THAT(refused(evaluation("v3-single-asc", 1, asc(1), "3")), Catch::Contains("run.changes"));
  CHECK_THAT(refused(evaluation("v3-single-asc", 1, "7")), Catch::Contains("test part"));
  CHECK_THAT(refused(evaluation("v3-single-asc", 1, R"({"task": "asc", "part": "train"})")),
             Catch::Contains("test part"));
  CHECK_THROWS_WITH(read_paper_runs({files.write(evaluation("v3-single-asc", 1, asc(1))),
                                     files.write(evaluation("v3-single-asc", 1, asc(2)))}),
                    Catch::Contains("two values for ASC accuracy"));
  const std::string empty = files.folder / "empty";
  std::filesystem::create_directories(empty);
  CHECK_THROWS_WITH(read_paper_runs({empty}), Catch::Contains("no config.json"));
  CHECK_THROWS_AS(read_paper_runs({files.folder / "nothing"}), Error);
  // A model without a preset is left out, with a word.
  const PaperRuns plain = read_paper_runs({files.write(R"({"tasks": [], "run": null})")});
  CHECK(plain.runs.empty());
  REQUIRE(plain.warnings.size() == 1);
  CHECK_THAT(paper_tables_text(plain), Catch::Contains("left out"));
}

}  // namespace dcase
