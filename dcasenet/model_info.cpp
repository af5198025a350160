#include <algorithm>
#include <nlohmann/json.hpp>

#include "dcasenet/model_info.hpp"

namespace dcase {
namespace {

using nlohmann::json;

constexpr const char* kArchitecture = "dcasenet.architecture";
constexpr const char* kLabels = "dcasenet.labels";
constexpr const char* kFrontEnd = "dcasenet.front_end";
constexpr const char* kBnStats = "dcasenet.bn_stats";

// A metadata entry as JSON; what is wrong with it is said in terms of the file.
json parse_entry(const Archive& archive, const char* key, const std::string& text) {
  json value = json::parse(text, nullptr, false);
  if (!value.is_object()) fail(ErrorKind::kData, archive.path(), ": metadata ", key, " is no JSON object");
  return value;
}

template <class T>
T number(const Archive& archive, const char* key, const json& object, const char* field) {
  const auto it = object.find(field);
  if (it == object.end() || !it->is_number()) {
    fail(ErrorKind::kData, archive.path(), ": metadata ", key, " has no number \"", field, "\"");
  }
  if constexpr (std::is_integral_v<T>) {
    if (!it->is_number_integer())
      fail(ErrorKind::kData, archive.path(), ": metadata ", key, ".", field, " is no integer");
  }
  return it->get<T>();
}

Architecture architecture_from_json(const Archive& archive, const std::string& text) {
  const json j = parse_entry(archive, kArchitecture, text);
  const auto integer = [&](const char* field) { return number<std::int64_t>(archive, kArchitecture, j, field); };
  const std::int64_t version = integer("version");
  if (version < 1 || version > 3) fail(ErrorKind::kData, archive.path(), ": DcaseNet v", version, " is unknown");
  return {.version = static_cast<int>(version),
          .divisor = integer("width_divisor"),
          .classes_asc = integer("classes_asc"),
          .classes_tag = integer("classes_tag"),
          .classes_sed = integer("classes_sed")};
}

// Sizes from the shapes of the released names.
Architecture architecture_from_shapes(const Archive& archive) {
  const auto rows = [&](const std::string& name, std::size_t rank) {
    const TensorInfo* tensor = archive.find(name);
    if (tensor == nullptr || tensor->shape.size() != rank || tensor->shape[0] < 1) {
      fail(ErrorKind::kData, archive.path(), ": not a DcaseNet model: there is no usable tensor ", name);
    }
    return tensor->shape[0];
  };
  const auto head = [&](Task task) { return rows(concat(head_of(task), ".weight"), 2); };
  const std::int64_t width = rows("conv_block1.conv1.weight", 4);
  if (width > 64 || 64 % width != 0) {
    fail(ErrorKind::kData, archive.path(), ": conv_block1 has ", width, " channels, no known width of DcaseNet");
  }
  const int version = version_by_names(archive);
  if (version == 0) {
    fail(ErrorKind::kData, archive.path(),
         ": not a DcaseNet model: there is neither conv_block4_1 (v3) nor conv_block4 (v1, v2)");
  }
  return {.version = version,
          .divisor = 64 / width,
          .classes_asc = head(Task::kAsc),
          .classes_tag = head(Task::kTag),
          .classes_sed = head(Task::kSed)};
}

LabelSet labels_for(const Archive& archive, Task task, const json& lists, std::int64_t classes) {
  if (lists.contains(task_name(task))) {
    const json& list = lists.at(task_name(task));
    const bool strings =
        list.is_array() && std::all_of(list.begin(), list.end(), [](const json& v) { return v.is_string(); });
    if (!strings || static_cast<std::int64_t>(list.size()) != classes) {
      fail(ErrorKind::kData, archive.path(), ": the class list of ", task_name(task), " is no list of ", classes,
           " names");
    }
    return LabelSet(list.get<std::vector<std::string>>(), archive.path());
  }
  if (builtin_labels(task).size() == classes) return builtin_labels(task);
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < classes; ++i) names.push_back(concat("class_", i));
  return LabelSet(std::move(names), archive.path());
}

MelParameters front_end_from_json(const Archive& archive, const std::string& text) {
  const json j = parse_entry(archive, kFrontEnd, text);
  const auto integer = [&](const char* field) { return number<int>(archive, kFrontEnd, j, field); };
  const auto real = [&](const char* field) { return number<double>(archive, kFrontEnd, j, field); };
  MelParameters p{.sample_rate = integer("sample_rate"),
                  .n_fft = integer("n_fft"),
                  .window = integer("window"),
                  .hop = integer("hop"),
                  .mels = integer("mels"),
                  .f_min = real("f_min"),
                  .f_max = real("f_max"),
                  .preemphasis = real("preemphasis"),
                  .zero_floor = real("zero_floor"),
                  .std_floor = real("std_floor")};
  try {
    validate(p);
  } catch (const Error& error) {
    fail(ErrorKind::kData, archive.path(), ": front end: ", error.what());
  }
  return p;
}

BnStats bn_stats_from_text(const Archive& archive, const std::string& text) {
  if (text.empty()) {
    const auto& tensors = archive.tensors();
    const bool sets = std::any_of(tensors.begin(), tensors.end(),
                                  [](const TensorInfo& tensor) { return tensor.name.starts_with(kAveragesPrefix); });
    return sets ? BnStats::kPooled : BnStats::kShared;
  }
  for (const auto& [word, mode] : kBnStatsWords) {
    if (text == word) return mode;
  }
  fail(ErrorKind::kData, archive.path(), ": metadata ", kBnStats, " is ", in_quotes(text),
       "; shared, pooled and per-task are known");
}

}  // namespace

