#pragma once
/// A case: one thing that is measured, with the proof that what is measured computes the right result.

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernels/common/context.hpp"

namespace dcase::bench {

/// A result that differs from its reference. It is a failed run, and never timed.
class Mismatch : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What `Case::prepare` leaves: inputs are made, the result has been compared, the call is ready to be timed.
struct Work {
  std::function<void()> run;
  Cost cost = {};            ///< of one call; zeros where it is not known
  double audio_seconds = 0;  ///< sound that one call goes through; 0 where that means nothing
  std::string note;          ///< which code ran, as in "jit_wino_4x3:avx512_core"
};

struct Case {
  std::string name;   ///< "infer_10s", "conv2d_forward/conv1_2/winograd"
  std::string shape;  ///< sizes, for people
  std::function<Work()> prepare;
  std::function<Work()> unchecked = {};  ///< without the comparison, where that takes memory that the case does not
  bool operation = true;                 ///< one operator; false: a whole path through the product
  bool peer = false;                     ///< the peer has the same case under the same name
  double promised_ratio = 0;             ///< times as fast as the peer; 0: nothing is promised
  bool promised_memory = false;
  double promised_speed = 0;  ///< seconds of audio a second; 0: nothing is promised
  int threads = 0;            ///< 0: as many as the run
};

/// All cases in the order of the report. Making the list computes nothing.
[[nodiscard]] std::vector<Case> all_cases();

// The parts of the list, one a file of bench/cases/.
void add_whole(std::vector<Case>& cases);
void add_convolutions(std::vector<Case>& cases);
void add_operators(std::vector<Case>& cases);

}  // namespace dcase::bench
