#include "kernels/common/onednn.hpp"

#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>
#include <utility>

namespace dcase::onednn {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Desc = memory::desc;

// An engine is immutable and every object of oneDNN needs one.
const dnnl::engine& engine() {
  static const dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

/// Runs `body`, turning oneDNN's exceptions into ours.
template <class Body>
auto guarded(const char* what, const Body& body) {
  try {
    return body();
  } catch (const dnnl::error& error) {
    fail(ErrorKind::kDevice, "oneDNN ", version(), ": ", what, ": ", error.what());
  }
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

bool same(const Desc& a, const Desc& b) { return a == b; }

memory array(const Desc& desc, const float* data) {
  // oneDNN has no read-only memory objects; arguments that a primitive reads are not written.
  return {desc, engine(), const_cast<float*>(data)};
}

void execute(const dnnl::primitive& primitive, const Desc& scratchpad, std::unordered_map<int, memory> arguments,
             const Context& context) {
  const Scratch<std::byte> scratch(context, static_cast<std::int64_t>(scratchpad.get_size()));
  if (scratch.size() > 0) arguments.insert({DNNL_ARG_SCRATCHPAD, memory(scratchpad, engine(), scratch.data())});
  dnnl::stream stream(engine());
  primitive.execute(stream, arguments);
  stream.wait();
}

/// A primitive with the scratch memory it asks for.
struct Prepared {
  dnnl::primitive primitive;
  Desc scratchpad;
};

Prepared reorder(const Desc& from, const Desc& to, bool accumulate) {
  dnnl::primitive_attr attr = user_scratchpad();
  if (accumulate) {
    dnnl::post_ops ops;
    ops.append_sum(1.0F);
    attr.set_post_ops(ops);
  }
  const dnnl::reorder::primitive_desc desc(engine(), from, engine(), to, attr);
  return {dnnl::reorder(desc), desc.scratchpad_desc()};
}

}  // namespace

std::string version() {
  const dnnl::version_t* const v = dnnl::version();
  return concat(v->major, ".", v->minor, ".", v->patch);
}

Isa isa() {
  // Numbers of dnnl_cpu_isa_t are sets of bits: 0x3 is AVX, 0x7 AVX2, 0x27 AVX-512 core (F, BW, DQ, VL), in 2.6
  // and 3.x.
  static const Isa value = [] {
    const auto bits = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
    const auto has = [bits](dnnl::cpu_isa isa) {
      return (bits & static_cast<unsigned>(isa)) == static_cast<unsigned>(isa);
    };
    if (has(dnnl::cpu_isa::avx512_core)) return Isa::kAvx512;
    return has(dnnl::cpu_isa::avx2) ? Isa::kAvx2 : Isa::kGeneric;
  }();
  return value;
}

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::kAvx512:
      return "AVX-512";
    case Isa::kAvx2:
      return "AVX2";
    case Isa::kGeneric:
      break;
  }
  return "generic";
}

struct Layout::Impl {
  Desc desc;
};

std::size_t Layout::bytes() const { return impl_->desc.get_size(); }

bool operator==(const Layout& a, const Layout& b) { return same(a.impl_->desc, b.impl_->desc); }

struct Convolution::Impl {
  ConvolutionSpec spec;
  std::string implementation;
  Layout weights;
  Desc x, w, y;
  Prepared main;
  Prepared pack;               // canonical weights -> w; not for weight gradients
  Prepared unpack_set;         // w -> canonical weights; only for weight gradients
  Prepared unpack_accumulate;  // the same, added
  Desc canonical;
};

