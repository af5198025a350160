#pragma once
/// The networks of dcasenet/ as ONNX nodes, in the words of their forward functions.

#include "dcasenet/network.hpp"
#include "dcasenet/onnx/graph.hpp"

namespace dcase::onnx {

struct Heads {
  Value asc, tag;  ///< [N,K] logits
  Value sed;       ///< [N,8*(T/40),K] probabilities
};

/// log_mel [N,128,T]
Heads network(Graph& g, const Architecture& architecture, const Value& log_mel);

}  // namespace dcase::onnx
