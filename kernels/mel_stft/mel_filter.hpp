#pragma once

namespace dcase {

/// One row of a sparse filter bank: weights[offset + i] belongs to bin first_bin + i, 0 <= i < bins.
struct MelFilter {
  int first_bin = 0;
  int bins = 0;  // 0 where a triangle lies between two bins
  int offset = 0;
};

}  // namespace dcase
