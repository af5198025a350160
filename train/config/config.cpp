#include "train/config/config.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <set>
#include <sstream>
#include <utility>

#include "dcasenet/labels.hpp"
#include "engine/files.hpp"
#include "kernels/common/error.hpp"
#include "train/data/csv.hpp"

namespace dcase {
namespace {

using nlohmann::json;

[[noreturn]] void reject(const std::string& key, const json& value, const std::string& allowed) {
  fail(ErrorKind::kUsage, key, ": ", value.dump(-1, ' ', false, json::error_handler_t::replace),
       " is not allowed; it takes ", allowed);
}

/// One key: how it is read, written and explained.
struct Key {
  std::string name;
  std::string help;
  std::function<void(TrainConfig&, const json&)> set;
  std::function<nlohmann::ordered_json(const TrainConfig&)> get;
};

template <class T>
using Field = std::function<T&(TrainConfig&)>;

// Reading through the accessor that writes; the copy keeps `get` const.
template <class T>
auto getter(const Field<T>& field) {
  return [field](const TrainConfig& config) {
    TrainConfig copy = config;
    return nlohmann::ordered_json(field(copy));
  };
}

Key integer(const std::string& name, const Field<std::int64_t>& field, std::int64_t low, std::int64_t high,
            const std::string& help) {
  const std::string allowed = high == std::numeric_limits<std::int64_t>::max()
                                  ? concat("an integer from ", low, " on")
                                  : concat("an integer from ", low, " to ", high);
  return {name, help,
          [=](TrainConfig& c, const json& v) {
            const bool fits = v.is_number_unsigned() ? v.get<std::uint64_t>() <= static_cast<std::uint64_t>(high)
                                                     : v.is_number_integer() && v.get<std::int64_t>() <= high;
            if (!fits || v.get<std::int64_t>() < low) reject(name, v, allowed);
            field(c) = v.get<std::int64_t>();
          },
          getter(field)};
}

Key real(const std::string& name, const Field<double>& field, double low, double high, const std::string& help) {
  return {name, help,
          [=](TrainConfig& c, const json& v) {
            if (!v.is_number() || !(v.get<double>() >= low && v.get<double>() <= high)) {
              reject(name, v, concat("a number from ", low, " to ", high));
            }
            field(c) = v.get<double>();
          },
          getter(field)};
}

Key boolean(const std::string& name, const Field<bool>& field, const std::string& help) {
  return {name, help,
          [=](TrainConfig& c, const json& v) {
            if (!v.is_boolean()) reject(name, v, "true or false");
            field(c) = v.get<bool>();
          },
          getter(field)};
}

Key text(const std::string& name, const Field<std::string>& field, const std::string& help) {
  return {name, help,
          [=](TrainConfig& c, const json& v) {
            if (!v.is_string()) reject(name, v, "a text in quotes");
            field(c) = v.get<std::string>();
          },
          getter(field)};
}

Key choice(const std::string& name, const Field<std::string>& field, const std::vector<std::string>& allowed,
           const std::string& help) {
  std::string list;
  for (const std::string& word : allowed) list.append(list.empty() ? "" : ", ").append(word);
  return {name, help + " (" + list + ")",
          [=](TrainConfig& c, const json& v) {
            // 1 may be written without quotes where "1" is among the words.
            const std::string word =
                v.is_string() ? v.get<std::string>() : v.dump(-1, ' ', false, json::error_handler_t::replace);
            if (std::find(allowed.begin(), allowed.end(), word) == allowed.end()) reject(name, v, list);
            field(c) = word;
          },
          getter(field)};
}

// One of the words of a table, kept as the value it stands for.
template <class Value, std::size_t Count>
Key word(const std::string& name, const Field<Value>& field, const Words<Value, Count>& words,
         const std::string& help) {
  return {name, help + " (" + list_of(words) + ")",
          [=](TrainConfig& c, const json& v) {
            if (!v.is_string()) reject(name, v, list_of(words));
            field(c) = value_of(words, v.get<std::string>(), name);
          },
          [=](const TrainConfig& c) {
            TrainConfig copy = c;
            return nlohmann::ordered_json(word_of(words, field(copy)));
          }};
}

Key folds(const std::string& name, const Field<std::vector<int>>& field, const std::string& help) {
  const std::string allowed = "a list of integers from 0 on, like [1, 2]";
  return {name, help,
          [=](TrainConfig& c, const json& v) {
            if (!v.is_array()) reject(name, v, allowed);
            std::vector<int> numbers;
            for (const json& number : v) {
              const bool fits = number.is_number_integer() && number >= 0 && number <= 1'000'000;
              if (!fits) reject(name, v, allowed);
              numbers.push_back(number.get<int>());
            }
            field(c) = std::move(numbers);
          },
          getter(field)};
}

// A list of names; on the command line also a text with commas between them.
Key names(const std::string& name, const Field<std::vector<std::string>>& field, const std::string& help) {
  const std::string allowed = "a list of names, like [\"conv_block1\", \"gru_1\"]";
  return {name, help,
          [=](TrainConfig& c, const json& v) {
            std::vector<std::string> list;
            if (v.is_string()) {
              std::istringstream text(v.get<std::string>());
              for (std::string part; std::getline(text, part, ',');) {
                list.push_back(part.erase(0, std::min(part.find_first_not_of(' '), part.size())));
              }
            } else if (v.is_array() && std::all_of(v.begin(), v.end(), [](const json& n) { return n.is_string(); })) {
              list = v.get<std::vector<std::string>>();
            } else {
              reject(name, v, allowed);
            }
            field(c) = std::move(list);
          },
          getter(field)};
}

constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();

void add_task_keys(std::vector<Key>& keys, Task task) {
  const std::string prefix = concat("data.", task_name(task), ".");
  const auto at = [task](auto member) {
    return [ task, member ](TrainConfig & c) -> auto& { return c.task(task).*member; };
  };
  keys.push_back(
      text(prefix + "root", at(&TaskConfig::root), "folder of the data set or a manifest; \"\": not trained"));
  keys.push_back(word<Layout>(prefix + "layout", at(&TaskConfig::layout), kLayoutWords, "what the folder holds"));
  keys.push_back(integer(prefix + "batch_size", at(&TaskConfig::batch_size), 1, 4096, "examples in a step"));
  keys.push_back(integer(prefix + "crop_frames", at(&TaskConfig::crop_frames), 40, 30000,
                         "length of an example in frames of 20 ms"));
  keys.push_back(real(prefix + "loss_weight", at(&TaskConfig::loss_weight), 0, 1e6, "factor of the task's loss"));
}

std::vector<Key> make_keys() {
  std::vector<Key> k;
  const auto in = [](auto section, auto member) {
    return [ section, member ](TrainConfig & c) -> auto& { return c.*section.*member; };
  };
  using C = TrainConfig;
  using Model = decltype(C::model);
  using Data = decltype(C::data);
  using Train = decltype(C::train);
  using Eval = decltype(C::eval);
  const auto model = [&](auto member) { return in(&C::model, member); };
  const auto data = [&](auto member) { return in(&C::data, member); };
  const auto reader = [](auto member) {
    return [member](TrainConfig & c) -> auto& { return c.data.reader.*member; };
  };
  const auto train = [&](auto member) { return in(&C::train, member); };

  k.push_back(integer("model.version", model(&Model::version), 1, 3, "DcaseNet v1, v2 or v3"));
  k.push_back(
      choice("model.width", model(&Model::width), {"1", "1/2", "1/4", "1/8"}, "hidden widths against the paper's"));
  k.push_back(word<BnStats>("model.bn_stats", model(&Model::bn_stats), kBnStatsWords,
                            "averages that batch norm evaluates with"));
  for (const Task task : kAllTasks) add_task_keys(k, task);
  using R = ReaderOptions;
  k.push_back(word<Selection>("data.selection", reader(&R::selection), kSelectionWords,
                              "where the best step is chosen: a held-out part, or the reported data as the paper did"));
  k.push_back(text("data.cache", data(&Data::cache), "folder of prepared audio; \"\": .dcasenet inside each set"));
  k.push_back(
      word<BadFilePolicy>("data.on_bad_file", data(&Data::on_bad_file), kBadFilePolicyWords, "unreadable recordings"));
  k.push_back(boolean("data.float32_cache", data(&Data::float32_cache), "store float samples instead of 16-bit ones"));
  k.push_back(word<TagEvaluation>("data.tag_eval", reader(&R::tag_evaluation), kTagEvaluationWords,
                                  "FSDKaggle2019: what is held out for the report"));
  k.push_back(boolean("data.tag_exclude_known_bad", reader(&R::tag_exclude_known_bad),
                      "FSDKaggle2019: without its six bad clips"));
  k.push_back(boolean("data.tag_noisy", reader(&R::tag_noisy), "FSDKaggle2019: train on the noisy part too"));
  k.push_back(word<SedAudio>("data.sed_audio", reader(&R::sed_audio), kSedAudioWords, "TAU-NIGENS: which recordings"));
  k.push_back(word<SedColumns>("data.sed_columns", reader(&R::sed_columns), kSedColumnsWords,
                               "TAU-NIGENS: columns of the metadata after frame and class"));
  k.push_back(text("data.events_table", reader(&R::events_table),
                   "CSV manifest: its table of events; \"\": <stem>_events.csv beside it"));
  k.push_back(folds("data.valid_folds", reader(&R::valid_folds), "manifest: folds that choose the best step"));
  k.push_back(folds("data.test_folds", reader(&R::test_folds), "manifest: folds that are reported"));
  k.push_back(
      boolean("data.allow_outside", reader(&R::allow_outside), "manifest: recordings may lie outside its folder"));
  k.push_back(text("train.tasks", train(&Train::tasks),
                   "tasks to train, as asc+tag, whatever roots are set; \"\": every task with a root"));
  k.push_back({"train.seed", "of initial weights, order, crops, mix-up and dropout",
               [](TrainConfig& c, const json& v) {
                 if (!v.is_number_integer() || (!v.is_number_unsigned() && v.get<std::int64_t>() < 0)) {
                   reject("train.seed", v, "an integer from 0 on");
                 }
                 c.train.seed = v.get<std::uint64_t>();
               },
               [](const TrainConfig& c) { return nlohmann::ordered_json(c.train.seed); }});
  k.push_back(integer("train.steps", train(&Train::steps), 1, 0xFFFFFFFF, "updates in all"));
  k.push_back(integer("train.epoch_steps", train(&Train::epoch_steps), 1, kAny, "updates that reports call an epoch"));
  k.push_back(integer("train.log_every", train(&Train::log_every), 1, kAny, "updates in a line of metrics.csv"));
  k.push_back(integer("train.checkpoint_every", train(&Train::checkpoint_every), 0, kAny,
                      "updates between checkpoints; 0: at the end"));
  k.push_back(
      integer("train.eval_every", train(&Train::eval_every), 0, kAny, "updates between validations; 0: at the end"));
  k.push_back(choice("train.optimizer", train(&Train::optimizer), {"adam", "sgd"}, "update rule"));
  k.push_back(real("train.lr", train(&Train::lr), 0, 1e3, "learning rate"));
  k.push_back(real("train.lr_min", train(&Train::lr_min), 0, 1e3, "lowest learning rate of the cosine"));
  k.push_back(
      integer("train.restart_steps", train(&Train::restart_steps), 0, kAny, "period of the cosine; 0: constant rate"));
  k.push_back(real("train.weight_decay", train(&Train::weight_decay), 0, 1e3, "L2, added to the gradient"));
  k.push_back(boolean("train.amsgrad", train(&Train::amsgrad), "of adam"));
  k.push_back(real("train.momentum", train(&Train::momentum), 0, 1, "of sgd"));
  k.push_back(boolean("train.nesterov", train(&Train::nesterov), "of sgd"));
  k.push_back(real("train.mixup_alpha", train(&Train::mixup_alpha), 0, 4, "of Beta(alpha, alpha); 0: no mix-up"));
  k.push_back(integer("train.mixup_from_step", train(&Train::mixup_from_step), 0, kAny, "first step that mixes"));
  k.push_back(real("train.grad_clip", train(&Train::grad_clip), 0, 1e9, "largest norm of the gradient; 0: no limit"));
  k.push_back(boolean("train.dropout", train(&Train::dropout), "in the dense blocks before tags (and, in v2, events)"));
  k.push_back(names("train.freeze", train(&Train::freeze),
                    "parts that stay as they are, batch-norm averages too: [\"conv_block1\", \"layer_ASC.0\"]"));
  k.push_back(
      real("eval.threshold", in(&C::eval, &Eval::threshold), 0, 1, "sound events: active above, for validation"));
  k.push_back(text(
      "init", [](TrainConfig& c) -> std::string& { return c.init; }, "model to start from; \"\": drawn"));
  k.push_back(text(
      "preset", [](TrainConfig& c) -> std::string& { return c.preset; },
      "experiment of the paper that everything else goes over (train --list-presets)"));
  return k;
}

const std::vector<Key>& keys() {
  static const std::vector<Key> table = make_keys();
  return table;
}

const Key& find_key(const std::string& name, const std::string& origin) {
  std::vector<std::string> names;
  for (const Key& key : keys()) {
    if (key.name == name) return key;
    names.push_back(key.name);
  }
  const std::string nearest = nearest_name(name, names);
  fail(ErrorKind::kUsage, origin, ": unknown key ", in_quotes(name),
       nearest.empty() ? std::string("; dcasenet train --help-config lists all") : "; did you mean " + nearest + "?");
}

// Objects are walked down to the keys; "data.asc": null is the same as leaving the task out.
void apply(TrainConfig& config, const json& value, const std::string& path, const std::string& origin) {
  if (!value.is_object()) {
    try {
      find_key(path, origin).set(config, value);
    } catch (const Error& error) {
      if (std::string(error.what()).starts_with(origin)) throw;
      fail(ErrorKind::kUsage, origin, ": ", error.what());
    }
    return;
  }
  for (const auto& [name, child] : value.items()) {
    const std::string key = path.empty() ? name : concat(path, ".", name);
    const std::string inside = concat(key, ".");
    const bool section =
        std::any_of(keys().begin(), keys().end(), [&](const Key& k) { return k.name.starts_with(inside); });
    if (child.is_object() && !section) {
      static_cast<void>(find_key(key, origin));  // unknown, or takes a plain value
      fail(ErrorKind::kUsage, origin, ": ", key, " takes a plain value, not {...}");
    }
    const bool task = key == "data.asc" || key == "data.tag" || key == "data.sed";
    if (task && child.is_null()) continue;
    if (!child.is_object() && section) fail(ErrorKind::kUsage, origin, ": ", key, " takes {...}, keys of its own");
    apply(config, child, key, origin);
  }
}

TaskSet parse_task_set(const std::string& text) {
  TaskSet tasks;
  for (const std::string& name : split_list(text, '+')) tasks = tasks | parse_task(name);
  return tasks;
}

// Keys whose values only make sense together.
void check(const TrainConfig& c, const std::string& origin) {
  try {
    static_cast<void>(parse_task_set(c.train.tasks));
  } catch (const Error& error) {
    fail(ErrorKind::kUsage, origin, ": train.tasks: ", error.what());
  }
  if (c.train.lr_min > c.train.lr && c.train.restart_steps > 0) {
    fail(ErrorKind::kUsage, origin, ": train.lr_min ", c.train.lr_min, " is above train.lr ", c.train.lr);
  }
  if (c.train.nesterov && c.train.momentum == 0)
    fail(ErrorKind::kUsage, origin, ": train.nesterov needs train.momentum");
  if (c.data.sed.crop_frames % 5 != 0) {
    fail(ErrorKind::kUsage, origin, ": data.sed.crop_frames ", c.data.sed.crop_frames, " is no multiple of 5 (100 ms)");
  }
}

// JSON with comments. The parser lets the last of equal names win in silence; here that is an error.
json parse_unique(const std::string& text, const std::string& origin) {
  std::vector<std::pair<std::string, std::set<std::string>>> open;  // objects being read: their path, their names
  std::string name;
  const auto on_event = [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) {
      open.emplace_back(name.empty() ? "" : name + ".", std::set<std::string>());
    } else if (event == json::parse_event_t::object_end) {
      open.pop_back();
    } else if (event == json::parse_event_t::key) {
      auto& [path, names] = open.back();
      name = path + parsed.get<std::string>();
      if (!names.insert(name).second) fail(ErrorKind::kUsage, origin, ": ", name, " stands there twice");
    }
    return true;
  };
  try {
    return json::parse(text, on_event, true, /*ignore_comments=*/true);
  } catch (const json::exception& error) {
    fail(ErrorKind::kUsage, origin, ": no valid JSON: ", error.what());
  }
}

// A number, true, false, null, quoted text or the list of a key of lists as JSON; everything else is text, and so is
// all for a key of text.
json override_value(const std::string& text, const json& current) {
  json value = json::parse(text, nullptr, false);
  const bool list = value.is_array() && current.is_array();
  const bool raw =
      value.is_discarded() || (value.is_structured() && !list) || (current.is_string() && !value.is_string());
  return raw ? json(text) : value;
}

}  // namespace

