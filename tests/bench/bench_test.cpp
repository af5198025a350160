#include <algorithm>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "bench/app.hpp"
#include "bench/case.hpp"
#include "bench/child.hpp"
#include "bench/inputs.hpp"
#include "bench/measure.hpp"
#include "tests/support/test.hpp"

using namespace dcase;
using namespace dcase::bench;

namespace {

struct Outcome {
  int code;
  std::string out, err;
};

Outcome run_program(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "dcasenet-bench");
  std::ostringstream out;
  std::ostringstream err;
  const int code = bench::run(static_cast<int>(arguments.size()), arguments.data(), out, err);
  return {code, out.str(), err.str()};
}

}  // namespace

TEST_CASE("a run prints JSON with the machine and a row for each case") {
  const Outcome o = run_program({"--filter", "^gemm/tag", "--reps", "1", "--peer", "none", "--json", "-"});
  INFO(o.err);
  REQUIRE(o.code == 0);
  const nlohmann::json j = nlohmann::json::parse(o.out);
  for (const char* field : {"version", "commit", "cpu", "isa", "onednn"}) {
    CHECK_FALSE(j.at("run").at(field).get<std::string>().empty());
  }
  CHECK(j.at("run").at("threads").get<int>() >= 1);
  REQUIRE(j.at("rows").size() == 2);
  for (const auto& row : j.at("rows")) {
    CHECK(row.at("name").get<std::string>().rfind("gemm/tag", 0) == 0);
    CHECK(row.at("median_ms").get<double>() > 0);
    CHECK(row.at("gflops").get<double>() > 0);
    CHECK(row.at("samples_ms").size() == 1);
  }
}

TEST_CASE("files of results are written, and a row of CSV has as many cells as the first line") {
  const test::TemporaryFolder folder;
  const std::string csv = folder / "r.csv";
  const Outcome o = run_program({"--filter", "^gemm/tag_0$", "--reps", "1", "--peer", "none", "--csv", csv.c_str()});
  REQUIRE(o.code == 0);
  CHECK(o.out.find("1 measured, 0 failed, 0 skipped") != std::string::npos);
  std::ifstream file(csv);
  std::string names;
  std::string row;
  REQUIRE(std::getline(file, names));
  REQUIRE(std::getline(file, row));
  CHECK(std::count(names.begin(), names.end(), ',') == 20);
  CHECK(row.find("gemm/tag_0,4x1024x512,") != std::string::npos);
}

TEST_CASE("wrong arguments are usage errors that name them") {
  for (const std::vector<const char*>& arguments : {std::vector<const char*>{"--filter", "("},
                                                    {"--filter", "^nothing$"},
                                                    {"--reps", "0"},
                                                    {"--peer", "tf"},
                                                    {"--memory-of", "nothing"}}) {
    const Outcome o = run_program(arguments);
    INFO(arguments[0] << " " << arguments[1] << ": " << o.err);
    CHECK(o.code == 2);
    CHECK(o.err.find(arguments[0]) != std::string::npos);
    CHECK(o.out.empty());
  }
}

TEST_CASE("names of cases are unique, and the promised ones are there") {
  std::set<std::string> names;
  double mel_ratio = 0;
  int promised = 0;
  for (const Case& c : all_cases()) {
    CHECK(names.insert(c.name).second);
    promised += c.promised_ratio > 0 ? 1 : 0;
    if (c.name == "mel_10s") mel_ratio = c.promised_ratio;
  }
  CHECK(promised == 6);
  CHECK(mel_ratio == 2);
  for (const char* name : {"infer_10s", "train_step", "prepare", "conv2d_forward/conv1_2/auto", "adam/v3"}) {
    CHECK(names.count(name) == 1);
  }
}

TEST_CASE("a result that differs from its reference is a mismatch, NaN too") {
  const BackendPtr backend = Backend::cpu();
  const Tensor x = Tensor::filled({100}, 2, backend);
  CHECK_NOTHROW(require_samples("x", x.view(), 50, 1e-6, [](std::int64_t) { return 2.0; }));
  x.data()[99] = 2.1F;  // the last element is always one of the samples
  CHECK_THROWS_AS(require_samples("x", x.view(), 2, 1e-6, [](std::int64_t) { return 2.0; }), Mismatch);
  x.data()[99] = std::nanf("");
  CHECK_THROWS_AS(require_samples("x", x.view(), 2, 1, [](std::int64_t) { return 2.0; }), Mismatch);
}

TEST_CASE("medians") {
  CHECK(median({3}) == 3);
  CHECK(median({5, 1, 3}) == 3);
  CHECK(median({4, 1, 2, 9}) == 3);
}

TEST_CASE("a child answers line by line; one that ends or hangs is an error") {
  Child echo({"/bin/sh", "-c", "while read l; do echo \"$PREFIX$l\"; done"}, {{"PREFIX", "> "}}, true);
  echo.write_line("one");
  echo.write_line("two");
  CHECK(echo.read_line(10) == "> one");
  CHECK(echo.read_line(10) == "> two");
  CHECK_THROWS_AS(echo.read_line(1), Error);
  Child gone({"/bin/true"}, {}, true);
  CHECK_THROWS_AS(gone.read_line(10), Error);
  CHECK_NOTHROW(gone.write_line("nobody reads this"));
}
