#include "dcasenet/v1.hpp"

#include "layers/functional.hpp"

namespace dcase {

V1::V1(const Architecture& a, const Scope& s)
    : trunk_(s, a.divisor),
      block4_(s / "conv_block4", 256 / a.divisor, 512 / a.divisor, kLastPool),
      gru_(s / "gru", 512 / a.divisor, 256 / a.divisor),
      events_(s, 512 / a.divisor, a.classes_sed),
      scenes_(s, {.dimensions = 1,
                  .inputs = 512 / a.divisor,
                  .width = 256 / a.divisor,
                  .blocks = 2,
                  .code = 128 / a.divisor,
                  .classes = a.classes_asc}),
      tags_(s, 512 / a.divisor, 1024 / a.divisor, a.classes_tag) {}

// Every task needs all of the trunk and the GRU; beyond them each runs its own head alone.
Outputs V1::forward(const Variable& x, TaskSet tasks, const Pass& pass, Taps* taps) const {
  const Variable block4 = block4_.forward(trunk_.forward(x, pass, taps), pass);
  tap(taps, "block4", block4);
  const Variable sequence = mean(block4, 1);
  tap(taps, "seq", sequence);
  const Variable gru = gru_.forward(sequence);
  tap(taps, "gru", gru);

  Outputs out;
  if (tasks.has(Task::kAsc)) out.asc = scenes_.forward(row_map(gru), pass, taps);
  if (tasks.has(Task::kSed)) out.sed = events_.forward(gru);
  if (tasks.has(Task::kTag)) out.tag = tags_.forward(gru, pass, taps);
  return out;
}

}  // namespace dcase
