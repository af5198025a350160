// Scenes. A recording is cut by time: what comes before the cut (clips ending in _a) is trained on, the rest (_b)
// tested. Both carry the same identifier, for the place is the same; the original set never does that.

#include <array>
#include <map>

#include "kernels/common/error.hpp"
#include "train/data/resample.hpp"
#include "train/minidata/plan.hpp"

namespace dcase::minidata {
namespace {

constexpr std::int64_t kTrainPerScene = 30, kTestPerScene = 18;
constexpr double kSeconds = 10;
// Half of the training segments come from device a, as far as the small number allows: TAU has it in two of three.
constexpr std::array<const char*, 10> kTrainDevices = {"a", "b", "a", "c", "a", "s1", "a", "s2", "a", "s3"};
// s4 - s6 are never trained on, as in the original.
constexpr std::array<const char*, 9> kTestDevices = {"a", "b", "c", "s1", "s2", "s3", "s4", "s5", "s6"};

std::vector<std::string> dealt_devices(std::int64_t count, bool training, Dice& dice) {
  std::vector<std::string> devices;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto k = static_cast<std::size_t>(i);
    devices.emplace_back(training ? kTrainDevices[k % kTrainDevices.size()] : kTestDevices[k % kTestDevices.size()]);
  }
  dice.shuffle(devices);
  return devices;
}

std::vector<Signal> segment(const Clip& clip, std::int64_t start, const std::string& device, const std::string& name,
                            const MinidataOptions& options) {
  const auto begin = clip.samples.begin() + start;
  std::vector<Signal> out = {Signal(begin, begin + samples_of(kSeconds, kClipRate))};
  simulate_device(out[0], kClipRate, device, options.seed, name);
  if (options.rate != kClipRate) out[0] = resample(out[0], kClipRate, options.rate);
  limit_peak(out);
  return out;
}

}  // namespace

void plan_asc(const std::vector<Clip>& clips, const MinidataOptions& options, Plan& plan, MinidataReport& report) {
  // City: the collection, the first part of a recording's name. Location: the recording, numbered in sorted order.
  std::map<std::string, int> location;
  for (const Clip* clip : select_clips(clips, "scene", "", "")) location.emplace(clip->recording, 0);
  int next_location = 0;
  for (auto& entry : location) entry.second = next_location++;

  std::string meta = "filename\tscene_label\tidentifier\tsource_label\n";
  std::string train = "filename\tscene_label\n", evaluate = train, test = "filename\n";
  int segment_number = 0;
  for (const std::string& scene : labels_of(clips, "scene")) {
    for (const bool training : {true, false}) {
      const auto parts = need_clips(clips, "scene", scene, training ? "train" : "test");
      const std::int64_t count = scaled_count(training ? kTrainPerScene : kTestPerScene, options);
      Dice dice(options.seed, concat("minidata/asc/", scene, training ? "/train" : "/test"));
      const std::vector<std::string> devices = dealt_devices(count, training, dice);
      for (std::int64_t i = 0; i < count; ++i) {
        const Clip* clip = parts[static_cast<std::size_t>(i) % parts.size()];
        if (clip->seconds() < kSeconds) {
          fail(ErrorKind::kData, "clips/", clip->file, ": ", clip->seconds(), " s are too few for a scene of 10 s");
        }
        const auto start = static_cast<std::int64_t>(dice.uniform(0, clip->seconds() - kSeconds) * kClipRate);
        const std::string& device = devices[static_cast<std::size_t>(i)];
        const std::string city = clip->recording.substr(0, clip->recording.find('_'));
        const std::string identifier = concat(city, "-", location.at(clip->recording));
        const std::string file = concat("audio/", scene, "-", identifier, "-", segment_number++, "-", device, ".wav");
        plan.wavs.push_back({"asc/" + file, options.rate, [clip, start, device, file, options] {
                               return segment(*clip, start, device, file, options);
                             }});
        meta += concat(file, "\t", scene, "\t", identifier, "\t", device, "\n");
        (training ? train : evaluate) += concat(file, "\t", scene, "\n");
        if (!training) test += file + "\n";
        ++(training ? report.asc_train : report.asc_test);
      }
    }
  }
  plan.tables.push_back({"asc/meta.csv", meta});
  plan.tables.push_back({"asc/evaluation_setup/fold1_train.csv", train});
  plan.tables.push_back({"asc/evaluation_setup/fold1_test.csv", test});
  plan.tables.push_back({"asc/evaluation_setup/fold1_evaluate.csv", evaluate});
}

}  // namespace dcase::minidata
