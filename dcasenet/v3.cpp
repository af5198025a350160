#include "dcasenet/v3.hpp"

#include "layers/functional.hpp"

namespace dcase {
namespace {

constexpr ConvBlock::Pool kHalve{.m = 2, .t = 2};
constexpr ConvBlock::Pool kLast{.m = 2, .t = 5};

// Dropout of the tagging head, as released.
constexpr float kDropout1 = 0.2F;
constexpr float kDropout2 = 0.1F;

void tap(Taps* taps, const char* name, const Variable& x) {
  if (taps != nullptr) (*taps)[name] = x.value();
}

// Maps of 4_1 and 4_2 side by side, averaged over mel rows: two [N,M,T,C] -> [N,T,2C]. The mean is taken first, for it
// commutes with the concatenation and is an eighth of the data.
Variable sequence_of(const Variable& a, const Variable& b) { return concat(mean(a, 1), mean(b, 1)); }

}  // namespace

V3::V3(const Architecture& a, const Scope& s)
    : block1_(s / "conv_block1", 1, 64 / a.divisor, kHalve),
      block2_(s / "conv_block2", 64 / a.divisor, 128 / a.divisor, kHalve),
      block3_(s / "conv_block3", 128 / a.divisor, 256 / a.divisor, kHalve),
      block4_1_(s / "conv_block4_1", 256 / a.divisor, 256 / a.divisor, kLast),
      block4_2_(s / "conv_block4_2", 256 / a.divisor, 256 / a.divisor, kLast),
      gru_1_(s / "gru_1", 512 / a.divisor, 128 / a.divisor),
      gru_2_(s / "gru_2", 512 / a.divisor, 128 / a.divisor),
      event_fc_(s / "event_fc", 256 / a.divisor, a.classes_sed, kaiming_uniform(256 / a.divisor),
                Initializer::constant(0)),
      asc_0_(s / "layer_ASC" / "0", 256 / a.divisor, 384 / a.divisor, {.stride = 2}),
      asc_1_(s / "layer_ASC" / "1", 384 / a.divisor, 384 / a.divisor, {}),
      asc_2_(s / "layer_ASC" / "2", 384 / a.divisor, 384 / a.divisor, {}),
      code_asc_(s / "code_ASC", 384 / a.divisor, 128 / a.divisor),
      fc_asc_(s / "fc_ASC", 128 / a.divisor, a.classes_asc),
      tag_0_(s / "layer_TAG" / "0", 512 / a.divisor, 1024 / a.divisor),
      tag_3_(s / "layer_TAG" / "3", 1024 / a.divisor, 1024 / a.divisor),
      tag_6_(s / "layer_TAG" / "6", 1024 / a.divisor, a.classes_tag) {}

Outputs V3::forward(const Variable& x, TaskSet tasks, const Pass& pass, Taps* taps) const {
  const Tensor& in = x.value();
  DCASE_CHECK(in.rank() == 4 && in.dim(1) == 128 && in.dim(3) == 1, "v3: input has shape ", to_string(in.shape()),
              ", expected [N,128,T,1]");
  DCASE_CHECK(in.dim(2) >= kFramesPerStep, "v3: ", in.dim(2), " frames are too short, at least ", kFramesPerStep,
              " are needed");
  const Variable block1 = block1_.forward(x, pass);
  const Variable block2 = block2_.forward(block1, pass);
  const Variable block3 = block3_.forward(block2, pass);
  tap(taps, "block1", block1);
  tap(taps, "block2", block2);
  tap(taps, "block3", block3);

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

  if (tasks.has(Task::kAsc)) out.asc = scene(block4_2, pass, taps);
  if (!sequences) return out;

  const Variable sequence = sequence_of(block4_1, block4_2);
  tap(taps, "seq", sequence);
  const Variable gru_2 = gru_2_.forward(sequence);
  tap(taps, "gru_2", gru_2);
  if (tasks.has(Task::kSed)) out.sed = repeat_time(sigmoid(event_fc_.forward(gru_2)), kLabelsPerStep);
  if (tasks.has(Task::kTag) || taps != nullptr) {
    const Variable gru_1 = gru_1_.forward(sequence);
    tap(taps, "gru_1", gru_1);
    if (tasks.has(Task::kTag)) out.tag = tags(mean(concat(gru_1, gru_2), 1), pass);
  }
  return out;
}

Variable V3::scene(const Variable& map, const Pass& pass, Taps* taps) const {
  const Variable y = asc_2_.forward(asc_1_.forward(asc_0_.forward(map, pass), pass), pass);
  tap(taps, "layer_ASC", y);
  const Variable pooled =
      mean(reshape(y, {y.value().dim(0), y.value().dim(1) * y.value().dim(2), y.value().dim(3)}), 1);
  return fc_asc_.forward(code_asc_.forward(pooled));
}

Variable V3::tags(const Variable& sequence, const Pass& pass) const {
  const bool drop = pass.training && pass.dropout;
  Variable y = relu(tag_0_.forward(sequence));
  if (drop) y = dropout(y, kDropout1, pass.random.key("dropout/layer_TAG.2"));
  y = relu(tag_3_.forward(y));
  if (drop) y = dropout(y, kDropout2, pass.random.key("dropout/layer_TAG.5"));
  return tag_6_.forward(y);
}

std::unique_ptr<Network> make_network(const Architecture& a, ParameterStore& store) {
  DCASE_CHECK(a.version == 3, "network: DcaseNet v", a.version, " is not built, only v3");
  DCASE_CHECK(a.divisor == 1 || a.divisor == 2 || a.divisor == 4 || a.divisor == 8, "network: width 1/", a.divisor,
              " is not offered, only 1, 1/2, 1/4 and 1/8");
  for (const Task task : kAllTasks) {
    DCASE_CHECK(a.classes(task) >= 1 && a.classes(task) <= 100000, "network: ", a.classes(task), " classes for ",
                task_name(task));
  }
  auto network = std::make_unique<V3>(a, Scope(store));
  store.allocate();
  return network;
}

}  // namespace dcase
