// What training on from another model needs: taking over what fits, and leaving parts as they are.

#include <algorithm>
#include <optional>
#include <set>

#include "dcasenet/model.hpp"
#include "dcasenet/model_info.hpp"
#include "dcasenet/state_entry.hpp"

namespace dcase {
namespace {

std::optional<Task> task_of_head(const std::string& name) {
  for (const Task task : kAllTasks) {
    if (name.starts_with(concat(head_of(task), "."))) return task;
  }
  return {};
}

/// The classes that the rows of a head's tensor in the file are of; none where its rows are of another length.
LabelSet classes_in_file(const StateEntry& entry, Task task, const Archive& archive) {
  const TensorInfo* tensor = archive.find(entry.name());
  if (tensor == nullptr || tensor->shape.empty()) return {};
  Shape shape = entry.shape();
  shape[0] = tensor->shape[0];
  if (tensor->shape != shape || shape[0] < 1 || shape[0] > kMaxClasses) return {};
  return read_labels(archive, task, shape[0]);
}

/// Overwrites the rows of the classes that the file knows.
void read_rows(const Parameter& parameter, const LabelSet& own, const LabelSet& theirs, const Archive& archive) {
  const std::vector<float> source = archive.floats(parameter.name);
  std::vector<float> values = parameter.value().to_vector();
  const std::size_t row = values.size() / static_cast<std::size_t>(own.size());
  for (std::int32_t k = 0; k < own.size(); ++k) {
    const std::int32_t at = theirs.find(own[k]);
    if (at < 0) continue;
    std::copy_n(source.begin() + at * static_cast<std::ptrdiff_t>(row), row,
                values.begin() + k * static_cast<std::ptrdiff_t>(row));
  }
  parameter.value().copy_from(values);
}

/// `name` is `part` or stands within it.
bool within(const std::string& name, const std::string& part) {
  return name == part || (name.size() > part.size() && name[part.size()] == '.' && name.starts_with(part));
}

/// Parts of the state one level below `scope` ("": the largest), in order.
std::vector<std::string> parts_below(const std::string& scope, const ParameterStore& store) {
  std::vector<std::string> parts;
  const std::size_t begin = scope.empty() ? 0 : scope.size() + 1;
  for (const Parameter& p : store.parameters()) {
    if (!scope.empty() && (p.name == scope || !within(p.name, scope))) continue;
    const std::string part = p.name.substr(0, p.name.find('.', begin));
    if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(part);
  }
  return parts;
}

[[noreturn]] void refuse_part(const std::string& part, int version, const ParameterStore& store) {
  // The known parts where the name leaves what is there: "layer_TAG.1" is told of layer_TAG.0, .3 and .6.
  std::string scope = part;
  std::vector<std::string> known;
  while (known.empty()) {
    const std::size_t dot = scope.rfind('.');
    scope.resize(dot == std::string::npos ? 0 : dot);
    known = parts_below(scope, store);
  }
  std::string list;
  for (const std::string& name : known) list += (list.empty() ? "" : ", ") + name;
  const std::string near = nearest_name(part, known);
  const std::string hint = near.empty() ? "" : concat("did you mean ", near, "? ");
  fail(ErrorKind::kUsage, in_quotes(part), " is no part of DcaseNet v", version, "; ", hint, "there are ", list);
}

}  // namespace

Transfer Model::read_matching(const Archive& archive, std::uint64_t seed) {
  store_->initialise(seed);
  Transfer transfer;
  std::set<Task> reported;
  for (const StateEntry& entry : store_->entries()) {
    const std::optional<Task> task = task_of_head(entry.name());
    const LabelSet theirs = task ? classes_in_file(entry, *task, archive) : LabelSet();
    if (task && !theirs.empty() && !(theirs == info_.labels[*task])) {
      const LabelSet& own = info_.labels[*task];
      Transfer::Head head{.task = *task, .kept = {}, .drawn = {}};
      for (const std::string& name : own.names()) (theirs.contains(name) ? head.kept : head.drawn).push_back(name);
      if (head.kept.empty()) {
        transfer.drawn.push_back(entry.name());
        continue;
      }
      read_rows(*entry.parameter, own, theirs, archive);
      if (reported.insert(*task).second) transfer.heads.push_back(std::move(head));
    } else if (fits(entry.name(), entry, archive)) {
      read_entry(entry.name(), entry, archive);
      if (entry.counter == nullptr) ++transfer.taken;
    } else if (entry.counter == nullptr) {
      transfer.drawn.push_back(entry.name());
    }
  }
  split_averages(*store_);
  for (const auto& [name, entry, released] : file_entries()) {
    if (!released && fits(name, entry, archive)) read_entry(name, entry, archive);
  }
  store_->touch();
  return transfer;
}

void Model::freeze(const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    bool found = false;
    for (Parameter& p : store_->parameters()) {
      if (!within(p.name, part)) continue;
      store_->freeze(p);
      found = true;
    }
    if (!found) refuse_part(part, info_.architecture.version, *store_);
  }
}

}  // namespace dcase
