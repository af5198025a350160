/// Capture of streams into graphs, and their replay.

#include <algorithm>

#include "tests/emulator/fake_runtime.hpp"

namespace dcase::emulator::fake {
namespace {

// Which nodes come before (or are in) the set.
std::vector<bool> reached_from(const Nodes& nodes, const NodeSet& ends) {
  std::vector<bool> reached(nodes.size(), false);
  for (const std::size_t end : ends) reached[end] = true;
  for (std::size_t i = nodes.size(); i-- > 0;) {  // a node's predecessors stand before it
    if (!reached[i]) continue;
    for (const std::size_t previous : nodes[i].after) reached[previous] = true;
  }
  return reached;
}

}  // namespace

void Runtime::begin_capture(cudaStream_t handle, cudaStreamCaptureMode mode) {
  if (handle == nullptr || handle == cudaStreamLegacy) {
    refuse(cudaErrorStreamCaptureUnsupported, "the default stream cannot be captured");
  }
  StreamState& stream = streams.at(handle, "stream");
  if (stream.capture != nullptr) refuse(cudaErrorIllegalState, "the stream is being captured already");
  stream.capture = std::make_shared<Capture>();
  stream.capture->origin = handle;
  stream.capture->mode = mode;
  stream.capture->thread = std::this_thread::get_id();
  stream.capture_tail.clear();
}

std::shared_ptr<const Nodes> Runtime::end_capture(cudaStream_t handle) {
  StreamState& stream = this->stream(handle);
  const CapturePtr capture = stream.capture;
  if (capture == nullptr) refuse(cudaErrorIllegalState, "the stream is not being captured");
  if (capture->origin != handle) {
    spoil(*capture, cudaErrorStreamCaptureUnmatched, "the capture began in another stream");
  }
  if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id()) {
    refuse(cudaErrorStreamCaptureWrongThread, "the capture began in another thread");
  }
  const std::vector<bool> joined = reached_from(capture->nodes, stream.capture_tail);
  capture->ended = true;
  for (auto& [other_handle, other] : streams.all()) {
    if (other.capture != capture) continue;
    other.capture = nullptr;
    other.capture_tail.clear();
  }
  if (!capture->valid) refuse(cudaErrorStreamCaptureInvalidated, "an earlier call spoiled the capture");
  const auto unjoined = std::find(joined.begin(), joined.end(), false);
  if (unjoined != joined.end()) {
    const auto index = static_cast<std::size_t>(unjoined - joined.begin());
    refuse(cudaErrorStreamCaptureUnjoined, capture->nodes[index].work.name,
           " stands in a stream that was not joined back into the first one");
  }
  return std::make_shared<const Nodes>(std::move(capture->nodes));
}

void Runtime::spoil(Capture& capture, cudaError_t code, const std::string& text) {
  capture.valid = false;
  throw Refusal(code, text);
}

Capture* Runtime::capture_of_this_thread() {
  for (auto& [handle, stream] : streams.all()) {
    if (stream.capture != nullptr && stream.capture->thread == std::this_thread::get_id()) return stream.capture.get();
  }
  return nullptr;
}

void Runtime::require_safe() {
  if (this_thread().capture_mode == cudaStreamCaptureModeRelaxed) return;
  for (auto& [handle, stream] : streams.all()) {
    if (stream.capture == nullptr || stream.capture->mode == cudaStreamCaptureModeRelaxed) continue;
    const bool own = stream.capture->thread == std::this_thread::get_id();
    const bool of_all = stream.capture->mode == cudaStreamCaptureModeGlobal &&
                        this_thread().capture_mode == cudaStreamCaptureModeGlobal;
    if (own || of_all) {
      spoil(*stream.capture, cudaErrorStreamCaptureUnsupported, "not permitted while a stream is being captured");
    }
  }
}

void Runtime::launch(ExecutableState& executable, StreamState& stream) {
  if (stream.capture != nullptr) refuse(cudaErrorNotSupported, "graphs inside of graphs are not modelled");
  std::vector<OperationPtr> roots = ahead(stream);
  roots.push_back(executable.last);
  const OperationPtr begin = enqueue({.kind = Kind::kMarker, .name = "graph begins", .run = {}}, roots);
  std::vector<OperationPtr> all = {begin};
  for (const Node& node : *executable.nodes) {
    std::vector<OperationPtr> after = {begin};
    for (const std::size_t previous : node.after) after.push_back(all[previous + 1]);
    all.push_back(enqueue(node.work, after));
  }
  stream.tail = executable.last = enqueue({.kind = Kind::kMarker, .name = "graph ends", .run = {}}, all);
  if (!settings.lazy) synchronize_all();
}

}  // namespace dcase::emulator::fake