namespace {

Tag map_tag(MapLayout layout, bool in_eights) {
  if (layout == MapLayout::kGrouped16) return Tag::nChw16c;
  return in_eights ? Tag::nChw8c : Tag::nhwc;
}

/// What the versions of oneDNN name differently: a convolution's descriptors in one struct.
struct ConvolutionDescs {
  dnnl::prop_kind kind;
  dnnl::algorithm algorithm;
  Desc x, w, y;
  memory::dims strides, padding;
};

#if DNNL_VERSION_MAJOR >= 3
dnnl::convolution_forward::primitive_desc forward_desc(const ConvolutionDescs& d, const dnnl::primitive_attr& attr) {
  return {engine(), d.kind, d.algorithm, d.x, d.w, d.y, d.strides, d.padding, d.padding, attr, true};
}
dnnl::convolution_backward_data::primitive_desc data_desc(const ConvolutionDescs& d, const dnnl::primitive_attr& attr,
                                                          const dnnl::convolution_forward::primitive_desc& hint) {
  return {engine(), d.algorithm, d.x, d.w, d.y, d.strides, d.padding, d.padding, hint, attr, true};
}
dnnl::convolution_backward_weights::primitive_desc weights_desc(const ConvolutionDescs& d,
                                                                const dnnl::primitive_attr& attr,
                                                                const dnnl::convolution_forward::primitive_desc& hint) {
  return {engine(), d.algorithm, d.x, d.w, d.y, d.strides, d.padding, d.padding, hint, attr, true};
}
dnnl::matmul::primitive_desc matmul_desc(const Desc& a, const Desc& b, const Desc* bias, const Desc& c,
                                         const dnnl::primitive_attr& attr) {
  if (bias != nullptr) return {engine(), a, b, *bias, c, attr};
  return {engine(), a, b, c, attr};
}
void append_scale(dnnl::post_ops& ops, float alpha) {
  ops.append_eltwise(dnnl::algorithm::eltwise_linear, alpha, 0.0F);
}
#else
dnnl::convolution_forward::primitive_desc forward_desc(const ConvolutionDescs& d, const dnnl::primitive_attr& attr) {
  const dnnl::convolution_forward::desc op(d.kind, d.algorithm, d.x, d.w, d.y, d.strides, d.padding, d.padding);
  return {op, attr, engine(), true};
}
dnnl::convolution_backward_data::primitive_desc data_desc(const ConvolutionDescs& d, const dnnl::primitive_attr& attr,
                                                          const dnnl::convolution_forward::primitive_desc& hint) {
  const dnnl::convolution_backward_data::desc op(d.algorithm, d.x, d.w, d.y, d.strides, d.padding, d.padding);
  return {op, attr, engine(), hint, true};
}
dnnl::convolution_backward_weights::primitive_desc weights_desc(const ConvolutionDescs& d,
                                                                const dnnl::primitive_attr& attr,
                                                                const dnnl::convolution_forward::primitive_desc& hint) {
  const dnnl::convolution_backward_weights::desc op(d.algorithm, d.x, d.w, d.y, d.strides, d.padding, d.padding);
  return {op, attr, engine(), hint, true};
}
dnnl::matmul::primitive_desc matmul_desc(const Desc& a, const Desc& b, const Desc* bias, const Desc& c,
                                         const dnnl::primitive_attr& attr) {
  if (bias != nullptr) return {dnnl::matmul::desc(a, b, *bias, c), attr, engine()};
  return {dnnl::matmul::desc(a, b, c), attr, engine()};
}
void append_scale(dnnl::post_ops& ops, float alpha) {
  ops.append_eltwise(1.0F, dnnl::algorithm::eltwise_linear, alpha, 0.0F);
}
#endif

ConvolutionDescs descs(const ConvolutionSpec& s) {
  constexpr auto kFloat = memory::data_type::f32;
  // Channels-last with 8 channels is also the blocked-by-8 layout, whose kernels are up to 1.7 times faster in both
  // gradients (width/8 models). oneDNN takes the two layouts in pairs only.
  const bool in_eights = s.Ci == 8 && s.Co == 8 && s.pass != Pass::kForward;
  return {// Forward is prepared as inference even in training: the result is the same, and Winograd then takes weights
          // that are transformed once when packed instead of in every call.
          .kind = dnnl::prop_kind::forward_inference,
          .algorithm = s.winograd ? dnnl::algorithm::convolution_winograd : dnnl::algorithm::convolution_direct,
          .x = Desc({s.N, s.Ci, s.M, s.T}, kFloat, map_tag(s.x_layout, in_eights)),
          .w = Desc({s.Co, s.Ci, s.Km, s.Kt}, kFloat, Tag::any),
          .y = Desc({s.N, s.Co, s.My, s.Ty}, kFloat, map_tag(s.y_layout, in_eights)),
          .strides = {s.stride_m, s.stride_t},
          .padding = {s.Km / 2, s.Kt / 2}};
}

}  // namespace

Convolution::Convolution(std::unique_ptr<const Impl> impl) : impl_(std::move(impl)) {}
Convolution::~Convolution() = default;

