#include "train/minidata/render.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "engine/files.hpp"
#include "kernels/common/error.hpp"
#include "train/minidata/output.hpp"
#include "train/minidata/plan.hpp"

namespace dcase {
namespace minidata {

std::int64_t scaled_count(std::int64_t count, const MinidataOptions& options, std::int64_t least) {
  return std::max(least, static_cast<std::int64_t>(std::llround(static_cast<double>(count) * options.scale)));
}

std::vector<std::string> labels_of(const std::vector<Clip>& clips, std::string_view role) {
  std::set<std::string> labels;
  for (const Clip* clip : select_clips(clips, role, "", "")) labels.insert(clip->label);
  return {labels.begin(), labels.end()};
}

std::vector<const Clip*> need_clips(const std::vector<Clip>& clips, std::string_view role, std::string_view label,
                                    std::string_view split) {
  auto chosen = select_clips(clips, role, label, split);
  if (chosen.empty())
    fail(ErrorKind::kData, "clips.csv: no clip with role ", role, ", label ", label, ", split ", split);
  return chosen;
}

namespace {

/// Raised whenever the same clips and options give other files than before.
constexpr int kRenderingVersion = 1;

void check_options(const std::string& out_dir, const MinidataOptions& options) {
  if (out_dir.empty()) fail(ErrorKind::kUsage, "no output folder given");
  if (!(options.scale >= 0.01 && options.scale <= 10)) {
    fail(ErrorKind::kUsage, "scale ", options.scale, " is outside 0.01 .. 10");
  }
  if (options.rate != 24000 && options.rate != 44100) {
    fail(ErrorKind::kUsage, "rate ", options.rate, " Hz: only 24000 and 44100 are rendered");
  }
}

/// The first lines of OUT/RENDERED: whatever decides the files.
std::string header_of(const std::string& clips_dir, const std::vector<Clip>& clips, const MinidataOptions& options) {
  std::uint32_t crc = crc32(read_file(clips_dir + "/clips.csv", 16U << 20U));
  for (const Clip& clip : clips) crc = crc32(read_file(clips_dir + "/clips/" + clip.file, 64U << 20U), crc);
  return concat("dcasenet minidata ", kRenderingVersion, "\nseed ", options.seed, " scale ", options.scale, " rate ",
                options.rate, " clips ", crc, "\n");
}

}  // namespace
}  // namespace minidata

MinidataReport render_minidata(const std::string& clips_dir, const std::string& out_dir, const MinidataOptions& options,
                               const std::function<void(const MinidataProgress&)>& progress) {
  using namespace minidata;
  check_options(out_dir, options);
  std::string out = out_dir;
  while (out.size() > 1 && out.back() == '/') out.pop_back();  // OUT.partial is a neighbour, not a part

  std::vector<Clip> clips = read_clip_table(clips_dir);
  const std::string header = header_of(clips_dir, clips, options);
  MinidataReport report, present;
  const FolderState state = folder_state(out, header, present);
  if (state == FolderState::kForeign) {
    fail(ErrorKind::kUsage, out, ": holds something that is not a rendering; choose another folder");
  }
  if (state == FolderState::kOther && !options.replace) {
    fail(ErrorKind::kUsage, out,
         ": holds a rendering with other options, or a damaged one; delete it, ask for it to be ",
         "replaced, or choose another folder");
  }
  if (state == FolderState::kSame) {
    present.skipped = true;
    return present;
  }
  load_clips(clips_dir, clips);
  Plan plan;
  plan_asc(clips, options, plan, report);
  plan_tag(clips, options, plan, report);
  plan_sed(clips, options, plan, report);
  write_rendering(out, header, plan, options.seed, state == FolderState::kOther, report, progress);
  return report;
}

}  // namespace dcase
