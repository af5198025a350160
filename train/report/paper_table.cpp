#include "train/report/paper_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kernels/common/error.hpp"
#include "train/report/table.hpp"

namespace dcase {
namespace {

struct Metric {
  const char* title;
  const char* word;
  Task task;
  double PaperScores::*value;
  int digits;
};

constexpr std::array<Metric, 4> kMetrics = {{{"ASC acc", "accuracy", Task::kAsc, &PaperScores::accuracy, 2},
                                             {"TAG lwlrap", "lwlrap", Task::kTag, &PaperScores::lwlrap, 2},
                                             {"SED F1", "f1", Task::kSed, &PaperScores::f1, 2},
                                             {"SED ER", "error_rate", Task::kSed, &PaperScores::error_rate, 4}}};

struct Mode {
  const char* word;
  PaperScores PaperRun::*scores;
  bool published;
};

constexpr std::array<Mode, 2> kModes = {
    {{"reference", &PaperRun::reference, true}, {"standard", &PaperRun::standard, false}}};

// What the runs of one preset come to in one metric.
struct Figure {
  double mean = PaperScores::kNone;
  double deviation = PaperScores::kNone;  // NaN for one seed
  std::int64_t seeds = 0;
  std::string state;  // where there is no figure: "missing", "failed", ...
  bool changed = false;
};

bool counts(const PaperRun& run) { return run.state.empty() || run.state == kNotEvaluated; }

Figure figure_of(const PaperRuns& runs, const std::string& preset, const Metric& metric, const Mode& mode) {
  Figure figure{.state = "missing"};
  std::vector<double> values;
  for (const PaperRun& run : runs.runs) {
    if (run.preset != preset) continue;
    const double value = run.*mode.scores.*metric.value;
    figure.changed = !run.changes.empty();
    if (counts(run) && !std::isnan(value)) {
      values.push_back(value);
    } else if (figure.state == "missing") {
      figure.state = run.state.substr(0, run.state.find(" at step"));
    }
  }
  if (values.empty()) return figure;
  figure.state.clear();
  figure.seeds = std::ssize(values);
  figure.mean = 0;
  for (const double v : values) figure.mean += v / static_cast<double>(figure.seeds);
  if (figure.seeds > 1) {
    double squares = 0;
    for (const double v : values) squares += (v - figure.mean) * (v - figure.mean);
    figure.deviation = std::sqrt(squares / static_cast<double>(figure.seeds - 1));
  }
  return figure;
}

std::string text_of(const Figure& f, int digits) {
  if (!f.state.empty()) return f.state;
  const std::string spread = std::isnan(f.deviation) ? "" : fmt::format(" ±{:.{}f}", f.deviation, digits);
  return fmt::format("{:.{}f}{} ({}){}", f.mean, digits, spread, f.seeds, f.changed ? "*" : "");
}

// One table as cells; every row has as many as there are titles.
struct Grid {
  std::string heading;
  std::vector<std::string> titles;
  std::size_t left = 0;  // columns of words, ahead of the figures
  std::vector<std::vector<std::string>> rows;
};

// The presets that share a line of a table: by task, the one that the task's figures come from (null: none).
using Line = std::array<const Preset*, kAllTasks.size()>;

const Preset* preset_of(const std::string& system, Preset::Batches batches, Preset::Kind kind, TaskSet tasks,
                        TaskSet init_tasks = {}) {
  const auto found = std::find_if(presets().begin(), presets().end(), [&](const Preset& p) {
    return p.system == system && p.batches == batches && p.kind == kind && p.tasks == tasks &&
           p.init_tasks == init_tasks;
  });
  return found == presets().end() ? nullptr : &*found;
}

void add_figures(std::vector<std::string>& paper, std::vector<std::string>& ours, const Line& line,
                 const PaperRuns& runs, const Mode& mode) {
  for (const Metric& metric : kMetrics) {
    const Preset* const preset = line.at(static_cast<std::size_t>(metric.task));
    paper.push_back(preset == nullptr ? "-" : number_text(preset->published.*metric.value, metric.digits));
    ours.push_back(preset == nullptr ? "-" : text_of(figure_of(runs, preset->name(), metric, mode), metric.digits));
  }
}

// What distinguishes the presets of a table: systems, and the sets of tasks trained together, in the paper's order.
struct Axes {
  std::vector<std::string> systems;
  std::vector<TaskSet> joint;
};

Axes axes() {
  Axes a;
  for (const Preset& p : presets()) {
    if (std::find(a.systems.begin(), a.systems.end(), p.system) == a.systems.end()) a.systems.push_back(p.system);
    if (p.kind == Preset::Kind::kJoint && std::find(a.joint.begin(), a.joint.end(), p.tasks) == a.joint.end()) {
      a.joint.push_back(p.tasks);
    }
  }
  return a;
}

void add_rows(Grid& grid, const Mode& mode, std::vector<std::string> paper, std::vector<std::string> ours) {
  if (mode.published) grid.rows.push_back(std::move(paper));
  grid.rows.push_back(std::move(ours));
}

Grid table_2(const PaperRuns& runs, const Mode& mode, Preset::Batches batches) {
  Grid grid{.heading = "Table 2, one task alone", .titles = {"system", ""}, .left = 2, .rows = {}};
  for (const Metric& metric : kMetrics) grid.titles.emplace_back(metric.title);
  for (const std::string& system : axes().systems) {
    Line line{};
    for (const Task task : kAllTasks) {
      line.at(static_cast<std::size_t>(task)) = preset_of(system, batches, Preset::Kind::kSingle, task);
    }
    std::vector<std::string> paper = {system, "paper"};
    std::vector<std::string> ours = {system, "ours"};
    add_figures(paper, ours, line, runs, mode);
    add_rows(grid, mode, std::move(paper), std::move(ours));
  }
  return grid;
}

Grid table_3(const PaperRuns& runs, const Mode& mode, Preset::Batches batches) {
  Grid grid{.heading = "Table 3, joint training and fine-tuning of each task from it",
            .titles = {"system", "tasks", ""},
            .left = 3,
            .rows = {}};
  for (const char* part : {"", "tuned "}) {
    for (const Metric& metric : kMetrics) grid.titles.push_back(concat(part, metric.title));
  }
  for (const std::string& system : axes().systems) {
    for (const TaskSet tasks : axes().joint) {
      const std::string words = task_set_text(tasks);
      Line joint{};
      Line tuned{};
      for (const Task task : kAllTasks) {
        if (!tasks.has(task)) continue;
        const auto i = static_cast<std::size_t>(task);
        joint.at(i) = preset_of(system, batches, Preset::Kind::kJoint, tasks);
        tuned.at(i) = preset_of(system, batches, Preset::Kind::kTune, task, tasks);
      }
      std::vector<std::string> paper = {system, words, "paper"};
      std::vector<std::string> ours = {system, words, "ours"};
      add_figures(paper, ours, joint, runs, mode);
      add_figures(paper, ours, tuned, runs, mode);
      add_rows(grid, mode, std::move(paper), std::move(ours));
    }
  }
  return grid;
}

std::vector<Preset::Batches> variants(const PaperRuns& runs) {
  std::vector<Preset::Batches> found;
  for (const Preset::Batches batches : {Preset::Batches::kPaper, Preset::Batches::kCode}) {
    const auto has = [&](const PaperRun& run) { return find_preset(run.preset).batches == batches; };
    if (std::any_of(runs.runs.begin(), runs.runs.end(), has)) found.push_back(batches);
  }
  if (found.empty()) found.push_back(Preset::Batches::kPaper);
  return found;
}

std::vector<Grid> grids(const PaperRuns& runs) {
  std::vector<Grid> all;
  for (const Preset::Batches batches : variants(runs)) {
    for (const Mode& mode : kModes) {
      for (Grid grid : {table_2(runs, mode, batches), table_3(runs, mode, batches)}) {
        grid.heading += fmt::format("; batch sizes of the {}; {} metrics{}",
                                    batches == Preset::Batches::kPaper ? "paper" : "released code", mode.word,
                                    mode.published ? "" : ", in which nothing is published");
        all.push_back(std::move(grid));
      }
    }
  }
  return all;
}

// Presets by what their runs have that the paper has not, in order of appearance.
std::vector<std::pair<std::string, std::vector<std::string>>> departures(const PaperRuns& runs) {
  std::vector<std::pair<std::string, std::vector<std::string>>> found;
  for (const PaperRun& run : runs.runs) {
    std::string changes;
    for (const std::string& change : run.changes) changes += (changes.empty() ? "" : ", ") + change;
    if (changes.empty()) continue;
    auto at = std::find_if(found.begin(), found.end(), [&](const auto& d) { return d.first == changes; });
    if (at == found.end()) at = found.insert(found.end(), {changes, {}});
    if (at->second.empty() || at->second.back() != run.preset) at->second.push_back(run.preset);
  }
  return found;
}

// Lines below the tables.
std::vector<std::string> notes(const PaperRuns& runs) {
  std::vector<std::string> lines;
  const auto changed = departures(runs);
  for (const auto& [changes, names] : changed) {
    std::string who;  // nobody in particular where all marked rows are alike
    if (changed.size() > 1) {
      for (const std::string& name : names) who += (who.empty() ? "" : ", ") + name;
      who += ": ";
    }
    lines.push_back(concat("* ", who, "not as in the paper: ", changes));
  }
  for (const PaperRun& run : runs.runs) {
    if (!run.state.empty()) {
      lines.push_back(concat(run.preset, ", seed ", run.seed, ": ", run.state, " (", run.source, ")"));
    }
  }
  for (const std::string& warning : runs.warnings) lines.push_back(warning);
  return lines;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? 2 : 1, c);
  return quoted + '"';
}

std::string csv_number(double value) { return std::isnan(value) ? "" : fmt::format("{}", value); }

}  // namespace