int version_by_names(const Archive& archive, const std::string& prefix) {
  const auto has = [&](const char* name) { return archive.contains(prefix + name); };
  if (has("conv_block4_1.conv1.weight")) return 3;
  if (!has("conv_block4.conv1.weight")) return 0;
  return has("layer_SED.0.weight") ? 2 : 1;
}

LabelSet read_labels(const Archive& archive, Task task, std::int64_t classes) {
  const auto entry = archive.metadata().find(kLabels);
  const bool listed = entry != archive.metadata().end() && !entry->second.empty();
  return labels_for(archive, task, listed ? parse_entry(archive, kLabels, entry->second) : json::object(), classes);
}

ModelInfo read_model_info(const Archive& archive) {
  ModelInfo info;
  info.metadata = archive.metadata();
  const auto take = [&](const char* key) {
    std::string text;
    if (const auto it = info.metadata.find(key); it != info.metadata.end()) {
      text = it->second;
      info.metadata.erase(it);
    }
    return text;
  };
  const std::string architecture = take(kArchitecture);
  static_cast<void>(take(kLabels));  // read_labels
  const std::string front_end = take(kFrontEnd);
  info.bn_stats = bn_stats_from_text(archive, take(kBnStats));
  info.architecture =
      architecture.empty() ? architecture_from_shapes(archive) : architecture_from_json(archive, architecture);
  const std::int64_t d = info.architecture.divisor;
  if (d != 1 && d != 2 && d != 4 && d != 8) fail(ErrorKind::kData, archive.path(), ": width 1/", d, " is not offered");
  for (const Task task : kAllTasks) {
    const std::int64_t classes = info.architecture.classes(task);
    if (classes < 1 || classes > kMaxClasses) {
      fail(ErrorKind::kData, archive.path(), ": ", classes, " classes for ", task_name(task));
    }
    info.labels[task] = read_labels(archive, task, classes);
  }
  if (!front_end.empty()) info.front_end = front_end_from_json(archive, front_end);
  return info;
}

nlohmann::ordered_json front_end_json(const MelParameters& p) {
  return {{"sample_rate", p.sample_rate},
          {"n_fft", p.n_fft},
          {"window", p.window},
          {"hop", p.hop},
          {"mels", p.mels},
          {"f_min", p.f_min},
          {"f_max", p.f_max},
          {"preemphasis", p.preemphasis},
          {"zero_floor", p.zero_floor},
          {"std_floor", p.std_floor}};
}

void write_model_info(const ModelInfo& info, ArchiveWriter& writer) {
  const Architecture& a = info.architecture;
  writer.metadata("format", "pt");  // what the loaders of other frameworks look for: named tensors
  writer.metadata(kArchitecture, json{{"version", a.version},
                                      {"width_divisor", a.divisor},
                                      {"classes_asc", a.classes_asc},
                                      {"classes_tag", a.classes_tag},
                                      {"classes_sed", a.classes_sed}}
                                     .dump());
  json lists;
  for (const Task task : kAllTasks) lists[task_name(task)] = info.labels[task].names();
  writer.metadata(kLabels, lists.dump());
  writer.metadata(kFrontEnd, json(front_end_json(info.front_end)).dump());  // names in order, as in the other entries
  if (info.bn_stats != BnStats::kShared) writer.metadata(kBnStats, bn_stats_name(info.bn_stats));
  for (const auto& [key, value] : info.metadata) {
    if (key != "format") writer.metadata(key, value);
  }
}

}  // namespace dcase
