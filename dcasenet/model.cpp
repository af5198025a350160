#include "dcasenet/model.hpp"

#include <set>

#include "dcasenet/model_info.hpp"
#include "dcasenet/state_entry.hpp"

namespace dcase {
namespace {

constexpr std::string_view kTrainPrefix = "train.";

std::string width_text(const Architecture& a) {
  return a.divisor == 1 ? concat("v", a.version) : concat("v", a.version, " of width 1/", a.divisor);
}

}  // namespace

Model::Model(ModelInfo info, const BackendPtr& backend)
    : info_(std::move(info)),
      store_(std::make_unique<ParameterStore>(backend)),
      network_(make_network(info_.architecture, *store_)) {
  for (const Task task : kAllTasks) {
    DCASE_CHECK(info_.labels[task].size() == info_.architecture.classes(task), "model: ", info_.labels[task].size(),
                " class names for ", info_.architecture.classes(task), " classes of ", task_name(task));
  }
  validate(info_.front_end);
}

Model Model::create(ModelInfo info, std::uint64_t seed, const BackendPtr& backend) {
  Model model(std::move(info), backend);
  model.store_->initialise(seed);
  return model;
}

Model Model::load(const std::string& path, const BackendPtr& backend) { return load(Archive::open(path), backend); }

Model Model::load(const Archive& archive, const BackendPtr& backend) {
  ModelInfo info = read_model_info(archive);
  Model model(std::move(info), backend);
  model.read_state(archive);
  model.store_->set_trainable(false);
  return model;
}

void Model::read_state(const Archive& archive) {
  std::set<std::string, std::less<>> known;
  for (const StateEntry& entry : store_->entries()) {
    known.insert(entry.name());
    const TensorInfo* tensor = archive.find(entry.name());
    // Checkpoints of old PyTorch versions have no batch counters; they do not change what the model computes.
    if (tensor == nullptr && entry.counter != nullptr) continue;
    if (tensor == nullptr) {
      fail(ErrorKind::kData, archive.path(), ": tensor ", entry.name(), " is missing; DcaseNet ",
           width_text(info_.architecture), " needs it");
    }
    if (!fits(entry, archive)) {
      fail(ErrorKind::kData, archive.path(), ": tensor ", entry.name(), " has shape ", to_string(tensor->shape),
           "; DcaseNet ", width_text(info_.architecture), " needs ", to_string(entry.shape()));
    }
  }
  for (const TensorInfo& tensor : archive.tensors()) {
    if (!tensor.name.starts_with(kTrainPrefix) && !known.contains(tensor.name)) {
      fail(ErrorKind::kData, archive.path(), ": tensor ", in_quotes(tensor.name), " is no part of DcaseNet ",
           width_text(info_.architecture));
    }
  }
  for (const StateEntry& entry : store_->entries()) {
    if (archive.contains(entry.name())) read_entry(entry, archive);
  }
  store_->touch();
}

void Model::write(ArchiveWriter& writer) const {
  for (const StateEntry& entry : store_->entries()) {
    if (entry.parameter != nullptr) {
      writer.add(entry.name(), entry.parameter->value());
    } else if (entry.buffer != nullptr) {
      writer.add(entry.name(), entry.buffer->value);
    } else {
      writer.add(entry.name(), {}, std::vector<std::int64_t>{entry.counter->value});
    }
  }
  write_model_info(info_, writer);
}

void Model::save(const std::string& path) const {
  ArchiveWriter writer;
  write(writer);
  writer.write(path);
}

}  // namespace dcase
