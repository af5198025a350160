#pragma once
/// PyTorch as a peer: bench/peers/pytorch_peer.py in a process of its own, asked sample by sample.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/child.hpp"

namespace dcase::bench {

class Peer {
 public:
  /// Null, with the reason in `why`, where PyTorch is not installed. `isa_avx512`: this machine has AVX-512, which
  /// PyTorch may use too.
  [[nodiscard]] static std::unique_ptr<Peer> start(int threads, bool avx512, std::string& why);

  [[nodiscard]] const std::string& version() const { return version_; }
  [[nodiscard]] const std::string& blas() const { return blas_; }

  /// Builds a case and warms it up; the names of its variants ("eager_nchw", "channels_last").
  [[nodiscard]] std::vector<std::string> prepare(const std::string& case_name, double sample_ms);
  /// One sample of a variant of the case prepared last: milliseconds a call.
  [[nodiscard]] double sample(const std::string& variant);
  /// Peak memory in MiB of a fresh process that runs nothing but three calls of this variant.
  [[nodiscard]] double memory(const std::string& case_name, const std::string& variant) const;

 private:
  Peer() = default;
  std::unique_ptr<Child> child_;
  std::map<std::string, std::string> environment_;
  std::string version_;
  std::string blas_;
};

}  // namespace dcase::bench
