#include "tests/emulator/fake_runtime.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tests/emulator/grid.hpp"

namespace dcase::emulator::fake {

namespace {

Settings settings_of_environment() {
  const auto number = [](const char* text) {
    char* end = nullptr;
    const std::uint64_t value = std::strtoull(text, &end, 10);
    if (end == text || *end != '\0') {
      std::fprintf(stderr, "DCASE_EMULATED_STREAMS or _MEMORY: '%s' is no number\n", text);
      std::exit(2);
    }
    return value;
  };
  Settings settings;
  if (const char* streams = std::getenv("DCASE_EMULATED_STREAMS"); streams != nullptr) {
    settings.lazy = std::string(streams) != "eager";
    if (settings.lazy) settings.random.seed(number(streams));
  }
  if (const char* memory = std::getenv("DCASE_EMULATED_MEMORY"); memory != nullptr) {
    settings.memory_limit = number(memory) << 20U;
  }
  return settings;
}

}  // namespace

Runtime& runtime() {
  // Never destroyed: objects of the program may outlive everything that stands in a source file.
  static auto* const the_runtime = [] {
    auto* const fresh = new Runtime;
    fresh->settings = settings_of_environment();
    return fresh;
  }();
  return *the_runtime;
}

ThreadState& this_thread() {
  thread_local ThreadState state;
  return state;
}

void Runtime::reset() {
  drop_all();
  for (StreamState& stream : default_streams_) stream = {};
  streams = {};
  events = {};
  graphs = {};
  executables = {};
  memory = std::make_unique<Memory>();
  settings = {};
  sticky = cudaSuccess;
  fault.clear();
  refusal.clear();
  operations_run_ = kernels_run_ = clock_ = 0;
}

void Runtime::require_device() const {
  if (settings.driver_version < CUDART_VERSION) {
    refuse(cudaErrorInsufficientDriver, "driver ", settings.driver_version, ", runtime ", CUDART_VERSION);
  }
  if (settings.devices == 0) refuse(cudaErrorNoDevice, "no device");
}

StreamState& Runtime::stream(cudaStream_t handle) {
  if (handle != nullptr && handle != cudaStreamLegacy) return streams.at(handle, "stream");
  StreamState& stream = default_streams_[this_thread().device];
  stream.device = this_thread().device;
  refuse_default_stream_in_capture(stream);
  return stream;
}

void Runtime::refuse_default_stream_in_capture(const StreamState& stream) {
  for (auto& [handle, other] : streams.all()) {
    if (other.device == stream.device && other.blocking() && other.capture != nullptr) {
      spoil(*other.capture, cudaErrorStreamCaptureImplicit,
            "the default stream would wait for a stream that is being captured");
    }
  }
}

std::vector<OperationPtr> Runtime::ahead(const StreamState& stream) {
  std::vector<OperationPtr> after = {stream.tail};
  const StreamState& default_stream = default_streams_[stream.device];
  if (&stream == &default_stream) {
    for (const auto& [handle, other] : streams.all()) {
      if (other.device == stream.device && other.blocking()) after.push_back(other.tail);
    }
  } else if (stream.blocking()) {
    after.push_back(default_stream.tail);
  }
  return after;
}

OperationPtr Runtime::submit(StreamState& stream, Work work) {
  if (stream.capture != nullptr) {
    Capture& capture = *stream.capture;
    if (!capture.valid) refuse(cudaErrorStreamCaptureInvalidated, "an earlier call spoiled the capture");
    capture.nodes.push_back({std::move(work), {stream.capture_tail.begin(), stream.capture_tail.end()}});
    stream.capture_tail = {capture.nodes.size() - 1};
    return nullptr;
  }
  stream.tail = enqueue(std::move(work), ahead(stream));
  if (!settings.lazy) synchronize_all();
  return stream.tail;
}

OperationPtr Runtime::position(StreamState& stream) {
  if (&stream != &default_streams_[stream.device]) return stream.tail;
  return submit(stream, {.kind = Kind::kMarker, .name = "position", .run = {}});
}

OperationPtr Runtime::enqueue(Work work, const std::vector<OperationPtr>& after) {
  auto operation = std::make_shared<Operation>();
  operation->work = std::move(work);
  for (const OperationPtr& previous : after) {
    if (previous == nullptr || previous->done) continue;
    previous->followers.push_back(operation);
    ++operation->missing;
  }
  if (operation->missing == 0) ready_.push_back(operation);
  if (operation->work.run) ++pending_;
  return operation;
}

void Runtime::record(EventState& event, StreamState& stream) {
  if (event.device != stream.device) {
    refuse(cudaErrorInvalidResourceHandle, "event of device ", event.device, ", stream of device ", stream.device);
  }
  if (stream.capture != nullptr) {
    if (!stream.capture->valid) refuse(cudaErrorStreamCaptureInvalidated, "an earlier call spoiled the capture");
    event.capture = stream.capture;
    event.capture_nodes = stream.capture_tail;
    return;
  }
  event.capture = nullptr;
  event.record = submit(stream, {.kind = Kind::kMarker, .name = "event", .run = {}});
}

void Runtime::wait(StreamState& stream, EventState& event) {
  if (event.capture != nullptr) {
    if (event.capture->ended) {
      refuse(cudaErrorCapturedEvent, "the event was last recorded in a capture that has ended");
    }
    if (&stream == &default_streams_[stream.device]) {
      spoil(*event.capture, cudaErrorStreamCaptureImplicit, "the default stream cannot join a capture");
    }
    if (stream.capture == nullptr) {
      stream.capture = event.capture;
      stream.capture_tail.clear();
    }
    if (stream.capture != event.capture) {
      event.capture->valid = false;
      spoil(*stream.capture, cudaErrorStreamCaptureMerge, "the event belongs to another capture");
    }
    stream.capture_tail.insert(event.capture_nodes.begin(), event.capture_nodes.end());
    return;
  }
  if (stream.capture != nullptr) {
    spoil(*stream.capture, cudaErrorStreamCaptureIsolation, "a captured stream waits for an event outside the capture");
  }
  if (event.record == nullptr) return;
  std::vector<OperationPtr> after = ahead(stream);
  after.push_back(event.record);
  stream.tail = enqueue({.kind = Kind::kMarker, .name = "wait", .run = {}}, after);
  if (!settings.lazy) synchronize_all();
}

void Runtime::synchronize(const OperationPtr& operation) {
  while (operation != nullptr && !operation->done && sticky == cudaSuccess) run_one();
  check_damage("synchronisation");
}

void Runtime::synchronize_all() {
  while (!ready_.empty() && sticky == cudaSuccess) run_one();
  check_damage("synchronisation");
}

void Runtime::run_one() {
  if (ready_.empty() || sticky != cudaSuccess) return;
  const std::size_t chosen = settings.lazy ? settings.random() % ready_.size() : 0;
  const OperationPtr operation = std::move(ready_[chosen]);
  ready_.erase(ready_.begin() + static_cast<std::ptrdiff_t>(chosen));
  run(*operation);
  if (sticky != cudaSuccess) {
    ready_.push_back(operation);
    drop_all();
    return;
  }
  operation->done = true;
  operation->finished_at = ++clock_;
  for (OperationPtr& follower : operation->followers) {
    if (--follower->missing == 0) ready_.push_back(std::move(follower));
  }
  operation->followers.clear();
}

void Runtime::run(Operation& operation) {
  Work& work = operation.work;
  if (!work.run) return;
  this_thread().inside_operation = true;
  try {
    work.run();
    if (work.kind == Kind::kKernel) check_damage(work.name);
  } catch (const KernelFault& kernel_fault) {
    fail(cudaErrorLaunchFailure, kernel_fault.what());
  } catch (const Fault& other) {
    fail(work.kind == Kind::kKernel ? cudaErrorLaunchFailure : cudaErrorIllegalAddress, other.what());
  } catch (const std::exception& other) {
    fail(cudaErrorUnknown, concat(work.name, ": ", other.what()));
  }
  this_thread().inside_operation = false;
  work.run = {};  // what it holds (arguments, staged bytes) is not needed any more
  if (sticky != cudaSuccess) return;
  --pending_;
  if (work.kind != Kind::kMarker) ++operations_run_;
  if (work.kind == Kind::kKernel) ++kernels_run_;
}

void Runtime::check_damage(const std::string& after) {
  if (sticky != cudaSuccess) return;
  const std::string found = memory->damage();
  if (!found.empty()) fail(cudaErrorIllegalAddress, concat(found, " (seen after ", after, ")"));
}

void Runtime::fail(cudaError_t code, const std::string& text) {
  sticky = code;
  fault = text;
  drop_all();
}

void Runtime::drop_all() {
  // Not by the destructors of long chains, which would call each other.
  while (!ready_.empty()) {
    const OperationPtr operation = std::move(ready_.back());
    ready_.pop_back();
    for (OperationPtr& follower : operation->followers) {
      if (--follower->missing == 0) ready_.push_back(std::move(follower));
    }
    operation->followers.clear();
  }
  pending_ = 0;
}

}  // namespace dcase::emulator::fake
