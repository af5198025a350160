#include "train/formats/writers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "engine/files.hpp"
#include "train/formats/clip_tables.hpp"
#include "train/formats/fields.hpp"
#include "train/formats/json_lines.hpp"
#include "train/formats/recording_names.hpp"
#include "train/formats/score_table.hpp"

namespace dcase {

namespace {

using Json = nlohmann::ordered_json;

constexpr double kFrameSeconds = 0.1;

[[nodiscard]] std::vector<ScoredLabel> scored(const std::vector<float>& values, const LabelSet& labels,
                                              std::size_t most) {
  std::vector<ScoredLabel> list;
  for (const std::size_t k : descending(values)) {
    if (list.size() == most) break;
    list.push_back({.label = labels[static_cast<std::int32_t>(k)], .probability = static_cast<double>(values[k])});
  }
  return list;
}

/// A single file, collected as text.
class FileWriter : public OutputWriter {
 public:
  explicit FileWriter(std::string path) : path_(std::move(path)) {}
  void finish() override {
    if (path_ == "-") {
      std::cout << text_;
    } else {
      atomic_write(path_, text_);
    }
  }

 protected:
  std::string text_;

 private:
  std::string path_;
};

class JsonWriter : public FileWriter {
 public:
  explicit JsonWriter(const WriterOptions& o) : FileWriter(o.path), options_(o) {}
  void add(const RecordingResult& r) override {
    const auto list = [](const std::vector<ScoredLabel>& labels) {
      Json json = Json::array();
      for (const ScoredLabel& l : labels) json.push_back({{"label", l.label}, {"probability", l.probability}});
      return json;
    };
    Json j = {{"file", r.file}, {"seconds", r.seconds}};
    if (!r.scene.empty()) j["scene"] = list(scored(r.scene, options_.labels.asc, r.scene.size()));
    if (!r.tags.empty())
      j["tags"] = list(scored(r.tags, options_.labels.tag, static_cast<std::size_t>(options_.top_tags)));
    if (r.events) {
      j["events"] = Json::array();
      for (const LabelledEvent& e : *r.events) {
        j["events"].push_back(
            {{"label", e.label}, {"onset", e.onset}, {"offset", e.offset}, {"probability", e.probability}});
      }
    }
    json_.push_back(std::move(j));
  }
  void add_failure(const std::string& file, const std::string& reason) override {
    json_.push_back({{"file", file}, {"error", reason}});
  }
  void finish() override {
    text_ = json_.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
    FileWriter::finish();
  }

 private:
  WriterOptions options_;
  Json json_ = Json::array();
};

class JsonLinesWriter : public FileWriter {
 public:
  explicit JsonLinesWriter(const WriterOptions& o) : FileWriter(o.path), options_(o) {}
  void add(const RecordingResult& r) override {
    JsonRecording line{.name = r.file, .seconds = r.seconds, .events = r.events};
    if (!r.scene.empty()) line.scene = scored(r.scene, options_.labels.asc, r.scene.size());
    if (!r.tags.empty()) line.tags = scored(r.tags, options_.labels.tag, r.tags.size());
    text_ += json_line(line);
  }
  void add_failure(const std::string& file, const std::string& reason) override {
    const Json json = {{"file", file}, {"error", reason}};
    text_ += json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }

 private:
  WriterOptions options_;
};

class CsvWriter : public FileWriter {
 public:
  explicit CsvWriter(const WriterOptions& o) : FileWriter(o.path), options_(o) {
    text_ = "file,kind,label,probability,onset,offset\n";
  }
  void add(const RecordingResult& r) override {
    const auto row = [&](const char* kind, const std::string& label, double probability, double onset, double offset) {
      text_ += fmt::format("{},{},{},{:.6g},{:.3f},{:.3f}\n", comma_field(r.file), kind, comma_field(label),
                           probability, onset, offset);
    };
    for (const ScoredLabel& l : scored(r.scene, options_.labels.asc, r.scene.size())) {
      row("scene", l.label, l.probability, 0, r.seconds);
    }
    for (const ScoredLabel& l : scored(r.tags, options_.labels.tag, static_cast<std::size_t>(options_.top_tags))) {
      row("tag", l.label, l.probability, 0, r.seconds);
    }
    if (!r.events) return;
    for (const LabelledEvent& e : *r.events) row("event", e.label, e.probability, e.onset, e.offset);
  }