std::string paper_tables_text(const PaperRuns& runs) {
  std::string text;
  for (const Grid& grid : grids(runs)) {
    std::vector<Table::Column> columns;
    for (std::size_t c = 0; c < grid.titles.size(); ++c) {
      columns.push_back({.title = grid.titles[c], .align = c < grid.left ? Table::Align::kLeft : Table::Align::kRight});
    }
    Table table(columns);
    for (const auto& row : grid.rows) table.add(row);
    text += grid.heading + "\n" + table.text() + "\n";
  }
  for (const std::string& note : notes(runs)) text += note + "\n";
  return text;
}

std::string paper_tables_markdown(const PaperRuns& runs) {
  std::string text;
  const auto add_row = [&](const std::vector<std::string>& cells) {
    for (const std::string& cell : cells) text += "| " + cell + " ";
    text += "|\n";
  };
  for (const Grid& grid : grids(runs)) {
    text += "### " + grid.heading + "\n\n";
    add_row(grid.titles);
    for (std::size_t c = 0; c < grid.titles.size(); ++c) text += c < grid.left ? "|---" : "|---:";
    text += "|\n";
    for (const auto& row : grid.rows) add_row(row);
    text += "\n";
  }
  for (const std::string& note : notes(runs)) text += "- " + (note.starts_with("*") ? "\\" + note : note) + "\n";
  return text;
}

