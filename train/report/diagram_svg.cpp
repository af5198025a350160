#include "train/report/diagram_svg.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>

namespace dcase {
namespace {

// All lengths in pixels of the drawing.
constexpr double kBoxWidth = 268;
constexpr double kBoxHeight = 78;
constexpr double kColumnGap = 28;
constexpr double kRowGap = 40;
constexpr double kMargin = 24;
constexpr double kTitleHeight = 56;
constexpr double kNoteHeight = 44;

struct Place {
  std::size_t row = 0;
  double x = 0;  // of the middle
};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

/// 8700200 as "8,700,200".
std::string grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::size_t at = digits.size(); at > 3;) digits.insert(at -= 3, ",");
  return digits;
}

/// "16 × 62 × 256" for the output of one recording.
std::string shape_text(const Shape& shape) {
  std::string text;
  for (std::size_t axis = 1; axis < shape.size(); ++axis) {
    if (axis == 3 && shape[axis] == 1) continue;  // the input has one channel
    text += (text.empty() ? "" : " × ") + std::to_string(shape[axis]);
  }
  return text;
}

/// What the operations are called by people, in a line.
std::string operations_text(const DiagramBox& box) {
  if (box.operations.empty()) return "input";
  const auto has = [&](const char* name) {
    return std::find(box.operations.begin(), box.operations.end(), name) != box.operations.end();
  };
  if (has("channel_scale_add_relu")) return "squeeze-excite residual block";
  static const std::map<std::string, std::string> kWords = {{"conv_block", "2 × (conv 3×3, BN, ReLU), pool"},
                                                            {"gru", "bidirectional GRU"},
                                                            {"relu", "ReLU"},
                                                            {"concat", "concatenate"},
                                                            {"repeat_time", "repeat"},
                                                            {"reshape", ""}};
  std::string text;
  for (std::size_t i = 0; i < box.operations.size(); ++i) {
    if (i > 0 && box.operations[i] == box.operations[i - 1]) continue;
    const auto word = kWords.find(box.operations[i]);
    const std::string& said = word != kWords.end() ? word->second : box.operations[i];
    if (!said.empty()) text += (text.empty() ? "" : ", ") + said;
  }
  return text;
}

struct Colours {
  const char *fill, *line;
};

/// Grey for the input, green for what several tasks share (as in the paper), a colour for each task alone.
Colours colours_of(const DiagramBox& box) {
  if (box.operations.empty()) return {"#f2f2f2", "#8a8a8a"};
  if (box.tasks == TaskSet(Task::kAsc)) return {"#dfeaf7", "#3f6fa8"};
  if (box.tasks == TaskSet(Task::kSed)) return {"#fbe8d3", "#b8721d"};
  if (box.tasks == TaskSet(Task::kTag)) return {"#ece0f3", "#7d4f9e"};
  return {"#e2f1df", "#4f8a45"};
}

const char* output_text(Task task) {
  return task == Task::kAsc ? "scene: logits" : task == Task::kTag ? "tags: logits" : "events: probabilities";
}

/// Moves places of one row apart until boxes do not touch, each as little as possible: neighbours that want the same
/// place become a group around their mean.
void spread(std::vector<Place*>& row) {
  constexpr double kStep = kBoxWidth + kColumnGap;
  struct Group {
    double wanted;  // mean of the wished places of its members, each less its offset in the group
    std::size_t members;
  };
  std::vector<Group> groups;
  for (const Place* place : row) {
    groups.push_back({place->x, 1});
    while (groups.size() > 1) {
      Group& a = groups[groups.size() - 2];
      const Group& b = groups.back();
      const auto size = static_cast<double>(a.members);
      if (a.wanted + size * kStep <= b.wanted) break;
      const auto more = static_cast<double>(b.members);
      a.wanted = (a.wanted * size + (b.wanted - size * kStep) * more) / (size + more);
      a.members += b.members;
      groups.pop_back();
    }
  }
  auto next = row.begin();
  for (const Group& group : groups) {
    for (std::size_t i = 0; i < group.members; ++i) (*next++)->x = group.wanted + static_cast<double>(i) * kStep;
  }
}

/// Each box in the row below the lowest it reads, as near as possible below the middle of those.
std::vector<Place> places_of(const std::vector<DiagramBox>& boxes) {
  std::vector<Place> places(boxes.size());
  std::vector<std::vector<Place*>> rows;
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    for (const std::size_t from : boxes[i].inputs) places[i].row = std::max(places[i].row, places[from].row + 1);
    rows.resize(std::max(rows.size(), places[i].row + 1));
    rows[places[i].row].push_back(&places[i]);
  }
  for (std::vector<Place*>& row : rows) {
    for (Place* place : row) {
      const std::vector<std::size_t>& inputs = boxes[static_cast<std::size_t>(place - places.data())].inputs;
      for (const std::size_t from : inputs) place->x += places[from].x / static_cast<double>(inputs.size());
    }
    std::stable_sort(row.begin(), row.end(), [](const Place* a, const Place* b) { return a->x < b->x; });
    spread(row);
  }
  return places;
}

}  // namespace

