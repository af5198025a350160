#include <iostream>

#include "train/cli/app.hpp"
#include "train/cli/verbs.hpp"

int main(int argc, char** argv) {
  using namespace dcase::cli;
  Program program(std::cout, std::cerr);
  add_train(program);
  add_eval(program);
  add_predict(program);
  add_score(program);
  add_features(program);
  add_data(program);
  add_model(program);
  add_table(program);
  add_verify(program);
  return program.run(argc, argv);
}
