#include "bench/case.hpp"

namespace dcase::bench {

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  add_whole(cases);
  add_convolutions(cases);
  add_operators(cases);
  return cases;
}

}  // namespace dcase::bench