std::string paper_tables_csv(const PaperRuns& runs) {
  std::string text = "preset,table,task,metric,mode,paper,mean,deviation,seeds,state,changes\n";
  const std::vector<Preset::Batches> shown = variants(runs);
  for (const Preset& preset : presets()) {
    if (std::find(shown.begin(), shown.end(), preset.batches) == shown.end()) continue;
    const std::string name = preset.name();
    std::string changes;
    for (const PaperRun& run : runs.runs) {
      if (run.preset != name || !changes.empty()) continue;
      for (const std::string& change : run.changes) changes += (changes.empty() ? "" : "; ") + change;
    }
    for (const Mode& mode : kModes) {
      for (const Metric& metric : kMetrics) {
        if (!preset.tasks.has(metric.task)) continue;
        const Figure f = figure_of(runs, name, metric, mode);
        const double published = mode.published ? preset.published.*metric.value : PaperScores::kNone;
        text += fmt::format("{},{},{},{},{},{},{},{},{},{},{}\n", name, preset.kind == Preset::Kind::kSingle ? 2 : 3,
                            task_name(metric.task), metric.word, mode.word, csv_number(published), csv_number(f.mean),
                            csv_number(f.deviation), f.seeds, csv_field(f.state), csv_field(changes));
      }
    }
  }
  return text;
}

}  // namespace dcase