std::shared_ptr<const Convolution> Convolution::create(const ConvolutionSpec& spec) {
  return guarded("convolution", [&]() -> std::shared_ptr<const Convolution> {
    const dnnl::primitive_attr attr = user_scratchpad();
    ConvolutionDescs d = descs(spec);
    auto impl = std::make_unique<Impl>();
    impl->spec = spec;
    impl->x = d.x;
    impl->y = d.y;
    if (spec.pass != Pass::kForward) d.kind = dnnl::prop_kind::forward_training;  // the hint of a backward pass
    const auto forward = forward_desc(d, attr);
    if (!forward) return nullptr;
    switch (spec.pass) {
      case Pass::kForward:
        impl->main = {dnnl::convolution_forward(forward), forward.scratchpad_desc()};
        impl->w = forward.weights_desc();
        impl->implementation = forward.impl_info_str();
        break;
      case Pass::kDataGradient: {
        const auto data = data_desc(d, attr, forward);
        if (!data) return nullptr;
        impl->main = {dnnl::convolution_backward_data(data), data.scratchpad_desc()};
        impl->w = data.weights_desc();
        impl->implementation = data.impl_info_str();
        break;
      }
      case Pass::kWeightGradient: {
        const auto weights = weights_desc(d, attr, forward);
        if (!weights) return nullptr;
        impl->main = {dnnl::convolution_backward_weights(weights), weights.scratchpad_desc()};
        impl->w = weights.diff_weights_desc();
        impl->implementation = weights.impl_info_str();
        break;
      }
    }
    impl->weights = Layout(std::make_shared<const Layout::Impl>(Layout::Impl{impl->w}));
    impl->canonical = Desc({spec.Co, spec.Ci, spec.Km, spec.Kt}, memory::data_type::f32, Tag::oihw);
    if (spec.pass == Pass::kWeightGradient) {
      impl->unpack_set = reorder(impl->w, impl->canonical, false);
      impl->unpack_accumulate = reorder(impl->w, impl->canonical, true);
    } else {
      impl->pack = reorder(impl->canonical, impl->w, false);
    }
    return std::shared_ptr<const Convolution>(new Convolution(std::move(impl)));
  });
}

const ConvolutionSpec& Convolution::spec() const { return impl_->spec; }
const std::string& Convolution::implementation() const { return impl_->implementation; }
const Layout& Convolution::weights_layout() const { return impl_->weights; }

bool Convolution::is_reference() const {
  const std::string& name = impl_->implementation;
  return name.find("ref") != std::string::npos || name.find("gemm") != std::string::npos;
}

void Convolution::run(float* x, float* w, float* y, const Context& context) const {
  static constexpr struct {
    int x, w, y;
  } kRoles[] = {{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST},
                {DNNL_ARG_DIFF_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_DST},
                {DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_DST}};
  const auto& role = kRoles[static_cast<int>(impl_->spec.pass)];
  guarded("convolution", [&] {
    execute(impl_->main.primitive, impl_->main.scratchpad,
            {{role.x, array(impl_->x, x)}, {role.w, array(impl_->w, w)}, {role.y, array(impl_->y, y)}}, context);
  });
}

void Convolution::pack_weights(const float* canonical, float* packed, const Context& context) const {
  guarded("reorder of weights", [&] {
    execute(impl_->pack.primitive, impl_->pack.scratchpad,
            {{DNNL_ARG_FROM, array(impl_->canonical, canonical)}, {DNNL_ARG_TO, array(impl_->w, packed)}}, context);
  });
}

void Convolution::unpack_weights(const float* packed, float* canonical, bool accumulate, const Context& context) const {
  const Prepared& unpack = accumulate ? impl_->unpack_accumulate : impl_->unpack_set;
  guarded("reorder of a weight gradient", [&] {
    execute(unpack.primitive, unpack.scratchpad,
            {{DNNL_ARG_FROM, array(impl_->w, packed)}, {DNNL_ARG_TO, array(impl_->canonical, canonical)}}, context);
  });
}

void multiply(const Product& p, const Context& context) {
  guarded("matmul", [&] {
    constexpr auto kFloat = memory::data_type::f32;
    const auto matrix = [](std::int64_t rows, std::int64_t columns, bool transposed) {
      const memory::dims strides = transposed ? memory::dims{1, rows} : memory::dims{columns, 1};
      return Desc({rows, columns}, kFloat, strides);
    };
    const Desc a = matrix(p.m, p.k, p.trans_a);
    const Desc b = matrix(p.k, p.n, p.trans_b);
    const Desc c = matrix(p.m, p.n, false);
    const Desc bias({1, p.n}, kFloat, memory::dims{p.n, 1});
    dnnl::primitive_attr attr = user_scratchpad();
    dnnl::post_ops ops;
    if (p.alpha != 1.0F) append_scale(ops, p.alpha);
    if (p.accumulate) ops.append_sum(1.0F);
    attr.set_post_ops(ops);
    // Created anew in each call: on a hit in oneDNN's own cache that costs about 5 us.
    const auto desc = matmul_desc(a, b, p.bias != nullptr ? &bias : nullptr, c, attr);
    std::unordered_map<int, memory> arguments = {
        {DNNL_ARG_SRC, array(a, p.a)}, {DNNL_ARG_WEIGHTS, array(b, p.b)}, {DNNL_ARG_DST, array(c, p.c)}};
    if (p.bias != nullptr) arguments.insert({DNNL_ARG_BIAS, array(bias, p.bias)});
    execute(dnnl::matmul(desc), desc.scratchpad_desc(), std::move(arguments), context);
  });
}

}  // namespace dcase::onednn
