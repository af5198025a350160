/// dcasenet model diff: what differs between two files of weights.

#include <fmt/format.h>

#include <cmath>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "dcasenet/weights/diff.hpp"
#include "dcasenet/weights/weights.hpp"
#include "train/cli/app.hpp"
#include "train/cli/model_verbs.hpp"

namespace dcase::cli {
namespace {

using nlohmann::ordered_json;

struct Options {
  std::string a, b;
  double tolerance = 0;
  bool json = false;
  bool tensors_only = false;
};

const char* presence(const MetadataDifference& m) { return !m.in_b ? "only in A" : !m.in_a ? "only in B" : "differs"; }

ordered_json number(double value) { return std::isfinite(value) ? ordered_json(value) : ordered_json("infinite"); }

void print_json(const Options& options, const WeightsDifference& d) {
  ordered_json j = {{"a", options.a},
                    {"b", options.b},
                    {"tolerance", options.tolerance},
                    {"differ", !d.empty()},
                    {"equal_tensors", d.equal},
                    {"only_a", d.only_a},
                    {"only_b", d.only_b},
                    {"shapes", ordered_json::array()},
                    {"values", ordered_json::array()},
                    {"metadata", ordered_json::array()}};
  for (const ShapeDifference& s : d.shapes) j["shapes"].push_back({{"name", s.name}, {"a", s.a}, {"b", s.b}});
  for (const ValueDifference& v : d.values) {
    j["values"].push_back({{"name", v.name},
                           {"elements", v.elements},
                           {"differing", v.differing},
                           {"max_abs", number(v.max_abs)},
                           {"rel_l2", number(v.rel_l2)}});
  }
  for (const MetadataDifference& m : d.metadata) j["metadata"].push_back({{"key", m.key}, {"what", presence(m)}});
  std::cout << j.dump(2) << "\n";
}

void print_text(const Options& options, const WeightsDifference& d) {
  fmt::print("A {}\nB {}\n", options.a, options.b);
  for (const std::string& name : d.only_a) fmt::print("  only in A  {}\n", name);
  for (const std::string& name : d.only_b) fmt::print("  only in B  {}\n", name);
  for (const ShapeDifference& s : d.shapes) fmt::print("  shape      {}: {} and {}\n", s.name, s.a, s.b);
  for (const ValueDifference& v : d.values) {
    fmt::print("  values     {}: max abs {:.3g}, rel L2 {:.3g}, {} of {} elements\n", v.name, v.max_abs, v.rel_l2,
               v.differing, v.elements);
  }
  for (const MetadataDifference& m : d.metadata) fmt::print("  metadata   {}: {}\n", m.key, presence(m));
  fmt::print("{} tensors agree{}\n", d.equal,
             options.tolerance > 0 ? fmt::format(" within {:g}", options.tolerance) : " exactly");
}

int diff(const Options& options, Environment& environment) {
  const Weights a = open_weights(options.a);
  const Weights b = open_weights(options.b);
  for (const Weights* w : {&a, &b}) {
    for (const std::string& note : w->notes) environment.console.info(w->archive.path() + ": " + note);
  }
  WeightsDifference d = compare(a.archive, b.archive, options.tolerance);
  if (options.tensors_only) d.metadata.clear();
  if (options.json) {
    print_json(options, d);
  } else {
    print_text(options, d);
  }
  return d.empty() ? kExitOk : kExitFailed;
}

}  // namespace

void add_model_diff(Program& program, CLI::App& group) {
  auto o = std::make_shared<Options>();
  CLI::App& verb = program.add(group, "diff", "what differs between two files of weights; exit status 1 where they do",
                               [o](Environment& e) { return diff(*o, e); });
  verb.add_option("A", o->a, "model, checkpoint or PyTorch file")->required();
  verb.add_option("B", o->b, "the other one")->required();
  verb.add_option("--tolerance", o->tolerance, "largest |a - b| that counts as equal (default 0)")
      ->check(CLI::NonNegativeNumber);
  verb.add_flag("--tensors-only", o->tensors_only, "leave metadata out, which a bare state_dict does not have");
  verb.add_flag("--json", o->json, "as JSON");
}

}  // namespace dcase::cli
