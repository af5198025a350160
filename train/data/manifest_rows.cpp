#include "train/data/manifest_rows.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "train/data/csv.hpp"

namespace dcase {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxManifestBytes = 256U << 20U;
constexpr std::size_t kMaxLineBytes = 4U << 20U;  // an hour with 10,000 events takes 0.6 MB
constexpr int kMaxDepth = 8;                      // a manifest needs 3; what is deeper would be printed by recursion
constexpr std::int64_t kMaxFold = 1'000'000;
constexpr double kMaxSeconds = 1e6;
constexpr double kSceneTolerance = 1e-3;  // soft scenes written with three digits still sum to 1

const std::vector<std::string> kFields = {"audio", "start",     "end",    "task",        "split",
                                          "fold",  "group",     "device", "scene",       "scene_soft",
                                          "tags",  "tags_soft", "events", "events_soft", "channels"};

void check_field(const std::string& field, const std::vector<std::string>& known, const std::string& where) {
  if (std::find(known.begin(), known.end(), field) != known.end()) return;
  const std::string near = nearest_name(field, known);
  std::string all;
  for (const std::string& name : known) all += (all.empty() ? "" : ", ") + name;
  fail(ErrorKind::kData, where, ": unknown field ", in_quotes(field),
       near.empty() ? "" : concat(", did you mean ", in_quotes(near), "?"), "; the fields are ", all);
}

// ---- checks that both forms share

Split parse_split(const std::string& text, const std::string& where) {
  for (const Split split : {Split::kTrain, Split::kValid, Split::kTest}) {
    if (text == split_name(split)) return split;
  }
  fail(ErrorKind::kData, where, ": split is ", in_quotes(text), "; it has to be train, valid or test");
}

Task parse_row_task(const std::string& text, const std::string& where) {
  for (const Task task : kAllTasks) {
    if (text == task_name(task)) return task;
  }
  fail(ErrorKind::kData, where, ": task is ", in_quotes(text), "; it has to be asc, tag or sed");
}

ChannelRule channel_number(std::optional<std::int64_t> number, const std::string& shown, const std::string& where) {
  if (!number || *number < 0 || *number >= AudioStream::kMaxChannels) {
    fail(ErrorKind::kData, where, ": channels is ", shown, "; it has to be mix, each or a channel from 0 to ",
         AudioStream::kMaxChannels - 1);
  }
  return {.mode = ChannelRule::Mode::kOne, .index = static_cast<int>(*number)};
}

ChannelRule parse_channels(const std::string& text, const std::string& where) {
  if (text == "mix") return {.mode = ChannelRule::Mode::kMix};
  if (text == "each") return {.mode = ChannelRule::Mode::kEach};
  return channel_number(parse_integer(text), in_quotes(text), where);
}

int fold_number(std::optional<std::int64_t> number, const std::string& shown, const std::string& where) {
  if (!number || *number < 0 || *number > kMaxFold) {
    fail(ErrorKind::kData, where, ": fold is ", shown, "; it has to be a whole number from 0 to ", kMaxFold);
  }
  return static_cast<int>(*number);
}

float probability(double value, const std::string& name, const std::string& where) {
  if (!(value >= 0 && value <= 1)) {
    fail(ErrorKind::kData, where, ": the soft value of ", in_quotes(name), " is ", value, "; it has to be from 0 to 1");
  }
  return static_cast<float>(value);
}

double seconds(double value, std::string_view what, const std::string& where) {
  if (!(value >= 0 && value <= kMaxSeconds)) {
    fail(ErrorKind::kData, where, ": ", what, " is ", value, " s; it has to be from 0 to ", kMaxSeconds);
  }
  return value;
}

void check_event(const NamedEvent& event, const std::string& where) {
  if (!(event.offset > event.onset)) {
    fail(ErrorKind::kData, where, ": event ", in_quotes(event.label), " from ", event.onset, " to ", event.offset,
         " s; the offset has to be after the onset");
  }
}

/// Rules on a row as a whole.
void check_row(ManifestRow& row, bool scene_is_soft) {
  if (row.audio.empty()) fail(ErrorKind::kData, row.where, ": no audio; every item names its file");
  if (!(row.end > row.start)) {
    fail(ErrorKind::kData, row.where, ": start is ", row.start, " and end ", row.end, " s; the end has to be later");
  }
  if (row.split && row.fold) fail(ErrorKind::kData, row.where, ": split and fold exclude each other; remove one");
  if (!row.split && !row.fold) {
    fail(ErrorKind::kData, row.where, ": neither split nor fold; say train, valid or test, or number a fold");
  }
  if (!row.events_soft.empty() && row.events) {
    fail(ErrorKind::kData, row.where, ": events and events_soft exclude each other; remove one");
  }
  if (scene_is_soft) {
    double sum = 0;
    for (const NamedValue& value : *row.scene) sum += value.value;
    if (!(std::abs(sum - 1) <= kSceneTolerance)) {
      fail(ErrorKind::kData, row.where, ": the values of scene_soft sum to ", sum, "; they have to sum to 1");
    }
    for (NamedValue& value : *row.scene) value.value = static_cast<float>(value.value / sum);
  }
  for (const auto* values : {&row.scene, &row.tags}) {
    std::set<std::string> names;
    for (const NamedValue& value : values->value_or(std::vector<NamedValue>())) {
      if (!names.insert(value.name).second) {
        fail(ErrorKind::kData, row.where, ": ", in_quotes(value.name), " is named twice; remove one");
      }
    }
  }
}

// ---- JSON Lines

std::string shown(const Json& json) { return in_quotes(json.dump(-1, ' ', false, Json::error_handler_t::replace)); }

std::string text_of(const Json& json, std::string_view what, const std::string& where) {
  if (!json.is_string()) fail(ErrorKind::kData, where, ": ", what, " is ", shown(json), "; it has to be a text");
  return json.get<std::string>();
}

double number_of(const Json& json, std::string_view what, const std::string& where) {
  if (!json.is_number()) fail(ErrorKind::kData, where, ": ", what, " is ", shown(json), "; it has to be a number");
  return json.get<double>();
}

std::optional<std::int64_t> integer_of(const Json& json) {
  if (json.is_number_unsigned()) {
    const auto value = json.get<std::uint64_t>();
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
  }
  if (!json.is_number_integer()) return std::nullopt;
  return json.get<std::int64_t>();
}

std::vector<std::string> texts_of(const Json& json, std::string_view what, const std::string& where) {
  if (!json.is_array())
    fail(ErrorKind::kData, where, ": ", what, " is ", shown(json), "; it has to be a list of texts");
  std::vector<std::string> texts;
  for (const Json& text : json) texts.push_back(text_of(text, what, where));
  return texts;
}

std::vector<NamedValue> soft_of(const Json& json, std::string_view what, const std::string& where) {
  if (!json.is_object()) {
    fail(ErrorKind::kData, where, ": ", what, " is ", shown(json), R"(; it has to be like {"Bark": 0.7})");
  }
  std::vector<NamedValue> values;
  for (const auto& [name, value] : json.items()) {
    values.push_back({.name = name, .value = probability(number_of(value, what, where), name, where)});
  }
  return values;
}

std::vector<NamedEvent> events_of(const Json& json, const std::string& where) {
  if (!json.is_array()) fail(ErrorKind::kData, where, ": events is ", shown(json), "; it has to be a list");
  static const std::vector<std::string> known = {"onset", "offset", "label"};
  std::vector<NamedEvent> events;
  for (const Json& entry : json) {
    if (!entry.is_object()) {
      fail(ErrorKind::kData, where, ": an event is ", shown(entry),
           R"(; it has to be like {"onset": 1.2, "offset": 2.7, "label": "dog"})");
    }
    for (const auto& [key, value] : entry.items()) check_field(key, known, where);
    for (const std::string& key : known) {
      if (!entry.contains(key)) fail(ErrorKind::kData, where, ": an event without ", key);
    }
    NamedEvent event{.label = corrected_sed_name(text_of(entry["label"], "the event's label", where)),
                     .onset = seconds(number_of(entry["onset"], "the onset", where), "the onset", where),
                     .offset = seconds(number_of(entry["offset"], "the offset", where), "the offset", where)};
    check_event(event, where);
    events.push_back(std::move(event));
  }
  return events;
}

void set_values(std::optional<std::vector<NamedValue>>& target, std::vector<NamedValue> values, std::string_view what,
                const std::string& where) {
  if (target) fail(ErrorKind::kData, where, ": ", what, " and ", what, "_soft exclude each other; remove one");
  target = std::move(values);
}

std::vector<NamedValue> plain_values(const std::vector<std::string>& names) {
  std::vector<NamedValue> values;
  for (const std::string& name : names) values.push_back({.name = name, .value = 1});
  return values;
}

void set_field(ManifestRow& row, const std::string& key, const Json& json) {
  const std::string& where = row.where;
  if (key == "audio") row.audio = text_of(json, key, where);
  if (key == "start") row.start = seconds(number_of(json, key, where), key, where);
  if (key == "end") row.end = seconds(number_of(json, key, where), key, where);
  if (key == "split") row.split = parse_split(text_of(json, key, where), where);
  if (key == "group") row.group = text_of(json, key, where);
  if (key == "device") row.device = text_of(json, key, where);
  if (key == "scene") set_values(row.scene, plain_values({text_of(json, key, where)}), "scene", where);
  if (key == "scene_soft") set_values(row.scene, soft_of(json, key, where), "scene", where);
  if (key == "tags") set_values(row.tags, plain_values(texts_of(json, key, where)), "tags", where);
  if (key == "tags_soft") set_values(row.tags, soft_of(json, key, where), "tags", where);
  if (key == "events") row.events = events_of(json, where);
  if (key == "events_soft") row.events_soft = text_of(json, key, where);
  if (key == "channels") {
    row.channels = json.is_string() ? parse_channels(json.get<std::string>(), where)
                                    : channel_number(integer_of(json), shown(json), where);
  }
  if (key == "fold") {
    row.fold = fold_number(integer_of(json), shown(json), where);
  }
  if (key == "task") {
    row.tasks.emplace();
    for (const std::string& task :
         json.is_string() ? std::vector{json.get<std::string>()} : texts_of(json, key, where)) {
      row.tasks->insert(parse_row_task(task, where));
    }
  }
}

/// The object of one line. A key given twice is an error: which of the two counts, nobody could tell.
Json parse_line(std::string_view line, const std::string& where) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  std::string twice;
  const auto note_keys = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > kMaxDepth) fail(ErrorKind::kData, where, ": JSON nested more than ", kMaxDepth, " deep");
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second) {
      twice = parsed.get<std::string>();
    }
    return true;
  };
  Json json;
  try {
    json = Json::parse(line, note_keys);
  } catch (const Json::exception& error) {
    const auto* parse = dynamic_cast<const Json::parse_error*>(&error);
    fail(ErrorKind::kData, where, ": not valid JSON", parse == nullptr ? "" : concat(" near byte ", parse->byte),
         "; a line is one object like {\"audio\": \"a.wav\", ...}");
  }
  if (!json.is_object()) fail(ErrorKind::kData, where, ": ", shown(json), " where a line has to be one object");
  if (!twice.empty()) fail(ErrorKind::kData, where, ": the key ", in_quotes(twice), " stands twice; remove one");
  return json;
}

}  // namespace

