#include "dcasenet/v3.hpp"

#include "layers/functional.hpp"

namespace dcase {
namespace {

// Maps of 4_1 and 4_2 side by side, averaged over mel rows: two [N,M,T,C] -> [N,T,2C]. The mean is taken first, for it
// commutes with the concatenation and is an eighth of the data.
Variable sequence_of(const Variable& a, const Variable& b) { return concat(mean(a, 1), mean(b, 1)); }

}  // namespace

V3::V3(const Architecture& a, const Scope& s)
    : trunk_(s, a.divisor),
      block4_1_(s / "conv_block4_1", 256 / a.divisor, 256 / a.divisor, kLastPool),
      block4_2_(s / "conv_block4_2", 256 / a.divisor, 256 / a.divisor, kLastPool),
      gru_1_(s / "gru_1", 512 / a.divisor, 128 / a.divisor),
      gru_2_(s / "gru_2", 512 / a.divisor, 128 / a.divisor),
      events_(s, 256 / a.divisor, a.classes_sed),
      scenes_(s, {.dimensions = 2,
                  .inputs = 256 / a.divisor,
                  .width = 384 / a.divisor,
                  .blocks = 3,
                  .code = 128 / a.divisor,
                  .classes = a.classes_asc}),
      tags_(s, 512 / a.divisor, 1024 / a.divisor, a.classes_tag) {}

Outputs V3::forward(const Variable& x, TaskSet tasks, const Pass& pass, Taps* taps) const {
  const Variable block3 = trunk_.forward(x, pass, taps);
  const bool sequences = tasks.has(Task::kTag) || tasks.has(Task::kSed);
  Outputs out;
  Variable block4_1;
  // A training pass for scenes alone runs block 4_1 as well, as released: its batch-norm averages move.
  if (sequences || pass.training || taps != nullptr) {
    block4_1 = block4_1_.forward(block3, pass);
    tap(taps, "block4_1", block4_1);
  }
  const Variable block4_2 = block4_2_.forward(block3, pass);
  tap(taps, "block4_2", block4_2);

  if (tasks.has(Task::kAsc)) out.asc = scenes_.forward(block4_2, pass, taps);
  if (!sequences) return out;

  const Variable sequence = sequence_of(block4_1, block4_2);
  tap(taps, "seq", sequence);
  const Variable gru_2 = gru_2_.forward(sequence);
  tap(taps, "gru_2", gru_2);
  if (tasks.has(Task::kSed)) out.sed = events_.forward(gru_2);
  if (tasks.has(Task::kTag) || taps != nullptr) {
    const Variable gru_1 = gru_1_.forward(sequence);
    tap(taps, "gru_1", gru_1);
    if (tasks.has(Task::kTag)) out.tag = tags_.forward(concat(gru_1, gru_2), pass, taps);
  }
  return out;
}

}  // namespace dcase
