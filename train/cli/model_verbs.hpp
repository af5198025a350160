#pragma once
/// The verbs of `dcasenet model`, one file each.

namespace CLI {  // NOLINT(readability-identifier-naming): the library's own
class App;
}

namespace dcase::cli {

class Program;

void add_model_info(Program& program, CLI::App& group);
void add_model_convert(Program& program, CLI::App& group);
void add_model_diff(Program& program, CLI::App& group);
void add_model_export(Program& program, CLI::App& group);
void add_model_draw(Program& program, CLI::App& group);
void add_model_recalibrate(Program& program, CLI::App& group);

}  // namespace dcase::cli