ManifestRows read_jsonl_rows(const std::string& path) {
  const std::string text = read_text_file(path, kMaxManifestBytes);
  std::string_view rest = text;
  if (rest.substr(0, 3) == "\xEF\xBB\xBF") rest.remove_prefix(3);
  ManifestRows result;
  for (std::int64_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    const std::string where = concat(path, ":", number);
    if (line.size() > kMaxLineBytes) {
      fail(ErrorKind::kData, where, ": a line of ", line.size(), " bytes; at most ", kMaxLineBytes, " are read");
    }
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const Json json = parse_line(line, where);
    ManifestRow row;
    row.where = where;
    for (const auto& [key, value] : json.items()) {
      check_field(key, kFields, where);
      set_field(row, key, value);
    }
    check_row(row, json.contains("scene_soft"));
    result.rows.push_back(std::move(row));
  }
  return result;
}

// ---- CSV

namespace {

char separator_of(const std::string& path) { return std::filesystem::path(path).extension() == ".tsv" ? '\t' : ','; }

/// "Bark:0.7;Stream:0.2"
std::vector<NamedValue> soft_cell(const std::string& cell, std::string_view what, const std::string& where) {
  std::vector<NamedValue> values;
  for (const std::string& part : split_list(cell, ';')) {
    const std::size_t colon = part.rfind(':');
    const auto value = colon == std::string::npos ? std::nullopt : parse_number(part.substr(colon + 1));
    if (!value)
      fail(ErrorKind::kData, where, ": ", what, " holds ", in_quotes(part), "; it has to be like Bark:0.7;Stream:0.2");
    const std::string name = part.substr(0, colon);
    values.push_back({.name = name, .value = probability(*value, name, where)});
  }
  return values;
}

using EventTable = std::map<std::string, std::vector<NamedEvent>>;  // by file name

EventTable read_event_table(const std::string& path) {
  const CsvTable csv = CsvTable::read(path, {.separator = separator_of(path)});
  const std::size_t filename = csv.column("filename");
  const std::size_t onset = csv.column("onset");
  const std::size_t offset = csv.column("offset");
  const std::size_t label = csv.column("event_label");
  EventTable table;
  for (std::size_t r = 0; r < csv.rows(); ++r) {
    std::vector<NamedEvent>& events = table[csv.at(r, filename)];
    if (csv.at(r, onset).empty() && csv.at(r, offset).empty() && csv.at(r, label).empty()) continue;
    const std::string where = csv.where(r);
    NamedEvent event{.label = corrected_sed_name(csv.at(r, label)),
                     .onset = seconds(csv.number(r, onset, "the onset"), "the onset", where),
                     .offset = seconds(csv.number(r, offset, "the offset"), "the offset", where)};
    check_event(event, where);
    events.push_back(std::move(event));
  }
  return table;
}

/// A row's cells by column name; an absent column reads as an empty cell.
class Cells {
 public:
  Cells(const CsvTable& csv, std::size_t row) : csv_(csv), row_(row) {}
  [[nodiscard]] std::string operator[](std::string_view column) const {
    const auto at = csv_.find_column(column);
    return at ? csv_.at(row_, *at) : std::string();
  }
  [[nodiscard]] double number(std::string_view column, double otherwise) const {
    const auto at = csv_.find_column(column);
    if (!at || csv_.at(row_, *at).empty()) return otherwise;
    return seconds(csv_.number(row_, *at, column), column, csv_.where(row_));
  }

