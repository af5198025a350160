/// ptx_layouts: writes what each PTX wrapper does on this device as JSON, or compares it with such a file.
///   ptx_layouts --write FILE | --compare FILE
/// Exit status 1: tables differ, or the file has one that this device does not. 2: wrong usage, or no device.

#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/cuda/device.hpp"
#include "engine/files.hpp"
#include "tests/cuda/layouts.hpp"

namespace {

using nlohmann::ordered_json;

ordered_json tables_json() {
  ordered_json tables = ordered_json::object();
  for (const dcase::layouts::Table& table : dcase::layouts::tables()) tables[table.name] = table.words;
  return {{"device", dcase::describe(dcase::device_info(0))}, {"tables", tables}};
}

int compare(const ordered_json& mine, const ordered_json& file) {
  int different = 0;
  for (const auto& [name, words] : file.at("tables").items()) {
    const bool equal = mine.at("tables").contains(name) && mine.at("tables").at(name) == words;
    if (!equal) std::cout << name << ": differs from " << file.at("device").get<std::string>() << "\n";
    different += equal ? 0 : 1;
  }
  std::cout << file.at("tables").size() - static_cast<std::size_t>(different) << " of " << file.at("tables").size()
            << " tables agree\n";
  return different == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() != 2 || (arguments[0] != "--write" && arguments[0] != "--compare")) {
    std::cerr << "usage: ptx_layouts --write FILE | --compare FILE\n";
    return 2;
  }
  try {
    const ordered_json mine = tables_json();
    if (arguments[0] == "--compare") return compare(mine, ordered_json::parse(dcase::read_file(arguments[1])));
    dcase::atomic_write(arguments[1], mine.dump() + "\n");
    std::cout << mine.at("tables").size() << " tables of " << mine.at("device").get<std::string>() << "\n";
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 2;
  }
}
