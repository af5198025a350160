#include "engine/backend.hpp"

namespace dcase {

Backend::Backend(Device device) : context_{.device = device, .stream = {}, .allocator = &arena_} {
  if (!device.is_cpu()) fail(ErrorKind::kDevice, "device ", device.name(), ": this build has no CUDA backend; use cpu");
}

}  // namespace dcase