TaskConfig& TrainConfig::task(Task t) { return t == Task::kAsc ? data.asc : t == Task::kTag ? data.tag : data.sed; }
const TaskConfig& TrainConfig::task(Task t) const {
  return t == Task::kAsc ? data.asc : t == Task::kTag ? data.tag : data.sed;
}

std::int64_t TrainConfig::width_divisor() const { return model.width == "1" ? 1 : model.width.back() - '0'; }

bool TrainConfig::trains(Task t) const {
  return !task(t).root.empty() && (train.tasks.empty() || parse_task_set(train.tasks).has(t));
}

TrainConfig with_overrides(TrainConfig config, const std::vector<std::string>& overrides) {
  for (const std::string& text : overrides) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      fail(ErrorKind::kUsage, "--set ", in_quotes(text), ": KEY=VALUE is needed, as in --set train.lr=5e-4");
    }
    const std::string name = text.substr(0, equals);
    if (name == "preset") fail(ErrorKind::kUsage, "--set preset: a preset stands below all else; use --preset");
    const Key& key = find_key(name, "--set");
    apply(config, override_value(text.substr(equals + 1), key.get(config)), name, "--set");
  }
  check(config, overrides.empty() ? "configuration" : "--set");
  return config;
}

TrainConfig load_config(const std::string& file, const std::vector<std::string>& overrides, const std::string& preset) {
  json content = json::object();
  if (!file.empty()) {
    constexpr std::uint64_t kLimit = std::uint64_t{16} << 20U;
    content = parse_unique(read_file(file, kLimit), file);
  }
  if (!preset.empty() && content.is_object()) {
    if (content.contains("preset") && content["preset"] != preset) {
      fail(ErrorKind::kUsage, "--preset ", preset, ": ", file, " has the preset ", content["preset"].dump());
    }
    content["preset"] = preset;
  }
  return with_overrides(config_from_json(content, file.empty() ? "configuration" : file), overrides);
}

