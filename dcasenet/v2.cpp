#include "dcasenet/v2.hpp"

#include "layers/functional.hpp"

namespace dcase {

V2::V2(const Architecture& a, const Scope& s)
    : trunk_(s, a.divisor),
      block4_(s / "conv_block4", 256 / a.divisor, 512 / a.divisor, kLastPool),
      gru_(s / "gru", 512 / a.divisor, 256 / a.divisor),
      dense_sed_(s / "layer_SED", 512 / a.divisor, 256 / a.divisor),
      events_(s, 256 / a.divisor, a.classes_sed),
      scenes_(s, {.dimensions = 1,
                  .inputs = 512 / a.divisor,
                  .width = 256 / a.divisor,
                  .blocks = 2,
                  .code = 128 / a.divisor,
                  .classes = a.classes_asc}),
      tags_(s, 512 / a.divisor, 1024 / a.divisor, a.classes_tag) {}

Outputs V2::forward(const Variable& x, TaskSet tasks, const Pass& pass, Taps* taps) const {
  const Variable block4 = block4_.forward(trunk_.forward(x, pass, taps), pass);
  tap(taps, "block4", block4);
  const Variable sequence = mean(block4, 1);
  tap(taps, "seq", sequence);

  Outputs out;
  if (tasks.has(Task::kAsc)) out.asc = scenes_.forward(row_map(sequence), pass, taps);
  if (!tasks.has(Task::kSed) && !tasks.has(Task::kTag)) return out;  // scenes alone do not run the GRU

  const Variable gru = gru_.forward(sequence);
  tap(taps, "gru", gru);
  if (tasks.has(Task::kSed)) {
    const Variable dense = dense_sed_.forward(gru, pass);
    tap(taps, "dense_SED", dense);
    out.sed = events_.forward(dense);
  }
  if (tasks.has(Task::kTag)) out.tag = tags_.forward(gru, pass, taps);
  return out;
}

}  // namespace dcase