std::string diagram_svg(const std::vector<DiagramBox>& boxes, const std::string& network, const std::string& note) {
  std::int64_t parameters = 0;
  for (const DiagramBox& box : boxes) parameters += box.parameter_count;
  const std::string title = escaped(network + ": " + grouped(parameters) + " parameters");
  std::vector<Place> places = places_of(boxes);
  double left = 0;
  double right = 0;
  std::size_t rows = 0;
  for (const Place& place : places) {
    left = std::min(left, place.x);
    right = std::max(right, place.x);
    rows = std::max(rows, place.row + 1);
  }
  for (Place& place : places) place.x += kMargin + kBoxWidth / 2 - left;
  const double width = std::max(right - left + kBoxWidth, 2 * kBoxWidth) + 2 * kMargin;
  const double height = kTitleHeight + static_cast<double>(rows) * (kBoxHeight + kRowGap) - kRowGap + kNoteHeight;
  const auto top = [](const Place& p) { return kTitleHeight + static_cast<double>(p.row) * (kBoxHeight + kRowGap); };

  std::string svg;
  const auto line = [&svg](auto format, const auto&... values) {
    fmt::format_to(std::back_inserter(svg), fmt::runtime(format), values...);
    svg += '\n';
  };
  line(R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} {1:.0f}" )"
       R"(font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="12" fill="#222">)",
       width, height);
  line(R"(<title>{}</title>)", title);
  line(R"(<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" )"
       R"(orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#666"/></marker></defs>)");
  line(R"(<rect width="100%" height="100%" fill="#fff"/>)");
  line(R"(<text x="{:.0f}" y="34" font-size="17" font-weight="bold">{}</text>)", kMargin, title);

  for (std::size_t i = 0; i < boxes.size(); ++i) {
    for (const std::size_t from : boxes[i].inputs) {
      const double x1 = places[from].x;
      const double y1 = top(places[from]) + kBoxHeight;
      const double x2 = places[i].x;
      const double y2 = top(places[i]) - 1;
      const double middle = (y1 + y2) / 2;
      line(R"(<path d="M{0:.1f},{1:.1f} C{0:.1f},{4:.1f} {2:.1f},{4:.1f} {2:.1f},{3:.1f}" fill="none" )"
           R"--(stroke="#666" stroke-width="1.4" marker-end="url(#tip)"/>)--",
           x1, y1, x2, y2, middle);
    }
  }
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const DiagramBox& box = boxes[i];
    const Colours colours = colours_of(box);
    const double x = places[i].x - kBoxWidth / 2;
    const double y = top(places[i]);
    line("<g>");
    svg += "<title>" + escaped(box.name);
    for (const auto& [name, shape] : box.parameters) svg += "\n" + escaped(name) + " " + to_string(shape);
    svg += "</title>\n";
    line(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.0f}" height="{:.0f}" rx="7" fill="{}" stroke="{}" )"
         R"(stroke-width="{}"/>)",
         x, y, kBoxWidth, kBoxHeight, colours.fill, colours.line, box.output ? 2.6 : 1.2);
    line(R"(<text x="{:.1f}" y="{:.1f}" font-size="13.5" font-weight="bold">{}</text>)", x + 10, y + 21,
         escaped(box.name));
    if (box.output) {
      line(R"(<text x="{:.1f}" y="{:.1f}" font-size="11" text-anchor="end" fill="{}">{}</text>)", x + kBoxWidth - 10,
           y + 21, colours.line, output_text(*box.output));
    }
    line(R"(<text x="{:.1f}" y="{:.1f}">{}</text>)", x + 10, y + 43, escaped(operations_text(box)));
    line(R"(<text x="{:.1f}" y="{:.1f}">{}</text>)", x + 10, y + 65, shape_text(box.shape));
    if (box.parameter_count > 0) {
      line(R"(<text x="{:.1f}" y="{:.1f}" text-anchor="end">{} parameters</text>)", x + kBoxWidth - 10, y + 65,
           grouped(box.parameter_count));
    }
    line("</g>");
  }
  line(R"(<text x="{:.0f}" y="{:.0f}" font-size="11" fill="#555">{}</text>)", kMargin, height - 16, escaped(note));
  svg += "</svg>\n";
  return svg;
}

}  // namespace dcase