 private:
  const CsvTable& csv_;
  std::size_t row_;
};

ManifestRow row_of(const Cells& cells, const std::string& where) {
  ManifestRow row;
  row.where = where;
  row.audio = cells["audio"];
  row.start = cells.number("start", row.start);
  row.end = cells.number("end", row.end);
  row.group = cells["group"];
  row.device = cells["device"];
  row.events_soft = cells["events_soft"];
  if (const std::string split = cells["split"]; !split.empty()) row.split = parse_split(split, where);
  if (const std::string channels = cells["channels"]; !channels.empty()) row.channels = parse_channels(channels, where);
  if (const std::string fold = cells["fold"]; !fold.empty()) {
    row.fold = fold_number(parse_integer(fold), in_quotes(fold), where);
  }
  if (const std::string tasks = cells["task"]; !tasks.empty()) {
    row.tasks.emplace();
    for (const std::string& task : split_list(tasks, ';')) row.tasks->insert(parse_row_task(task, where));
  }
  const auto soft = [&](std::optional<std::vector<NamedValue>>& target, const std::string& name) {
    const std::string cell = cells[name + "_soft"];
    if (!cell.empty()) set_values(target, soft_cell(cell, name + "_soft", where), name, where);
  };
  if (const std::string scene = cells["scene"]; !scene.empty()) row.scene = plain_values({scene});
  soft(row.scene, "scene");
  if (const std::string tags = cells["tags"]; !tags.empty()) row.tags = plain_values(split_list(tags, ';'));
  soft(row.tags, "tags");
  return row;
}

}  // namespace

