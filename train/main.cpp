#include <iostream>

#include "train/cli/app.hpp"

int main(int argc, char** argv) {
  dcase::cli::Program program(std::cout, std::cerr);
  return program.run(argc, argv);
}
