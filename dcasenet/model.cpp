#include "dcasenet/model.hpp"

#include <set>

#include "dcasenet/model_info.hpp"
#include "dcasenet/state_entry.hpp"
#include "dcasenet/weights/weights.hpp"

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

Model Model::load(const std::string& path, const BackendPtr& backend) {
  return load(open_weights(path).archive, backend);
}

Model Model::load(const Archive& archive, const BackendPtr& backend) {
  ModelInfo info = read_model_info(archive);
  Model model(std::move(info), backend);
  model.read_state(archive);
  model.store_->set_trainable(false);
  return model;
}

void Model::read_state(const Archive& archive) {
  const std::vector<FileEntry> entries = file_entries();
  std::set<std::string, std::less<>> known;
  for (const auto& [name, entry, released] : entries) {
    known.insert(name);
    const TensorInfo* tensor = archive.find(name);
    // Checkpoints of old PyTorch versions have no batch counters; they do not change what the model computes.
    if (tensor == nullptr && entry.counter != nullptr && released) continue;
    if (tensor == nullptr) {
      fail(ErrorKind::kData, archive.path(), ": tensor ", name, " is missing; DcaseNet ",
           width_text(info_.architecture),
           released ? "" : concat(" with ", bn_stats_name(info_.bn_stats), " batch-norm statistics"), " needs it");
    }
    if (!fits(name, entry, archive)) {
      fail(ErrorKind::kData, archive.path(), ": tensor ", name, " has shape ", to_string(tensor->shape), "; DcaseNet ",
           width_text(info_.architecture), " needs ", to_string(entry.shape()));
    }
    if (entry.counter != nullptr) static_cast<void>(read_count(name, archive));
  }
  for (const TensorInfo& tensor : archive.tensors()) {
    if (!tensor.name.starts_with(kTrainPrefix) && !known.contains(tensor.name)) {
      fail(ErrorKind::kData, archive.path(), ": tensor ", in_quotes(tensor.name), " is no part of DcaseNet ",
           width_text(info_.architecture));
    }
  }
  for (const auto& [name, entry, released] : entries) {
    if (archive.contains(name)) read_entry(name, entry, archive);
  }
  store_->touch();
}

std::vector<Model::FileEntry> Model::file_entries() const {
  std::vector<FileEntry> entries;
  for (const StateEntry& entry : store_->entries()) entries.push_back({.name = entry.name(), .entry = entry});
  if (info_.bn_stats == BnStats::kShared) return entries;
  const auto add = [&](const std::string& set, const auto& averages_of) {
    for (const AverageSets& sets : store_->averages()) {
      const Averages& averages = averages_of(sets);
      for (const StateEntry& entry : {StateEntry{.buffer = averages.mean}, StateEntry{.buffer = averages.variance},
                                      StateEntry{.counter = averages.batches}}) {
        entries.push_back({.name = concat(kAveragesPrefix, set, ".", entry.name()), .entry = entry, .released = false});
      }
    }
  };
  for (const Task task : kAllTasks) {
    const auto domain = static_cast<std::size_t>(domain_of(task));
    add(task_name(task), [domain](const AverageSets& sets) -> const Averages& { return sets.domains.at(domain); });
  }
  add(bn_stats_name(BnStats::kShared), [](const AverageSets& sets) -> const Averages& { return sets.mixture; });
  return entries;
}

Outputs Model::evaluate(const Variable& x, TaskSet tasks) const {
  if (info_.bn_stats != BnStats::kPerTask) return network_->forward(x, tasks, Pass{});
  Outputs all;
  for (const Task task : kAllTasks) {
    if (!tasks.has(task)) continue;
    const Outputs own = network_->forward(x, task, Pass{.domain = domain_of(task)});
    if (task == Task::kAsc) all.asc = own.asc;
    if (task == Task::kTag) all.tag = own.tag;
    if (task == Task::kSed) all.sed = own.sed;
  }
  return all;
}

void Model::set_bn_stats(BnStats mode) {
  if (mode == info_.bn_stats) return;
  if (info_.bn_stats == BnStats::kShared) split_averages(*store_);
  if (mode == BnStats::kShared) {
    unsplit_averages(*store_);
  } else {
    pool_averages(*store_);
  }
  info_.bn_stats = mode;
}

void Model::drop_task_averages(std::optional<Task> task) {
  DCASE_CHECK(info_.bn_stats != BnStats::kShared, "model: it has no batch-norm averages of single tasks");
  if (task) {
    DCASE_CHECK(averaged_batches(*store_, *task) > 0, "model: no batch of ", task_name(*task),
                " has moved averages of its own");
    take_averages(*store_, *task);
  }
  info_.bn_stats = BnStats::kShared;
  store_->touch();
}

void Model::refresh_averages() {
  if (info_.bn_stats != BnStats::kShared) pool_averages(*store_);
}

void Model::write(ArchiveWriter& writer) const {
  for (const auto& [name, entry, released] : file_entries()) {
    if (entry.parameter != nullptr) {
      writer.add(name, entry.parameter->value());
    } else if (entry.buffer != nullptr) {
      writer.add(name, entry.buffer->value);
    } else {
      writer.add(name, {}, std::vector<std::int64_t>{entry.counter->value});
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