TrainConfig config_from_json(const json& value, const std::string& origin) {
  if (!value.is_object()) fail(ErrorKind::kUsage, origin, ": the configuration is no JSON object");
  TrainConfig config;
  if (const auto preset = value.find("preset");
      preset != value.end() && preset->is_string() && !preset->get_ref<const std::string&>().empty()) {
    config = preset_config(find_preset(preset->get<std::string>()));
  }
  apply(config, value, "", origin);
  check(config, origin);
  return config;
}

nlohmann::ordered_json to_json(const TrainConfig& config) {
  nlohmann::ordered_json result;
  for (const Key& key : keys()) {
    std::string pointer = "/" + key.name;
    std::replace(pointer.begin(), pointer.end(), '.', '/');
    result[nlohmann::ordered_json::json_pointer(pointer)] = key.get(config);
  }
  return result;
}

std::string config_help() {
  const TrainConfig defaults;
  std::size_t width = 0;
  for (const Key& key : keys()) width = std::max(width, key.name.size() + key.get(defaults).dump().size());
  std::string result = "Keys of the configuration, with their defaults:\n";
  for (const Key& key : keys()) {
    const std::string value = key.get(defaults).dump();
    result += "  " + key.name + " = " + value + std::string(width + 2 - key.name.size() - value.size(), ' ') +
              key.help + "\n";
  }
  return result;
}

}  // namespace dcase
