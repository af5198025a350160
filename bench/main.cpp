#include <iostream>

#include "bench/app.hpp"

int main(int argc, char** argv) { return dcase::bench::run(argc, argv, std::cout, std::cerr); }
