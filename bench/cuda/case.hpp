#pragma once
/// A case on a CUDA device: one call of the product at one size, by every kernel that takes it.

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "bench/inputs.hpp"
#include "engine/tensor.hpp"
#include "kernels/common/variant.hpp"

namespace dcase::bench::gpu {

/// Counts what goes through another allocator.
class Meter final : public Allocator {
 public:
  explicit Meter(BackendPtr backend) : backend_(std::move(backend)) {}
  [[nodiscard]] void* allocate(std::size_t bytes) override { return note(backend_->allocator().allocate(bytes)); }
  [[nodiscard]] void* allocate_kept(std::size_t bytes) override {
    return note(backend_->allocator().allocate_kept(bytes));
  }
  void release(void* block) noexcept override { backend_->allocator().release(block); }

  /// Largest number of bytes of the backend in use at any allocation since the last restart.
  [[nodiscard]] std::size_t peak() const { return peak_; }
  void restart() { peak_ = backend_->memory().bytes_in_use; }

 private:
  void* note(void* block) {
    peak_ = std::max(peak_, backend_->memory().bytes_in_use);
    return block;
  }
  BackendPtr backend_;
  std::size_t peak_ = 0;
};

/// Where a case runs. `context` is the backend's, with scratch memory through a meter.
struct Setting {
  BackendPtr backend;
  Context context;
  bool tiny = false;  ///< sizes for an emulated device
};

/// Outputs one after the other, on the host.
using Results = std::vector<std::vector<float>>;

struct Candidate {
  std::string name;           ///< in the operator's table: "halo_bf16"
  std::function<void()> run;  ///< puts one call into the stream
};

/// Inputs are on the device. Everything is kept alive by the functions.
struct Prepared {
  std::vector<Candidate> candidates;  ///< the fastest first
  std::function<void()> reset;        ///< before a call that is checked: outputs are as if never written
  std::function<Results()> read;      ///< what the last call left
  Results reference;                  ///< empty: the results of the last candidate, the simple kernel
  bool compared = false;  ///< by prepare at a smaller size, with this error; nothing is asked of `reference` then
  double error = 0;
  double bound = 0;  ///< of the relative error
  Cost cost;
};

struct DeviceCase {
  std::string name;   ///< "conv2d_forward/conv1_2/32x251"; up to the first / the name of the table
  std::string shape;  ///< sizes, for people
  std::function<Prepared(const Setting&)> prepare;
  bool captured = true;  ///< timed in a graph; false: a path through the product, which reads results back
};

/// All of them, in the order of the report. Making the list computes nothing.
[[nodiscard]] std::vector<DeviceCase> device_cases(bool tiny);

// The parts of the list, one a file of bench/cuda/cases/.
void add_convolutions(std::vector<DeviceCase>& cases, bool tiny);
void add_sequences(std::vector<DeviceCase>& cases, bool tiny);
void add_audio(std::vector<DeviceCase>& cases, bool tiny);
void add_light(std::vector<DeviceCase>& cases, bool tiny);
void add_whole(std::vector<DeviceCase>& cases, bool tiny);

/// Relative 2-norm that a kernel may be away from the simple one, which multiplies in float: operands are rounded at
/// random to 8 or 11 bits, or sums are in another order.
[[nodiscard]] double bound_of(Precision precision);

/// The largest relative error of any output; infinite where a number is not finite.
[[nodiscard]] double largest_error(const Results& results, const Results& reference);

[[nodiscard]] Tensor on_device(const Setting& s, const std::string& name, const Shape& shape, float deviation = 1);

/// Every variant of a table that takes the arguments. `keep` holds what they point to.
template <class Args>
[[nodiscard]] Prepared by_table(std::span<const cuda::Variant<Args>> table, const Args& args, const Setting& s,
                                const std::vector<Tensor>& outputs, const Cost& cost,
                                const std::shared_ptr<const void>& keep) {
  Prepared p{.bound = bound_of(s.context.precision), .cost = cost};
  for (const auto& variant : table) {
    if (!variant.takes(args, s.context)) continue;
    p.candidates.push_back(
        {variant.name, [run = variant.run, args, context = s.context, keep] { run(args, context); }});
  }
  p.reset = [outputs] {
    for (const Tensor& y : outputs) y.fill(std::numeric_limits<float>::quiet_NaN());
  };
  p.read = [outputs] {
    Results results;
    for (const Tensor& y : outputs) results.push_back(y.to_vector());
    return results;
  };
  return p;
}

}  // namespace dcase::bench::gpu
