// The benchmark on the emulated device: every kernel matches, and what is wrong is never timed.

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "bench/app.hpp"
#include "bench/cuda/measure.hpp"
#include "bench/cuda/timing.hpp"
#include "tests/support/test.hpp"

using namespace dcase;
using namespace dcase::bench;

namespace {

nlohmann::json run_program(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), {"dcasenet-bench", "--device", "cuda", "--tiny", "--json", "-"});
  std::ostringstream out;
  std::ostringstream err;
  const int code = bench::run(static_cast<int>(arguments.size()), arguments.data(), out, err);
  INFO(err.str());
  REQUIRE(code == 0);
  return nlohmann::json::parse(out.str());
}

// y = the first candidate's value, then the second's: the second one is the reference.
gpu::DeviceCase two_kernels(float first, float second) {
  return {.name = "made_up/case", .shape = "[3]", .prepare = [first, second](const gpu::Setting& s) {
            const Tensor y({3}, s.backend);
            return gpu::Prepared{
                .candidates = {{"fast", [y, first] { y.fill(first); }}, {"simple", [y, second] { y.fill(second); }}},
                .reset = [y] { y.fill(std::nanf("")); },
                .read = [y]() -> gpu::Results { return {y.to_vector()}; },
                .reference = {},
                .bound = 1e-5,
                .cost = {}};
          }};
}

gpu::DeviceReport measure(const gpu::DeviceCase& c) {
  std::ostringstream err;
  return gpu::measure_on_device({c}, {.device = {DeviceType::kCuda, 0}, .reps = 1, .tiny = true}, err);
}

}  // namespace

TEST_CASE("on a device every kernel of every table matches, and runs at least once") {
  std::set<std::string> seen;
  nlohmann::json tables;
  // What does not round its operands to the precision is the same in all three.
  for (const auto& [precision, filter] :
       {std::pair{"fp32", ""}, {"tf32", "^(conv|gru|gemm)"}, {"bf16", "^(conv|gru|gemm)"}}) {
    const nlohmann::json j = run_program({"--precision", precision, "--filter", filter});
    CHECK(j.at("run").at("emulated") == true);
    CHECK(j.at("run").at("precision") == precision);
    CHECK(j.at("run").at("ceiling_tflops").is_null());
    tables = j.at("tables");
    for (const auto& row : j.at("rows")) {
      const auto name = row.at("name").get<std::string>();
      INFO(precision << " " << name << " " << row.at("variant"));
      CHECK_FALSE(row.contains("failure"));
      CHECK_FALSE(row.contains("median_ms"));  // an emulated device has no speed
      CHECK(row.value("deterministic", false));
      CHECK(row.value("memory_bytes", 0) > 0);
      seen.insert(name.substr(0, name.find('/')) + "/" + row.at("variant").get<std::string>());
    }
  }
  REQUIRE(tables.size() == 10);
  // This kernel reads maps of one channel, which no gradient of the models is.
  const std::set<std::string> never = {"conv2d_data_gradient/one_channel", "conv_bn_backward/one_channel"};
  for (const auto& [table, variants] : tables.items()) {
    for (const auto& variant : variants) {
      const std::string name = table + "/" + variant.get<std::string>();
      INFO(name);
      CHECK(seen.contains(name) != never.contains(name));
    }
  }
  for (const char* name : {"train_step/product", "infer_10s/product", "batchnorm_backward/kernel", "adam/kernel"}) {
    CHECK(seen.contains(name));
  }
}

TEST_CASE("a kernel that differs from the simple one fails, and is not timed") {
  CHECK(measure(two_kernels(2, 2)).passed());
  for (const float wrong : {2.001F, std::nanf("")}) {
    const gpu::DeviceReport report = measure(two_kernels(wrong, 2));
    CHECK_FALSE(report.passed());
    REQUIRE(report.rows.size() == 2);
    CHECK_FALSE(report.rows[0].failure.empty());
    CHECK(report.rows[0].samples.empty());
    CHECK(report.rows[1].failure.empty());
    CHECK(report.text().find("1 compared, 1 failed") != std::string::npos);
  }
}

TEST_CASE("a case that finds no memory fails alone") {
  gpu::DeviceCase large = two_kernels(2, 2);
  large.prepare = [](const gpu::Setting& s) -> gpu::Prepared {
    const Tensor y({std::int64_t{1} << 40}, s.backend);
    return {};
  };
  std::ostringstream err;
  const gpu::DeviceReport report = gpu::measure_on_device(
      {large, two_kernels(2, 2)}, {.device = {DeviceType::kCuda, 0}, .reps = 1, .tiny = true}, err);
  REQUIRE(report.rows.size() == 3);
  CHECK(report.rows[0].failure.find("memory") != std::string::npos);
  CHECK(report.rows[1].failure.empty());
}

TEST_CASE("a kernel that leaves other bits in each run is reported") {
  gpu::DeviceCase c = two_kernels(2, 2);
  c.prepare = [prepare = c.prepare](const gpu::Setting& s) {
    gpu::Prepared p = prepare(s);
    const auto runs = std::make_shared<int>(0);
    const Tensor y({1}, s.backend);
    p.candidates[0].run = [y, runs] { y.fill(1 + 1e-6F * static_cast<float>((*runs)++)); };
    p.reset = [y] { y.fill(0); };
    p.read = [y]() -> gpu::Results { return {y.to_vector()}; };
    p.reference = {{1}};
    return p;
  };
  const gpu::DeviceReport report = measure(c);
  CHECK(report.rows.at(0).failure.empty());
  CHECK_FALSE(report.rows.at(0).deterministic);
}

// The emulated device counts a microsecond an operation, whatever it does; an event is one, a graph's ends are two.
TEST_CASE("a sample is the time of one call, without that of the flush in front of it") {
  const BackendPtr backend = Backend::on({DeviceType::kCuda, 0});
  const Tensor y({3}, backend);
  const auto two_operations = [&] {
    y.fill(1);
    y.fill(2);
  };
  constexpr double kThreeCalls = 0.007;
  const auto check_all = [](const std::vector<double>& samples, double expected) {
    REQUIRE(samples.size() == 3);
    for (const double ms : samples) CHECK(ms == Approx(expected));
  };
  // In the cache what is not the calls' is taken off, beyond it their number makes it small.
  check_all(gpu::operation_samples(two_operations, {.bytes = 24}, backend, 3, kThreeCalls), 2e-3);
  check_all(gpu::operation_samples(two_operations, {.bytes = 1e9}, backend, 3, kThreeCalls), (3 * 2 + 3) * 1e-3 / 3);
  check_all(gpu::whole_samples(two_operations, backend, 3, kThreeCalls), (3 * 2 + 1) * 1e-3 / 3);
  CHECK(gpu::copy_gigabytes(backend) == Approx(0x1p29 / 2e-3 / 1e6));
}

TEST_CASE("percentiles of samples, and rates from the median") {
  gpu::DeviceRow row{.samples = {4, 1, 3, 2, 5}, .cost = {.flops = 6e9, .bytes = 9e6}};
  CHECK(row.percentile(0.5) == 3);
  CHECK(row.percentile(0) == 1);
  CHECK(row.percentile(0.1) == Approx(1.4));
  CHECK(row.percentile(0.9) == Approx(4.6));
  CHECK(row.teraflops() == Approx(2));
  CHECK(row.gigabytes() == Approx(3));
}

TEST_CASE("cases on a device have names of their own") {
  std::set<std::string> names;
  for (const gpu::DeviceCase& c : gpu::device_cases(false)) CHECK(names.insert(c.name).second);
}
