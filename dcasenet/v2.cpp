#include "dcasenet/v2.hpp"

namespace dcase {

V2::V2(const Architecture& a, const Scope& s)
    : crnn_(s, a.divisor),
      dense_sed_(s / "layer_SED", 512 / a.divisor, 256 / a.divisor),
      events_(s, 256 / a.divisor, a.classes_sed),
      scenes_(s, SceneHead::along_time(a)),
      tags_(s, 512 / a.divisor, 1024 / a.divisor, a.classes_tag) {}

Outputs V2::forward(const Variable& x, TaskSet tasks, const Pass& pass, Taps* taps) const {
  const Variable sequence = crnn_.sequence(x, pass, taps);

  Outputs out;
  if (tasks.has(Task::kAsc)) out.asc = scenes_.forward(row_map(sequence), pass, taps);
  if (!tasks.has(Task::kSed) && !tasks.has(Task::kTag)) return out;  // scenes alone do not run the GRU

  const Variable gru = crnn_.recurrent(sequence, taps);
  if (tasks.has(Task::kSed)) {
    const Variable dense = dense_sed_.forward(gru, pass);
    tap(taps, "dense_SED", dense);
    out.sed = events_.forward(dense);
  }
  if (tasks.has(Task::kTag)) out.tag = tags_.forward(gru, pass, taps);
  return out;
}

}  // namespace dcase
