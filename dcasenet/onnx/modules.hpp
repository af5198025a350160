#pragma once
/// The modules of layers/ as ONNX nodes, so that a network's export reads as its forward function does. Maps are
/// [N,C,M,T], sequences [N,T,F]; `prefix` is the module's place in the state_dict, and node names are built from it.

#include "dcasenet/onnx/graph.hpp"

namespace dcase::onnx {

/// [N,Ci,M,T] -> [N,Co,M/pool_m,T/pool_t]
Value conv_block(Graph& g, const std::string& prefix, const Value& x, std::int64_t pool_m, std::int64_t pool_t);

/// [N,Ci,M,T] -> [N,Co,M',T'], or with kernels along T alone [N,Ci,T] -> [N,Co,T'], as the weights are
Value se_residual(Graph& g, const std::string& prefix, const Value& x, std::int64_t stride);

/// [N,T,F] -> [N,T,2H]. ONNX has the gates in the order z, r, n (which it calls h), and both directions in one tensor.
Value bi_gru(Graph& g, const std::string& prefix, const Value& x);

/// x W^T + b along the last axis
Value linear(Graph& g, const std::string& prefix, const Value& x);

/// Mean over some axes, which vanish.
Value mean(Graph& g, const std::string& name, const Value& x, const std::vector<std::int64_t>& axes);

Value transpose(Graph& g, const std::string& name, const Value& x, const std::vector<std::int64_t>& order);

/// [N,T,F] -> [N,T*times,F], each step repeated
Value repeat_time(Graph& g, const std::string& name, const Value& x, std::int64_t features, std::int64_t times);

/// Two linear layers, each with ReLU behind it: state 0 and 3 below the prefix (layers/dense_block.hpp).
Value dense_block(Graph& g, const std::string& prefix, const Value& x);

}  // namespace dcase::onnx
