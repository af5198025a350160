/// dcasenet table: the paper's tables with our figures beside the published ones.

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "engine/files.hpp"
#include "train/cli/app.hpp"
#include "train/cli/verbs.hpp"
#include "train/report/paper_table.hpp"

namespace dcase::cli {
namespace {

struct Options {
  std::vector<std::string> runs;
  std::string csv, markdown;
};

int table(const Options& o) {
  const PaperRuns runs = read_paper_runs(o.runs);
  std::cout << paper_tables_text(runs);
  if (!o.csv.empty()) atomic_write(o.csv, paper_tables_csv(runs));
  if (!o.markdown.empty()) atomic_write(o.markdown, paper_tables_markdown(runs));
  return kExitOk;
}

}  // namespace

void add_table(Program& program) {
  auto o = std::make_shared<Options>();
  CLI::App& verb = program.add("table", "the paper's tables 2 and 3 with our figures beside the published ones",
                               [o](Environment&) { return table(*o); });
  verb.add_option("RUNS", o->runs,
                  "run folders (with eval*.json in them), or files of eval --json; of models trained with a preset")
      ->required();
  verb.add_option("--csv", o->csv, "write one line for each figure to FILE");
  verb.add_option("--markdown", o->markdown, "write the tables as Markdown to FILE");
}

}  // namespace dcase::cli
