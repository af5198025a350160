#define CATCH_CONFIG_RUNNER  // ignored by Catch2 v3
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "tests/support/compare.hpp"
#include "tests/support/test.hpp"

namespace dcase::test {

namespace {
int skipped = 0;
}

void skip(const std::string& reason) {
  ++skipped;
  std::cout << "SKIPPED: " << reason << std::endl;
  // Catch2 v2 has no skip: the case ends here, and the program's exit status 4 tells ctest (SKIP_RETURN_CODE).
  throw std::runtime_error("skipped: " + reason);
}

std::string golden(const std::string& file) { return std::string(DCASE_GOLDEN_DIR) + "/" + file; }

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "dcasenet-test-XXXXXX").string();
  REQUIRE(mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void check_gradient(const std::string& what, View<double> x, View<const double> gradient,
                    const std::function<double()>& loss, double tolerance, std::int64_t samples) {
  REQUIRE(x.size() == gradient.size());
  const std::int64_t stride = std::max<std::int64_t>(1, x.size() / samples);
  double worst = 0;
  std::int64_t at = -1;
  for (std::int64_t i = 0; i < x.size(); i += stride) {
    const double kept = x[i];
    const double h = 1e-5 * std::max(1.0, std::abs(kept));
    x[i] = kept + h;
    const double up = loss();
    x[i] = kept - h;
    const double down = loss();
    x[i] = kept;
    const double numeric = (up - down) / (2 * h);
    const double error = std::abs(numeric - gradient[i]) / (1 + std::abs(numeric));
    if (!(error <= worst)) {
      worst = error;
      at = i;
    }
  }
  INFO(what << ": worst error against finite differences " << worst << " at element " << at);
  CHECK(worst <= tolerance);
}

double weighted_sum(View<const double> y, View<const double> weights) {
  REQUIRE(y.size() == weights.size());
  double sum = 0;
  for (std::int64_t i = 0; i < y.size(); ++i) sum += y[i] * weights[i];
  return sum;
}

}  // namespace dcase::test

int main(int argc, char** argv) {
  Catch::Session session;
  const int result = session.run(argc, argv);
  return dcase::test::skipped > 0 && result == dcase::test::skipped ? 4 : result;
}