 private:
  WriterOptions options_;
};

/// A header and rows made by functions of the format.
template <class Rows>
class TableWriter : public FileWriter {
 public:
  TableWriter(const std::string& path, const std::string& header, Rows rows)
      : FileWriter(path), rows_(std::move(rows)) {
    text_ = header;
  }
  void add(const RecordingResult& r) override { text_ += rows_(r); }

 private:
  Rows rows_;
};

/// A file a recording.
template <class Content>
class FolderWriter : public OutputWriter {
 public:
  FolderWriter(const std::string& folder, const std::string& ending, Content content)
      : paths_(folder, ending), content_(std::move(content)) {}
  void add(const RecordingResult& r) override { atomic_write(paths_.path_of(r.file), content_(r)); }

 private:
  RecordingPaths paths_;
  Content content_;
};

template <class Rows>
[[nodiscard]] std::unique_ptr<OutputWriter> table(const std::string& path, const std::string& header, Rows rows) {
  return std::make_unique<TableWriter<Rows>>(path, header, std::move(rows));
}
template <class Content>
[[nodiscard]] std::unique_ptr<OutputWriter> folder(const std::string& path, const std::string& ending,
                                                   Content content) {
  return std::make_unique<FolderWriter<Content>>(path, ending, std::move(content));
}

}  // namespace

std::vector<std::size_t> descending(const std::vector<float>& values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
  return order;
}

bool has_folder(OutputFormat format) {
  return format == OutputFormat::kDcaseSed || format == OutputFormat::kScores || format == OutputFormat::kAudacity ||
         format == OutputFormat::kRaven;
}

std::optional<Task> task_of(OutputFormat format) {
  switch (format) {
    case OutputFormat::kJson:
    case OutputFormat::kJsonLines:
    case OutputFormat::kCsv:
      return std::nullopt;
    case OutputFormat::kDcaseAsc:
      return Task::kAsc;
    case OutputFormat::kDcaseTag:
      return Task::kTag;
    case OutputFormat::kDcaseSed:
    case OutputFormat::kEvents:
    case OutputFormat::kScores:
    case OutputFormat::kAudacity:
    case OutputFormat::kRaven:
      return Task::kSed;
  }
  fail(ErrorKind::kArgument, "task_of: no such format");
}

std::unique_ptr<OutputWriter> make_writer(OutputFormat format, const WriterOptions& o) {
  if (has_folder(format) && (o.path == "-" || o.path.empty())) {
    const std::string word = word_of(kOutputFormatWords, format);
    fail(ErrorKind::kUsage, "--format ", word, " writes a file for each recording; give a folder: ", word, "=FOLDER");
  }
  const LabelSets labels = o.labels;
  switch (format) {
    case OutputFormat::kJson:
      return std::make_unique<JsonWriter>(o);
    case OutputFormat::kJsonLines:
      return std::make_unique<JsonLinesWriter>(o);
    case OutputFormat::kCsv:
      return std::make_unique<CsvWriter>(o);
    case OutputFormat::kDcaseAsc:
      return table(o.path, scene_table_header(labels.asc.names()),
                   [labels](const RecordingResult& r) { return scene_table_row(r.file, labels.asc.names(), r.scene); });
    case OutputFormat::kDcaseTag:
      return table(o.path, tag_table_header(labels.tag.names()),
                   [](const RecordingResult& r) { return tag_table_row(r.file, r.tags); });
    case OutputFormat::kEvents:
      return table(o.path, event_list_header(), [](const RecordingResult& r) {
        return event_list_rows({.name = r.file, .events = r.events.value()});
      });
    case OutputFormat::kDcaseSed:
      return folder(o.path, ".csv",
                    [labels](const RecordingResult& r) { return write_frame_list(r.events.value(), labels.sed); });
    case OutputFormat::kScores:
      return folder(o.path, ".tsv", [labels](const RecordingResult& r) {
        return write_score_table(labels.sed.names(), r.frames, kFrameSeconds, r.seconds);
      });
    case OutputFormat::kAudacity:
      return folder(o.path, ".txt", [](const RecordingResult& r) { return write_audacity(r.events.value()); });
    case OutputFormat::kRaven:
      return folder(o.path, ".selections.txt",
                    [](const RecordingResult& r) { return write_raven({.name = r.file, .events = r.events.value()}); });
  }
  fail(ErrorKind::kArgument, "make_writer: no such format");
}

}  // namespace dcase
