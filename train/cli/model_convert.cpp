/// dcasenet model convert: weights of PyTorch in, weights for PyTorch out.

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>

#include "dcasenet/weights/class_order.hpp"
#include "dcasenet/weights/weights.hpp"
#include "train/cli/app.hpp"
#include "train/cli/averages.hpp"
#include "train/cli/model_verbs.hpp"
#include "train/data/csv.hpp"

namespace dcase::cli {
namespace {

struct Options {
  std::string input, output, key, asc_labels, averages;
};

constexpr std::size_t kMaxListBytes = 64U << 20U;  // the set's own table has 2 MB

// One name a line, or a table with a column scene_label, of which the order of first appearance counts: the set's own
// meta.csv, as the released program read it.
LabelSet read_scene_list(const std::string& path) {
  const std::string text = read_text_file(path, kMaxListBytes);
  const std::string head = text.substr(0, text.find('\n'));
  const bool table = head.find("scene_label") != std::string::npos;
  const CsvOptions csv{.separator = head.find('\t') != std::string::npos ? '\t' : ',', .header = table};
  const CsvTable rows = CsvTable::parse(text, path, csv);
  const std::size_t column = table ? rows.column("scene_label") : 0;
  std::vector<std::string> names;
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    const std::string& name = rows.at(r, column);
    // A repeated name is normal in a table; in a plain list it is an error, which LabelSet reports.
    if (!table || std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    if (names.size() > 10'000) fail(ErrorKind::kData, path, ": more than 10000 scenes");
  }
  return LabelSet(std::move(names), path);
}

// Names the scenes of a file that does not say them itself.
void name_scenes(const Options& options, Model& model, Console& console) {
  const bool published =
      options.asc_labels.empty() || options.asc_labels == "meta-order" || options.asc_labels == "alphabetical";
  if (!published) {
    const bool moved = set_scene_classes(model, read_scene_list(options.asc_labels), options.asc_labels);
    console.info(fmt::format("scenes: named by {}{}", options.asc_labels,
                             moved ? "; the classifier's rows were moved into alphabetical order" : ""));
    return;
  }
  const LabelSet& builtin = builtin_labels(Task::kAsc);
  if (model.info().architecture.classes_asc == builtin.size()) {
    console.info("scenes: the file does not name them; taken to be in the order of meta.csv, which is alphabetical");
  } else if (!options.asc_labels.empty()) {
    fail(ErrorKind::kUsage, "--asc-labels ", options.asc_labels, " means ", builtin.size(), " scenes, ", options.input,
         " has ", model.info().architecture.classes_asc, "; name them in a file");
  } else {
    console.warn("scenes: the file does not name them; they are called class_0, class_1 ... (--asc-labels FILE)");
  }
}

int convert(const Options& options, Environment& environment) {
  const bool to_torch = has_torch_extension(options.output);
  if (!to_torch && !options.output.ends_with(".safetensors")) {
    fail(ErrorKind::kUsage, options.output, ": the output is NAME.safetensors, or NAME.pt for PyTorch");
  }
  const Weights in = open_weights(options.input, options.key);
  Console& console = environment.console;
  for (const std::string& note : in.notes) console.info(fmt::format("{}: {}", options.input, note));
  Model model = Model::load(in.archive);
  if (!in.archive.metadata().contains("dcasenet.labels")) {
    name_scenes(options, model, console);
  } else if (!options.asc_labels.empty()) {
    fail(ErrorKind::kUsage, options.input, ": names its scenes itself; --asc-labels is for files that do not");
  }
  const auto keeps_type = [](const TensorInfo& t) { return t.dtype == DType::kF32 || t.dtype == DType::kI64; };
  const auto other = std::count_if(in.archive.tensors().begin(), in.archive.tensors().end(), std::not_fn(keeps_type));
  if (other > 0) console.info(fmt::format("{} tensors are stored in another precision and become F32", other));
  const auto of_training = [](const TensorInfo& t) { return t.name.starts_with("train."); };
  if (std::any_of(in.archive.tensors().begin(), in.archive.tensors().end(), of_training)) {
    console.info("the optimiser's state is left out: training cannot be resumed from the result");
  }

  keep_averages(model, options.averages, options.input);
  if (to_torch && model.info().bn_stats != BnStats::kShared) {
    console.warn(
        "the averages of single tasks go along as averages.*, which load_state_dict takes with strict=False; "
        "--averages leaves them out");
  }
  ArchiveWriter writer;
  model.write(writer);
  if (to_torch) {
    write_torch(writer.in_memory(options.output), options.output);
  } else {
    writer.write(options.output);
  }
  console.info(fmt::format("{}: DcaseNet v{}, {} parameters", options.output, model.info().architecture.version,
                           model.parameters().parameter_count()));
  return kExitOk;
}

}  // namespace

void add_model_convert(Program& program, CLI::App& group) {
  auto o = std::make_shared<Options>();
  CLI::App& verb = program.add(group, "convert", "between PyTorch files and this project's model files",
                               [o](Environment& e) { return convert(*o, e); });
  verb.add_option("INPUT", o->input, "model: .safetensors, or what torch.save wrote (recognised by its content)")
      ->required();
  verb.add_option("OUTPUT", o->output, "NAME.safetensors, or NAME.pt for torch.load")->required();
  verb.add_option(
      "--asc-labels", o->asc_labels,
      "which scene each output is, where the file does not say: meta-order (of the data set's meta.csv, the "
      "default), alphabetical (the same order, as published), or a file: one name a line, or a meta.csv");
  add_averages_option(verb, o->averages);
  verb.add_option("--key", o->key, "which dictionary of a PyTorch file, where it holds several: model, ema.state_dict");
}

}  // namespace dcase::cli
