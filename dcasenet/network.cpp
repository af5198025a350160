#include "dcasenet/network.hpp"

#include "dcasenet/v1.hpp"
#include "dcasenet/v2.hpp"
#include "dcasenet/v3.hpp"

namespace dcase {

const char* head_of(Task task) {
  return task == Task::kAsc ? "fc_ASC" : task == Task::kTag ? "layer_TAG.6" : "event_fc";
}

std::unique_ptr<Network> make_network(const Architecture& a, ParameterStore& store) {
  DCASE_CHECK(a.version >= 1 && a.version <= 3, "network: there is no DcaseNet v", a.version, ", only v1, v2 and v3");
  DCASE_CHECK(a.divisor == 1 || a.divisor == 2 || a.divisor == 4 || a.divisor == 8, "network: width 1/", a.divisor,
              " is not offered, only 1, 1/2, 1/4 and 1/8");
  for (const Task task : kAllTasks) {
    DCASE_CHECK(a.classes(task) >= 1 && a.classes(task) <= kMaxClasses, "network: ", a.classes(task), " classes for ",
                task_name(task));
  }
  const Scope scope(store);
  std::unique_ptr<Network> network;
  if (a.version == 1) network = std::make_unique<V1>(a, scope);
  if (a.version == 2) network = std::make_unique<V2>(a, scope);
  if (a.version == 3) network = std::make_unique<V3>(a, scope);
  store.allocate();
  return network;
}

}  // namespace dcase
