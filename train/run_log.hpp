#pragma once
/// What a run leaves for people and plots: metrics.csv (one line every few steps) and log.jsonl (events, one JSON
/// object a line). A resumed run drops lines that are later than its checkpoint, so the files read as if it never
/// stopped.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace dcase {

class RunLog {
 public:
  /// Opens (or creates) the files in `folder`, keeping the lines up to `step`. Throws Error(kIo).
  RunLog(const std::string& folder, std::vector<std::string> columns, std::int64_t step);
  ~RunLog();
  RunLog(RunLog&& other) noexcept;
  RunLog& operator=(RunLog&& other) noexcept;
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  /// One line of metrics.csv; columns without a value stay empty. Throws Error(kIo) when the disk is full.
  void metrics(std::int64_t step, const std::map<std::string, double>& values);
  /// One line of log.jsonl; "step" and "event" are put in front.
  void event(std::int64_t step, const std::string& name, const nlohmann::ordered_json& fields = {});

 private:
  void append(int descriptor, const std::string& path, const std::string& line) const;

  std::string metrics_path_, events_path_;
  std::vector<std::string> columns_;  // without "step", which comes first
  int metrics_ = -1;
  int events_ = -1;
};

}  // namespace dcase
