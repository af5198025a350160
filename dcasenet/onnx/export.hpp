#pragma once
/// Models as ONNX files, for other runtimes. Written by hand in the wire format (message.hpp): no library is needed.

#include <cstdint>
#include <string>

#include "dcasenet/model.hpp"

namespace dcase {

enum class OnnxPart : std::uint8_t {
  /// log_mel [N,128,T], normalised, T >= 40 -> asc [N,K] and tag [N,K] logits, sed [N,8*(T/40),K] probabilities
  kNetwork,
  /// pcm [N,S], mono at the front end's rate, full scale 1, S > 39 hops -> probabilities: asc [N,K], tag [N,K],
  /// sed [N,8*(T/40),K] with T = 1 + (S-1)/hop. One window: each item is normalised over its own time.
  kPipeline,
};

struct OnnxOptions {
  OnnxPart part = OnnxPart::kNetwork;
  int opset = 17;  ///< 13 .. 17
};

/// Writes the model in evaluation mode, atomically; N, T and S are open. Tensors have their names of the state_dict;
/// the class lists and the front end stand in the file's metadata as in a model file. Throws Error(kIo), Error(kUsage)
/// for an opset that is not offered.
void export_onnx(const Model& model, const OnnxOptions& options, const std::string& path);

}  // namespace dcase
