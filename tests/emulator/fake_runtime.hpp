#pragma once
/// Inside of the fake CUDA runtime: operations, streams, events, captures. fake_cudart*.cpp turn it into the C
/// functions.
///
/// An operation knows how many others it still waits for; streams, events and graphs are only ways to say which. So one
/// rule runs everything: take any operation that waits for nothing.

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "kernels/common/error.hpp"
#include "tests/emulator/fake_memory.hpp"

namespace dcase::emulator::fake {

/// An operation went wrong while it ran: the sticky error of the context, with this text.
class Fault : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The call is refused: its return value, and why.
class Refusal : public std::runtime_error {
 public:
  Refusal(cudaError_t code, const std::string& text) : std::runtime_error(text), code_(code) {}
  [[nodiscard]] cudaError_t code() const noexcept { return code_; }

 private:
  cudaError_t code_;
};

template <class... Parts>
[[noreturn]] void refuse(cudaError_t code, const Parts&... parts) {
  throw Refusal(code, concat(parts...));
}

enum class Kind : std::uint8_t { kMarker, kCopy, kMemset, kHost, kKernel };

struct Work {
  Kind kind = Kind::kMarker;
  std::string name;
  std::function<void()> run;  // empty for markers; called once, or once for each launch of a graph
};

struct Operation {
  Work work;
  std::vector<std::shared_ptr<Operation>> followers;
  int missing = 0;  // operations ahead that have not run
  bool done = false;
  std::uint64_t finished_at = 0;  // on the clock that counts operations
};
using OperationPtr = std::shared_ptr<Operation>;

struct Node {
  Work work;
  std::vector<std::size_t> after;  // nodes before it in the list
};
using Nodes = std::vector<Node>;
using NodeSet = std::set<std::size_t>;

struct Capture {
  cudaStream_t origin = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  bool valid = true;
  bool ended = false;
  Nodes nodes;
};
using CapturePtr = std::shared_ptr<Capture>;

struct StreamState {
  int device = 0;
  unsigned flags = 0;
  int priority = 0;
  OperationPtr tail;     // the last operation; null before the first
  CapturePtr capture;    // null unless work is captured
  NodeSet capture_tail;  // what the next captured node comes after
  [[nodiscard]] bool blocking() const { return (flags & cudaStreamNonBlocking) == 0; }
};

struct EventState {
  int device = 0;
  unsigned flags = 0;
  OperationPtr record;  // null before the first
  CapturePtr capture;   // of the last record, where it was captured
  NodeSet capture_nodes;
};

struct GraphState {
  std::shared_ptr<const Nodes> nodes;
};

struct ExecutableState {
  std::shared_ptr<const Nodes> nodes;
  OperationPtr last;  // the end of its last launch: launches of one executable follow each other
};

/// Handles are numbers that are never dereferenced and never used twice.
template <class Handle, class State>
class Table {
 public:
  Handle add(State state) {
    auto handle = reinterpret_cast<Handle>(next_);  // NOLINT(performance-no-int-to-ptr)
    next_ += 16;
    states_.emplace(handle, std::move(state));
    return handle;
  }
  [[nodiscard]] State& at(Handle handle, const char* what) {
    const auto it = states_.find(handle);
    if (it == states_.end()) refuse(cudaErrorInvalidResourceHandle, what, " ", handle, " does not exist");
    return it->second;
  }
  void remove(Handle handle) { states_.erase(handle); }
  [[nodiscard]] std::size_t size() const { return states_.size(); }
  [[nodiscard]] std::map<Handle, State>& all() { return states_; }

 private:
  std::map<Handle, State> states_;
  inline static std::uintptr_t next_ = 0x10000;  // outlives a reset, so that handles from before are unknown after it
};

struct Settings {
  bool lazy = true;
  std::mt19937_64 random{0};
  int devices = 1;
  std::size_t memory_limit = std::size_t{1} << 30;
  int major = 9;
  int minor = 0;
  int driver_version = CUDART_VERSION;
};

/// What a capture is asked before a call that the real runtime takes for unsafe while one is under way.
enum class Safety : std::uint8_t { kAlways, kNotInCapture };

class Runtime {
 public:
  std::mutex mutex;  // held by every call, also while operations run
  Settings settings;
  std::unique_ptr<Memory> memory = std::make_unique<Memory>();
  Table<cudaStream_t, StreamState> streams;
  Table<cudaEvent_t, EventState> events;
  Table<cudaGraph_t, GraphState> graphs;
  Table<cudaGraphExec_t, ExecutableState> executables;
  cudaError_t sticky = cudaSuccess;
  std::string fault;
  std::string refusal;