ManifestRows read_csv_rows(const std::string& path, const std::string& events) {
  const std::filesystem::path file(path);
  const std::string beside =
      (file.parent_path() / (file.stem().string() + "_events" + file.extension().string())).string();
  const std::string events_path = !events.empty() ? events : is_file(beside) ? beside : "";
  EventTable table;
  if (!events_path.empty()) table = read_event_table(events_path);

  const CsvTable csv = CsvTable::read(path, {.separator = separator_of(path)});
  (void)csv.column("audio");
  for (const std::string& column : csv.header()) {
    if (column == "events") {
      fail(ErrorKind::kData, path,
           ":1: events stand in a table of their own (filename,onset,offset,event_label), not in a column");
    }
    check_field(column, kFields, path + ":1");
  }
  const bool has_tags = csv.find_column("tags").has_value();

  ManifestRows result;
  std::set<std::string> used;
  for (std::size_t r = 0; r < csv.rows(); ++r) {
    const Cells cells(csv, r);
    ManifestRow row = row_of(cells, csv.where(r));
    const auto named = [&row](Task task) { return row.tasks && row.tasks->count(task) > 0; };
    // An empty cell says "nothing" only where the row claims to know about the task.
    if (has_tags && !row.tags && named(Task::kTag)) row.tags.emplace();
    if (row.events_soft.empty() && !events_path.empty()) {
      const auto at = table.find(row.audio);
      if (at != table.end()) row.events = at->second;
      if (at == table.end() && named(Task::kSed)) row.events.emplace();
      used.insert(row.audio);
    }
    check_row(row, !cells["scene_soft"].empty());
    result.rows.push_back(std::move(row));
  }
  std::size_t foreign = 0;
  for (const auto& [name, listed] : table) foreign += used.count(name) == 0 ? 1 : 0;
  if (foreign > 0) {
    result.warnings.push_back(
        concat(foreign, " files of ", events_path, " are not in the manifest; their events are not used"));
  }
  return result;
}

}  // namespace dcase
