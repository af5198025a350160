// A model made, written, read again and run through the installed library alone.
#include <cmath>
#include <cstdio>
#include <dcasenet/dcasenet.hpp>
#include <memory>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    dcase::ModelInfo info;
    info.architecture.divisor = 8;
    for (const dcase::Task task : dcase::kAllTasks) info.labels[task] = dcase::builtin_labels(task);
    dcase::Model::create(info, 1).save(argv[1]);

    const auto model = std::make_shared<const dcase::Model>(dcase::Model::load(argv[1]));
    const double rate = model->info().front_end.sample_rate;
    std::vector<float> pcm(static_cast<std::size_t>(3 * rate));
    for (std::size_t i = 0; i < pcm.size(); ++i) pcm[i] = static_cast<float>(0.1 * std::sin(440 * i * 6.2832 / rate));
    const dcase::Prediction p = dcase::Session(model).run(pcm);

    double scenes = 0;
    for (const float value : p.asc) scenes += value;
    std::printf("dcasenet %s: %zu scenes that sum to %.3f, %zu tags, %d frames of %d events\n", dcase::kVersion,
                p.asc.size(), scenes, p.tag.size(), static_cast<int>(p.sed_frames), static_cast<int>(p.sed_classes));
    const bool good = std::abs(scenes - 1) < 1e-3 && p.tag.size() == 80 && p.sed_frames == 30 && p.sed_classes == 14;
    return good ? 0 : 1;
  } catch (const dcase::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
