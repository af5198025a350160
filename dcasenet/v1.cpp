#include "dcasenet/v1.hpp"

namespace dcase {

V1::V1(const Architecture& a, const Scope& s)
    : crnn_(s, a.divisor),
      events_(s, 512 / a.divisor, a.classes_sed),
      scenes_(s, SceneHead::along_time(a)),
      tags_(s, 512 / a.divisor, 1024 / a.divisor, a.classes_tag) {}

// Every task needs all of the trunk and the GRU; beyond them each runs its own head alone.
Outputs V1::forward(const Variable& x, TaskSet tasks, const Pass& pass, Taps* taps) const {
  const Variable sequence = crnn_.sequence(x, pass, taps);
  const Variable gru = crnn_.recurrent(sequence, taps);

  Outputs out;
  if (tasks.has(Task::kAsc)) out.asc = scenes_.forward(row_map(gru), pass, taps);
  if (tasks.has(Task::kSed)) out.sed = events_.forward(gru);
  if (tasks.has(Task::kTag)) out.tag = tags_.forward(gru, pass, taps);
  return out;
}

}  // namespace dcase
