#include "train/formats/decision_file.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "train/data/csv.hpp"
#include "train/formats/recording_names.hpp"

namespace dcase {

namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kFormat = "dcasenet decisions";
constexpr std::size_t kMaxBytes = 256U << 20U;

[[nodiscard]] std::string text_at(const Json& json, const char* key, const std::string& path) {
  if (!json.contains(key)) return "";
  if (!json[key].is_string()) fail(ErrorKind::kData, path, ": ", in_quotes(key), " has to be text");
  return json[key].get<std::string>();
}

[[nodiscard]] double number_at(const Json& json, const char* key, double otherwise, const std::string& where) {
  if (!json.contains(key) || json[key].is_null()) return otherwise;
  if (!json[key].is_number() || !std::isfinite(json[key].get<double>())) {
    fail(ErrorKind::kData, where, ": ", in_quotes(key), " has to be a number");
  }
  return json[key].get<double>();
}

[[nodiscard]] std::int64_t whole_at(const Json& json, const char* key, std::int64_t otherwise,
                                    const std::string& where) {
  const double value = number_at(json, key, static_cast<double>(otherwise), where);
  if (value != std::floor(value) || value < 0 || value > 1e9) {
    fail(ErrorKind::kData, where, ": ", in_quotes(key), " is ", value, "; it has to be a whole number from 0 to 1e9");
  }
  return static_cast<std::int64_t>(value);
}

}  // namespace

std::string write_decisions(const DecisionFile& f) {
  Json json = {{"format", kFormat}, {"version", 1}, {"task", task_name(f.task)}};
  json["objective"] = f.objective;
  json["origin"] = {{"data", f.data}, {"part", f.part}, {"system", f.system}, {"recordings", f.recordings}};
  Json classes = Json::object();
  for (std::size_t c = 0; c < static_cast<std::size_t>(f.classes.size()); ++c) {
    Json one = {{"threshold", of_class(f.rules.thresholds, c)}};
    if (f.task == Task::kSed) {
      one["median_frames"] = of_class(f.rules.median_frames, c);
      one["close_gap_frames"] = of_class(f.rules.close_gap_frames, c);
      one["minimum_frames"] = of_class(f.rules.minimum_frames, c);
    }
    if (!f.tuned.empty()) {
      one["value"] = f.tuned[c].value;
      one["references"] = f.tuned[c].references;
    }
    classes[f.classes.names()[c]] = std::move(one);
  }
  json["classes"] = std::move(classes);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

DecisionFile read_decisions(const std::string& path) {
  const Json json = Json::parse(read_text_file(path, kMaxBytes), nullptr, false);
  if (!json.is_object() || !json.contains("format") || json["format"] != kFormat || !json.contains("classes") ||
      !json["classes"].is_object() || json["classes"].empty()) {
    fail(ErrorKind::kData, path, ": is no file of decisions; eval --tune-thresholds and score --tune write them");
  }
  if (number_at(json, "version", 0, path) != 1) fail(ErrorKind::kData, path, ": only version 1 is known");
  DecisionFile f{.task = parse_task(text_at(json, "task", path)), .objective = text_at(json, "objective", path)};
  if (json.contains("origin") && json["origin"].is_object()) {
    const Json& origin = json["origin"];
    f.data = text_at(origin, "data", path);
    f.part = text_at(origin, "part", path);
    f.system = text_at(origin, "system", path);
    if (origin.contains("recordings") && origin["recordings"].is_array()) {
      for (const Json& name : origin["recordings"]) {
        if (!name.is_string()) fail(ErrorKind::kData, path, ": 'recordings' has to be a list of names");
        f.recordings.push_back(name.get<std::string>());
      }
    }
  }
  f.rules = {.thresholds = {}, .median_frames = {}, .close_gap_frames = {}, .minimum_frames = {}};
  std::vector<std::string> names;
  for (const auto& [name, one] : json["classes"].items()) {
    const std::string where = concat(path, ": class ", in_quotes(name));
    if (!one.is_object() || !one.contains("threshold")) fail(ErrorKind::kData, where, ": no 'threshold'");
    names.push_back(name);
    f.rules.thresholds.push_back(number_at(one, "threshold", 0.5, where));
    f.rules.median_frames.push_back(whole_at(one, "median_frames", 1, where));
    f.rules.close_gap_frames.push_back(whole_at(one, "close_gap_frames", 0, where));
    f.rules.minimum_frames.push_back(whole_at(one, "minimum_frames", 0, where));
    if (one.contains("value")) {
      f.tuned.push_back({.threshold = f.rules.thresholds.back(),
                         .value = number_at(one, "value", std::nan(""), where),
                         .references = whole_at(one, "references", 0, where)});
    }
  }
  if (!f.tuned.empty() && f.tuned.size() != names.size()) f.tuned.clear();
  f.classes = LabelSet(std::move(names), path);
  try {
    check_rules(f.rules, f.classes.size());
  } catch (const Error& error) {
    fail(ErrorKind::kData, path, ": ", error.what());
  }
  return f;
}

void refuse_tuned_on(const DecisionFile& file, const std::string& path, const std::vector<std::string>& recordings) {
  const std::set<std::string> tuned(file.recordings.begin(), file.recordings.end());
  std::vector<std::string> both;
  for (const std::string& name : recordings) {
    if (tuned.count(recording_key(name)) > 0) both.push_back(name);
  }
  if (both.empty()) return;
  fail(ErrorKind::kUsage, path, ": ", both.size(), " of the ", recordings.size(),
       " recordings to be reported chose these thresholds (", first_names(both),
       "), so their scores would say nothing; tune on the validation part and report the test part");
}

}  // namespace dcase
