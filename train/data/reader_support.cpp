#include "train/data/reader_support.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "train/data/csv.hpp"

namespace dcase {

namespace {
constexpr std::size_t kMaxLabelsBytes = 1U << 20U;
}

LabelSets read_labels_json(const std::string& path) {
  LabelSets labels;
  if (!is_file(path)) return labels;
  const auto json = nlohmann::json::parse(read_text_file(path, kMaxLabelsBytes), nullptr, false);
  if (!json.is_object()) {
    fail(ErrorKind::kData, path, R"(: is not a JSON object like {"asc": ["airport", "bus"], "tag": [...]})");
  }
  for (const auto& [key, names] : json.items()) {
    const bool known =
        std::any_of(kAllTasks.begin(), kAllTasks.end(), [&k = key](Task t) { return k == task_name(t); });
    if (!known) fail(ErrorKind::kData, path, ": unknown key ", in_quotes(key), "; the keys are asc, tag and sed");
    const Task task = parse_task(key);
    std::vector<std::string> list;
    const bool strings =
        names.is_array() && std::all_of(names.begin(), names.end(), [](const auto& n) { return n.is_string(); });
    if (!strings) fail(ErrorKind::kData, path, ": ", in_quotes(key), " has to be a list of class names");
    for (const auto& name : names) {
      const auto text = name.template get<std::string>();
      list.push_back(task == Task::kSed ? corrected_sed_name(text) : text);
    }
    labels[task] = LabelSet(std::move(list), concat(path, ", ", in_quotes(key)));
  }
  return labels;
}

ClassList choose_labels(Task task, const LabelSet& given, const LabelSet& in_labels_json, const ClassList& of_layout,
                        const std::set<std::string>& found) {
  if (!given.empty()) return {.labels = given, .origin = "the checkpoint or configuration"};
  if (!in_labels_json.empty()) return {.labels = in_labels_json, .origin = "labels.json"};
  if (!of_layout.labels.empty()) return of_layout;
  if (found.empty()) {
    fail(ErrorKind::kData, "the training part holds no ", task_name(task),
         " label, so the classes are unknown; give a class list (labels.json)");
  }
  const LabelSet& builtin = builtin_labels(task);
  if (std::all_of(found.begin(), found.end(), [&](const std::string& name) { return builtin.contains(name); })) {
    return {.labels = builtin, .origin = "the built-in list"};
  }
  return {.labels = LabelSet({found.begin(), found.end()}, "names of the training part"),
          .origin = "the training part, sorted"};
}

std::string describe(Task task, const ClassList& list) {
  return concat(task_name(task), ": ", list.labels.size(), " classes of ", list.origin);
}

bool is_sidecar(std::string_view path) {
  return path.substr(path.rfind('/') + 1).substr(0, 2) == "._";  // npos + 1 is 0
}

void add_item(Dataset& dataset, Item item) {
  ++dataset.listed;
  if (is_file(dataset.path_of(item))) {
    dataset.items.push_back(std::move(item));
  } else {
    dataset.missing.push_back(std::move(item.audio));
  }
}

void finish(Dataset& dataset) {
  if (dataset.listed > 0 && dataset.items.empty()) {
    fail(ErrorKind::kData, dataset.root, ": none of the ", dataset.listed, " files listed exists, the first is ",
         in_quotes(dataset.missing.front()), "; unpack the audio archives into this folder");
  }
  if (!dataset.missing.empty()) {
    dataset.warnings.push_back(concat(dataset.missing.size(), " of ", dataset.listed,
                                      " listed files do not exist and are left out, the first is ",
                                      in_quotes(dataset.missing.front())));
  }
  for (const Split split : {Split::kTrain, Split::kValid, Split::kTest}) {
    if (dataset.indices(split).empty()) dataset.warnings.push_back(concat("the ", split_name(split), " part is empty"));
  }
}

}  // namespace dcase
