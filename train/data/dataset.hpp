#pragma once
/// What every reader of a data set produces: a list of items with their targets, splits and class lists. No audio is
/// opened here. Readers: asc_dataset.hpp, tag_dataset.hpp, sed_dataset.hpp, manifest_dataset.hpp.

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "dcasenet/labels.hpp"
#include "train/data/audio_file.hpp"
#include "train/data/words.hpp"

namespace dcase {

enum class Split : std::uint8_t {
  kTrain,
  kValid,   ///< chooses the best epoch
  kTest,    ///< reported
  kUnused,  ///< listed by the data set, used by no part of this configuration
};
[[nodiscard]] const char* split_name(Split split);

/// Where the best epoch is chosen. kReference selects on the reported data, as the paper did.
enum class Selection : std::uint8_t { kValidation, kReference };
inline constexpr Words<Selection, 2> kSelectionWords = {
    {{"validation", Selection::kValidation}, {"reference", Selection::kReference}}};

/// A class with its target: 1 for a plain label, 0..1 for a soft one. Classes not listed are 0.
struct ClassTarget {
  std::int32_t label = 0;
  float value = 1;
  [[nodiscard]] bool operator==(const ClassTarget&) const = default;
};

/// An event in seconds from the item's start. `track` tells instances of a class apart (TAU-NIGENS "event number").
struct EventTarget {
  std::int32_t label = 0;
  double onset = 0;
  double offset = 0;  // > onset
  std::int32_t track = 0;
  [[nodiscard]] bool operator==(const EventTarget&) const = default;
};

/// Soft scores of all classes over [onset, offset) seconds from the item's start.
struct SoftEventRow {
  double onset = 0;
  double offset = 0;
  std::vector<float> values;  // [K], 0..1
};

/// SED truth of one item: plain events, or soft rows, never both. Both empty: known to contain nothing.
struct EventTargets {
  std::vector<EventTarget> events;  // by onset, then class, then offset
  std::vector<SoftEventRow> soft;   // by onset
};

/// One recording, or a part of one. An absent target is unknown (its loss is masked); an empty one is known to contain
/// nothing.
struct Item {
  std::string audio;  ///< path relative to Dataset::root, with '/'
  /// kEach: in training every channel is an example of its own; at evaluation the frame probabilities of the channels
  /// are averaged before the threshold.
  ChannelRule channels;
  double start = 0;  ///< seconds into the file
  double end = std::numeric_limits<double>::infinity();
  double padded_seconds = 0;  ///< signal is cut or filled with zeros to this length; 0: left as it is
  Split split = Split::kTrain;
  std::string group;   ///< recordings that belong together (place, session); "" = unknown
  std::string device;  ///< recording device; "" = unknown

  std::optional<std::vector<ClassTarget>> scene;  ///< by class; values sum to 1, so never empty when known
  std::optional<std::vector<ClassTarget>> tags;   ///< by class
  std::optional<EventTargets> events;

  [[nodiscard]] bool knows(Task task) const {
    return task == Task::kAsc ? scene.has_value() : task == Task::kTag ? tags.has_value() : events.has_value();
  }
  /// Class of the largest scene value (lowest index on ties), -1 where the scene is unknown.
  [[nodiscard]] std::int32_t scene_index() const;
};

struct Dataset {
  std::string name;         ///< "TAU Urban Acoustic Scenes 2020 Mobile", ...
  std::string root;         ///< folder that Item::audio is relative to
  LabelSets labels;         ///< empty for a task this set says nothing about
  std::vector<Item> items;  ///< in the order of the tables, only files that exist
  Selection selection = Selection::kValidation;
  std::string selection_text;         ///< for every report: on which data the best epoch is chosen
  std::int64_t listed = 0;            ///< items the tables list: items.size() + missing.size()
  std::vector<std::string> missing;   ///< listed, but no such file
  std::vector<std::string> notes;     ///< facts worth printing: layout, class list origin, CRC of a split
  std::vector<std::string> warnings;  ///< things the user should act on

  [[nodiscard]] std::string path_of(const Item& item) const;
  /// Positions in `items` of a split, in order; with `task` only those whose target for it is known. With
  /// Selection::kReference, kValid gives the items of kTest.
  [[nodiscard]] std::vector<std::int32_t> indices(Split split, std::optional<Task> task = std::nullopt) const;
};

/// One mono training example: a signal of an item. Signals are those of ChannelRule: one, or one a channel (kEach).
struct Example {
  std::int32_t item = 0;
  std::int32_t signal = 0;
};
/// The examples of a split in item order; `signals(i)` says how many signals item i has (asked only where kEach).
[[nodiscard]] std::vector<Example> examples(const Dataset& dataset, Split split, std::optional<Task> task,
                                            const std::function<std::int32_t(std::int32_t item)>& signals);

/// Writes the dense target, `row` of K = labels.size() floats, overwritten.
void fill_row(const std::vector<ClassTarget>& targets, float* row, std::int32_t classes);

/// Label matrix at 100 ms, `matrix` [frames, classes], overwritten: frame f covers [0.1 f, 0.1 (f + 1)) s from the
/// item's start. An event sets every frame it overlaps (after rounding its times to 1 us, so that 0.3 s is frame 3);
/// soft rows are averaged by the time they share with the frame. Beyond the last frame events are cut.
void fill_frames(const EventTargets& targets, float* matrix, std::int64_t frames, std::int32_t classes);

/// Sorts events by onset, class, offset, track. Readers call it; writers and metrics rely on it.
void sort_events(std::vector<EventTarget>& events);

/// Throws kData at `where` unless `path` is relative, non-empty, free of NUL and control characters and of ".."
/// components: nothing named in a table may leave the data set's folder. (Symbolic links inside it are the owner's.)
void check_relative_path(const std::string& path, const std::string& where);

/// True for a regular file (links followed); false where nothing is there. Throws kIo where the system refuses.
[[nodiscard]] bool is_file(const std::string& path);
/// Throws kIo with the way out unless `path` is a folder.
void require_folder(const std::string& path, const std::string& what);

}  // namespace dcase
