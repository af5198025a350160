#include "train/formats/json_lines.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "train/formats/fields.hpp"

namespace dcase {

namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void wrong(const std::string& where, const std::string& what) {
  fail(ErrorKind::kData, where, ": ", what);
}

[[nodiscard]] std::string text_of(const Json& json, const std::string& what, const std::string& where) {
  if (!json.is_string()) wrong(where, in_quotes(what) + " has to be text");
  auto text = json.get<std::string>();
  check_label(text, where);
  return text;
}

[[nodiscard]] double number_of(const Json& json, const std::string& what, const std::string& where) {
  if (!json.is_number() || !std::isfinite(json.get<double>())) wrong(where, in_quotes(what) + " has to be a number");
  return json.get<double>();
}

[[nodiscard]] const Json& member(const Json& object, const char* key, const std::string& where) {
  if (!object.is_object() || !object.contains(key)) {
    wrong(where, concat("an entry without ", in_quotes(key), "; it is an object with label and probability or times"));
  }
  return object[key];
}

/// A name, or a list of names or of objects with label and probability.
[[nodiscard]] std::vector<ScoredLabel> labels_of(const Json& json, const std::string& what, const std::string& where) {
  if (json.is_string()) return {{.label = text_of(json, what, where)}};
  if (!json.is_array()) wrong(where, in_quotes(what) + " has to be a name or a list");
  std::vector<ScoredLabel> labels;
  for (const Json& entry : json) {
    if (entry.is_string()) {
      labels.push_back({.label = text_of(entry, what, where)});
    } else {
      labels.push_back({.label = text_of(member(entry, "label", where), "label", where),
                        .probability = number_of(member(entry, "probability", where), "probability", where)});
    }
  }
  return labels;
}

[[nodiscard]] std::vector<LabelledEvent> events_of(const Json& json, const std::string& where) {
  if (!json.is_array()) wrong(where, "'events' has to be a list");
  std::vector<LabelledEvent> events;
  for (const Json& entry : json) {
    LabelledEvent e{.onset = number_of(member(entry, "onset", where), "onset", where),
                    .offset = number_of(member(entry, "offset", where), "offset", where),
                    .label = text_of(member(entry, "label", where), "label", where)};
    check_times(e.onset, e.offset, where);
    if (entry.contains("probability")) e.probability = number_of(entry["probability"], "probability", where);
    events.push_back(std::move(e));
  }
  return events;
}

/// Times to the microsecond; probabilities as the shortest number that reads back as the same float.
[[nodiscard]] double rounded(double seconds) { return std::round(seconds * 1e6) / 1e6; }
[[nodiscard]] double shortest(double probability) { return *parse_number(score_text(static_cast<float>(probability))); }

[[nodiscard]] Json json_of(const std::vector<ScoredLabel>& labels) {
  Json list = Json::array();
  for (const ScoredLabel& l : labels) {
    if (std::isnan(l.probability)) {
      list.push_back(l.label);
    } else {
      list.push_back({{"label", l.label}, {"probability", shortest(l.probability)}});
    }
  }
  return list;
}

}  // namespace

std::vector<JsonRecording> read_json_lines(std::string_view text, const std::string& file) {
  constexpr std::size_t kLongestLine = 64U << 20U;
  std::vector<JsonRecording> recordings;
  std::int64_t line = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view row = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line;
    if (row.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const std::string where = concat(file, ":", line);
    if (row.size() > kLongestLine) wrong(where, "the line is longer than 64 MB");
    const Json json = Json::parse(row, nullptr, false);  // keeps its own stack: depth is bounded by the line's length
    if (!json.is_object()) {
      wrong(where, R"(is no JSON object; each line is one, like {"file": "a.wav", "tags": ["Bark"]})");
    }
    if (json.contains("error")) continue;
    JsonRecording r{.where = where};
    if (!json.contains("file") && !json.contains("audio"))
      wrong(where, "no 'file' or 'audio' that names the recording");
    r.name = text_of(json.contains("file") ? json["file"] : json["audio"], "file", where);
    if (json.contains("seconds")) {
      r.seconds = number_of(json["seconds"], "seconds", where);
      check_times(0, *r.seconds, where);
    }
    if (json.contains("device")) r.device = text_of(json["device"], "device", where);
    if (json.contains("scene")) r.scene = labels_of(json["scene"], "scene", where);
    if (json.contains("tags")) r.tags = labels_of(json["tags"], "tags", where);
    if (json.contains("events")) r.events = events_of(json["events"], where);
    recordings.push_back(std::move(r));
  }
  return recordings;
}

std::string json_line(const JsonRecording& r) {
  Json json = {{"file", r.name}};
  if (r.seconds) json["seconds"] = rounded(*r.seconds);
  if (!r.device.empty()) json["device"] = r.device;
  if (r.scene) json["scene"] = json_of(*r.scene);
  if (r.tags) json["tags"] = json_of(*r.tags);
  if (r.events) {
    json["events"] = Json::array();
    for (const LabelledEvent& e : *r.events) {
      Json event = {{"label", e.label}, {"onset", rounded(e.onset)}, {"offset", rounded(e.offset)}};
      if (!std::isnan(e.probability)) event["probability"] = shortest(e.probability);
      json["events"].push_back(std::move(event));
    }
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace dcase
