#pragma once
#include "dcasenet/onnx/graph.hpp"
#include "kernels/mel_stft/mel_stft.hpp"

namespace dcase::onnx {

/// The log-mel front end of kernels/mel_stft as nodes: pcm [N,S] -> [N,mels,T], normalised over time.
///
/// The transform is one convolution with windowed sines and cosines, not the STFT operator, which many runtimes lack: 8
/// MB of constants, and at 2 million products a frame little beside the network. Its kernels are as long as the window,
/// for a power spectrum does not see where in the frame the window stands. The signal is mirrored once at its ends, so
/// it needs more than half a window (the models need far more).
Value front_end(Graph& g, const MelParameters& parameters, const Value& pcm);

}  // namespace dcase::onnx
