#include "dcasenet/weights/class_order.hpp"

#include <algorithm>

namespace dcase {
namespace {

constexpr const char* kClassifier[] = {"fc_ASC.weight", "fc_ASC.bias"};

// Row i becomes row to[i].
void move_rows(const Tensor& tensor, const std::vector<std::int32_t>& to) {
  const std::vector<float> from = tensor.to_vector();
  std::vector<float> moved(from.size());
  const std::size_t width = from.size() / to.size();
  for (std::size_t i = 0; i < to.size(); ++i) {
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(i * width), width,
                moved.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(to[i]) * width));
  }
  tensor.copy_from(moved);
}

}  // namespace

bool set_scene_classes(Model& model, const LabelSet& stored, const std::string& origin) {
  const std::int64_t classes = model.info().architecture.classes_asc;
  if (stored.size() != classes) {
    fail(ErrorKind::kData, origin, ": names ", stored.size(), " scenes, the model has ", classes);
  }
  const LabelSet& builtin = builtin_labels(Task::kAsc);
  std::vector<std::int32_t> to;
  for (const std::string& name : stored.names()) to.push_back(builtin.find(name));
  // Names are distinct, so that as many known ones as there are built-in ones is a permutation.
  const bool same_names = stored.size() == builtin.size() && std::find(to.begin(), to.end(), -1) == to.end();
  if (!same_names || stored == builtin) {
    model.info().labels.asc = stored;
    return false;
  }
  for (const char* name : kClassifier) move_rows(model.parameters().find(name)->parameter->value(), to);
  model.parameters().touch();
  model.info().labels.asc = builtin;
  return true;
}

}  // namespace dcase
