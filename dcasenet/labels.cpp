#include "dcasenet/labels.hpp"

#include <algorithm>
#include <cctype>
#include <utility>

namespace dcase {

namespace {

constexpr std::size_t kMaxNameBytes = 256;

/// Letters to insert, remove, replace, or swap with their neighbour to come from a to b; case ignored.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  const auto same = [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
  };
  // Distances to every prefix of b, of the prefixes of a of lengths i - 2, i - 1 and i.
  std::vector<std::size_t> two_back(b.size() + 1);
  std::vector<std::size_t> one_back(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    two_back.swap(one_back);
    one_back.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({row[j - 1] + 1, one_back[j] + 1, one_back[j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1)});
      if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1])) {
        row[j] = std::min(row[j], two_back[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

}  // namespace

Task parse_task(std::string_view name) {
  for (const Task task : kAllTasks) {
    if (name == task_name(task)) return task;
  }
  fail(ErrorKind::kUsage, "no task is called ", in_quotes(name),
       "; there are asc (scenes), tag (tags) and sed (events)");
}

LabelSet::LabelSet(std::vector<std::string> names, const std::string& origin) : names_(std::move(names)) {
  if (names_.empty()) fail(ErrorKind::kData, origin, ": holds no class; a class list needs at least one name");
  index_.reserve(names_.size());
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const std::string& name = names_[i];
    const bool printable = std::none_of(name.begin(), name.end(), [](char c) {
      const auto byte = static_cast<unsigned char>(c);
      return byte < 0x20 || byte == 0x7f;
    });
    if (name.empty() || name.size() > kMaxNameBytes || !printable || !is_utf8(name)) {
      fail(ErrorKind::kData, origin, ": class ", i, " is called ", in_quotes(name), "; a name is 1 to ", kMaxNameBytes,
           " bytes of UTF-8 without control characters");
    }
    const auto [former, inserted] = index_.emplace(name, static_cast<std::int32_t>(i));
    if (!inserted) {
      fail(ErrorKind::kData, origin, ": classes ", former->second, " and ", i, " are both called ", in_quotes(name),
           "; every class needs a name of its own");
    }
  }
}

const std::string& LabelSet::operator[](std::int32_t index) const {
  DCASE_CHECK(index >= 0 && index < size(), "class ", index, " of a list of ", size());
  return names_[static_cast<std::size_t>(index)];
}

std::int32_t LabelSet::find(std::string_view name) const {
  const auto at = index_.find(std::string(name));
  return at == index_.end() ? -1 : at->second;
}

std::int32_t LabelSet::index(std::string_view name, const std::string& where) const {
  const std::int32_t at = find(name);
  if (at >= 0) return at;
  const std::string near = nearest_name(name, names_);
  fail(ErrorKind::kData, where, ": unknown label ", in_quotes(name),
       near.empty() ? "" : concat(", did you mean ", in_quotes(near), "?"), "; the class list in use has ", size(),
       " names: correct the label, or use a class list that holds it");
}

const LabelSet& builtin_labels(Task task) {
  static const LabelSet asc({"airport", "bus", "metro", "metro_station", "park", "public_square", "shopping_mall",
                             "street_pedestrian", "street_traffic", "tram"},
                            "built-in scenes");
  static const LabelSet sed({"alarm", "baby", "crash", "dog", "engine", "female_scream", "female_speech", "fire",
                             "footsteps", "knock", "male_scream", "male_speech", "phone", "piano"},
                            "built-in events");
  // The column order of the competition, which is that of plain ASCII.
  static const LabelSet tag({"Accelerating_and_revving_and_vroom",
                             "Accordion",
                             "Acoustic_guitar",
                             "Applause",
                             "Bark",
                             "Bass_drum",
                             "Bass_guitar",
                             "Bathtub_(filling_or_washing)",
                             "Bicycle_bell",
                             "Burping_and_eructation",
                             "Bus",
                             "Buzz",
                             "Car_passing_by",
                             "Cheering",
                             "Chewing_and_mastication",
                             "Child_speech_and_kid_speaking",
                             "Chink_and_clink",
                             "Chirp_and_tweet",
                             "Church_bell",
                             "Clapping",
                             "Computer_keyboard",
                             "Crackle",
                             "Cricket",
                             "Crowd",
                             "Cupboard_open_or_close",
                             "Cutlery_and_silverware",
                             "Dishes_and_pots_and_pans",
                             "Drawer_open_or_close",
                             "Drip",
                             "Electric_guitar",
                             "Fart",
                             "Female_singing",
                             "Female_speech_and_woman_speaking",
                             "Fill_(with_liquid)",
                             "Finger_snapping",
                             "Frying_(food)",
                             "Gasp",
                             "Glockenspiel",
                             "Gong",
                             "Gurgling",
                             "Harmonica",
                             "Hi-hat",
                             "Hiss",
                             "Keys_jangling",
                             "Knock",
                             "Male_singing",
                             "Male_speech_and_man_speaking",
                             "Marimba_and_xylophone",
                             "Mechanical_fan",
                             "Meow",
                             "Microwave_oven",
                             "Motorcycle",
                             "Printer",
                             "Purr",
                             "Race_car_and_auto_racing",
                             "Raindrop",
                             "Run",
                             "Scissors",
                             "Screaming",
                             "Shatter",
                             "Sigh",
                             "Sink_(filling_or_washing)",
                             "Skateboard",
                             "Slam",
                             "Sneeze",
                             "Squeak",
                             "Stream",
                             "Strum",
                             "Tap",
                             "Tick-tock",
                             "Toilet_flush",
                             "Traffic_noise_and_roadway_noise",
                             "Trickle_and_dribble",
                             "Walk_and_footsteps",
                             "Water_tap_and_faucet",
                             "Waves_and_surf",
                             "Whispering",
                             "Writing",
                             "Yell",
                             "Zipper_(clothing)"},
                            "built-in tags");
  return task == Task::kAsc ? asc : task == Task::kTag ? tag : sed;
}

std::string corrected_sed_name(std::string_view name) {
  if (name == "female_screem") return "female_scream";
  if (name == "male_screem") return "male_scream";
  return std::string(name);
}

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  if (name.empty() || name.size() > kMaxNameBytes) return "";  // quadratic cost, and nothing a person mistyped
  // A third of the letters may be wrong: more is another word, not a slip.
  std::size_t best = std::max<std::size_t>(1, name.size() / 3) + 1;
  std::string nearest;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > name.size() + best || name.size() > candidate.size() + best) continue;
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kShown = 60;
  constexpr const char* kHex = "0123456789abcdef";
  std::size_t shown = std::min(text.size(), kShown);
  // Never cut inside a character.
  while (shown < text.size() && shown > kShown - 4 && (static_cast<unsigned char>(text[shown]) & 0xC0U) == 0x80)
    --shown;
  const bool utf8 = is_utf8(text.substr(0, shown));
  std::string out = "'";
  for (const char c : text.substr(0, shown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8)) {
      out += "\\x";
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    } else {
      out += c;
    }
  }
  out += "'";
  if (shown < text.size()) out += concat("... (", text.size(), " bytes)");
  return out;
}

bool is_utf8(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i++]);
    if (lead < 0x80) continue;
    const int following = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4 || text.size() - i < static_cast<std::size_t>(following)) return false;
    std::uint32_t code = lead & (0x3FU >> static_cast<unsigned>(following));
    for (int k = 0; k < following; ++k) {
      const auto byte = static_cast<unsigned char>(text[i++]);
      if ((byte & 0xC0U) != 0x80) return false;
      code = (code << 6U) | (byte & 0x3FU);
    }
    if (following == 2 && (code < 0x800 || (code >= 0xD800 && code < 0xE000))) return false;
    if (following == 3 && (code < 0x10000 || code > 0x10FFFF)) return false;
  }
  return true;
}

}  // namespace dcase
