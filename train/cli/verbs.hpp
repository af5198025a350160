#pragma once
/// The verbs of the `dcasenet` program; each adds itself with its options. One file each.

namespace dcase::cli {

class Program;

void add_train(Program& program);
void add_eval(Program& program);
void add_predict(Program& program);
void add_score(Program& program);
void add_features(Program& program);
void add_data(Program& program);
void add_model(Program& program);
void add_table(Program& program);
void add_verify(Program& program);

}  // namespace dcase::cli
