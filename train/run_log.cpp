#include "train/run_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <functional>
#include <utility>

#include "engine/files.hpp"
#include "kernels/common/error.hpp"

namespace dcase {
namespace {

// Keeps the complete lines for which `keep` holds.
void filter_lines(const std::string& path, const std::function<bool(const std::string&)>& keep) {
  if (!std::filesystem::exists(path)) return;
  const std::string text = read_file(path);
  std::string kept;
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    const std::string line = text.substr(begin, end - begin);
    if (keep(line)) kept += line + "\n";
    begin = end + 1;
  }
  if (kept != text) atomic_write(path, kept);
}

int open_for_append(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor < 0) fail(ErrorKind::kIo, path, ": cannot be written: ", std::strerror(errno));
  return descriptor;
}

std::string number_text(double value) {
  if (!std::isfinite(value)) return "";
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

}  // namespace

RunLog::RunLog(const std::string& folder, std::vector<std::string> columns, std::int64_t step)
    : metrics_path_(folder + "/metrics.csv"), events_path_(folder + "/log.jsonl"), columns_(std::move(columns)) {
  std::string header = "step";
  for (const std::string& column : columns_) header += "," + column;
  bool has_header = false;
  filter_lines(metrics_path_, [&](const std::string& line) {
    if (line == header) return !std::exchange(has_header, true);
    std::int64_t at = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), at);
    return error == std::errc() && *end == ',' && at <= step;
  });
  filter_lines(events_path_, [&](const std::string& line) {
    const auto j = nlohmann::json::parse(line, nullptr, false);
    return j.is_object() && j.contains("step") && j["step"].is_number_integer() &&
           j["step"].get<std::int64_t>() <= step;
  });
  metrics_ = open_for_append(metrics_path_);
  events_ = open_for_append(events_path_);
  if (!has_header) append(metrics_, metrics_path_, header + "\n");
}

RunLog::~RunLog() {
  if (metrics_ >= 0) ::close(metrics_);
  if (events_ >= 0) ::close(events_);
}

RunLog::RunLog(RunLog&& other) noexcept
    : metrics_path_(std::move(other.metrics_path_)),
      events_path_(std::move(other.events_path_)),
      columns_(std::move(other.columns_)),
      metrics_(std::exchange(other.metrics_, -1)),
      events_(std::exchange(other.events_, -1)) {}

RunLog& RunLog::operator=(RunLog&& other) noexcept {
  std::swap(metrics_path_, other.metrics_path_);
  std::swap(events_path_, other.events_path_);
  std::swap(columns_, other.columns_);
  std::swap(metrics_, other.metrics_);
  std::swap(events_, other.events_);
  return *this;
}

void RunLog::metrics(std::int64_t step, const std::map<std::string, double>& values) {
  std::string line = std::to_string(step);
  for (const std::string& column : columns_) {
    const auto it = values.find(column);
    line += "," + (it == values.end() ? std::string() : number_text(it->second));
  }
  append(metrics_, metrics_path_, line + "\n");
}

void RunLog::event(std::int64_t step, const std::string& name, const nlohmann::ordered_json& fields) {
  nlohmann::ordered_json j = {{"step", step}, {"event", name}};
  if (fields.is_object()) j.update(fields);
  append(events_, events_path_, j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void RunLog::append(int descriptor, const std::string& path, const std::string& line) const {
  for (std::size_t done = 0; done < line.size();) {
    const ssize_t n = ::write(descriptor, line.data() + done, line.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(ErrorKind::kIo, path, ": cannot be written: ", std::strerror(errno));
    done += static_cast<std::size_t>(n);
  }
}

}  // namespace dcase