  void reset();
  /// Throws unless there is a driver and a device.
  void require_device() const;
  void require_safe();

  /// The default stream of the current device for a null handle.
  StreamState& stream(cudaStream_t handle);
  /// Puts work at the end of the stream, or into the graph that the stream is captured into.
  OperationPtr submit(StreamState& stream, Work work);
  /// The operation after which all that is in the stream now has run; null where it has.
  OperationPtr position(StreamState& stream);
  void record(EventState& event, StreamState& stream);
  void wait(StreamState& stream, EventState& event);
  void launch(ExecutableState& executable, StreamState& stream);

  void begin_capture(cudaStream_t handle, cudaStreamCaptureMode mode);
  std::shared_ptr<const Nodes> end_capture(cudaStream_t handle);
  /// Refuses, and spoils the capture.
  [[noreturn]] void spoil(Capture& capture, cudaError_t code, const std::string& text);
  [[nodiscard]] Capture* capture_of_this_thread();

  /// Runs operations until this one has run (null: has already) or there is a fault.
  void synchronize(const OperationPtr& operation);
  void synchronize_all();
  void run_one();
  /// The sticky error from now on; what is in the queues is dropped.
  void fail(cudaError_t code, const std::string& text);
  [[nodiscard]] std::uint64_t operations_run() const { return operations_run_; }
  [[nodiscard]] std::uint64_t kernels_run() const { return kernels_run_; }
  [[nodiscard]] std::size_t pending() const { return pending_; }

 private:
  OperationPtr enqueue(Work work, const std::vector<OperationPtr>& after);
  void run(Operation& operation);
  void check_damage(const std::string& after);
  void drop_all();
  std::vector<OperationPtr> ahead(const StreamState& stream);
  void refuse_default_stream_in_capture(const StreamState& stream);

  std::vector<OperationPtr> ready_;
  StreamState default_streams_[Memory::kMaxDevices];
  std::size_t pending_ = 0;
  std::uint64_t clock_ = 0;
  std::uint64_t operations_run_ = 0;
  std::uint64_t kernels_run_ = 0;
};

Runtime& runtime();

/// What belongs to a thread.
struct ThreadState {
  int device = 0;
  cudaError_t last_error = cudaSuccess;
  bool inside_operation = false;
  cudaStreamCaptureMode capture_mode = cudaStreamCaptureModeGlobal;  // cudaThreadExchangeStreamCaptureMode
};
ThreadState& this_thread();

/// The frame of every C function: the lock, the state of the context, and exceptions as return values.
template <class Body>
cudaError_t call(const char* name, Safety safety, Body body) noexcept {
  ThreadState& thread = this_thread();
  if (thread.inside_operation) return thread.last_error = cudaErrorNotPermitted;  // host functions call nothing of CUDA
  Runtime& r = runtime();
  const std::scoped_lock lock(r.mutex);
  try {
    r.require_device();
    if (r.sticky == cudaSuccess) {
      if (safety == Safety::kNotInCapture) r.require_safe();
      body(r);
    }
    if (r.sticky == cudaSuccess) return cudaSuccess;
    return thread.last_error = r.sticky;
  } catch (const Refusal& refused) {
    r.refusal = std::string(name) + ": " + refused.what();
    return thread.last_error = refused.code();
  } catch (const Fault& found) {
    r.fail(cudaErrorIllegalAddress, found.what());
    return thread.last_error = r.sticky;
  } catch (const std::exception& other) {
    r.refusal = std::string(name) + ": " + other.what();
    return thread.last_error = cudaErrorUnknown;
  }
}

template <class Body>
cudaError_t call(const char* name, Body body) noexcept {
  return call(name, Safety::kAlways, body);
}

}  // namespace dcase::emulator::fake
