/// predict, eval, features, data and model from outside, with good and bad input.

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/archive.hpp"
#include "tests/program/program.hpp"
#include "tests/train/training_fixture.hpp"

namespace dcase {
namespace {

using test::run;

std::string write_model(const test::TemporaryFolder& folder) {
  ModelInfo info;
  info.architecture.divisor = 8;
  for (const Task task : kAllTasks) info.labels[task] = builtin_labels(task);
  const std::string path = folder / "model.safetensors";
  Model::create(info, 1).save(path);
  return path;
}

}  // namespace

TEST_CASE("program: predict gives scene, tags and events for any recording", "[program]") {
  const test::TemporaryFolder folder;
  const std::string model = write_model(folder);
  test::write_tone(folder / "a.wav", 0);
  save_wav(folder / "tiny.wav", {{0.1F, 0.2F, 0.1F}}, 24000);
  save_wav(folder / "stereo.wav", {std::vector<float>(11025, 0.1F), std::vector<float>(11025, -0.1F)}, 11025);
  std::ofstream(folder / "bad.wav") << "RIFF no sound";
  std::ofstream(folder / "empty.wav").flush();

  const test::Finished one = run(folder, {"predict", folder / "a.wav", "--model", model, "--threshold", "0.4"});
  INFO(one.errors);
  CHECK(one.code == 0);
  CHECK_THAT(one.output, Catch::Contains("scene") && Catch::Contains("tags") && Catch::Contains("events"));

  const test::Finished many = run(folder, {"predict", folder.path(), "--model", model, "--json", folder / "p.json",
                                           "--csv", folder / "p.csv", "--labels", folder / "labels"});
  INFO(many.errors);
  CHECK(many.code == 1);  // two of five are bad
  CHECK_THAT(many.errors, Catch::Contains("bad.wav") && Catch::Contains("empty.wav"));
  const auto json = nlohmann::json::parse(read_file(folder / "p.json"));
  REQUIRE(json.size() == 5);
  int good = 0;
  for (const auto& entry : json) {
    if (entry.contains("error")) continue;
    ++good;
    CHECK(entry["scene"].size() == 10);
    CHECK(entry["tags"].size() == 5);
    CHECK(entry.contains("events"));
  }
  CHECK(good == 3);
  CHECK_THAT(read_file(folder / "p.csv"), Catch::StartsWith("file,kind,label,probability,onset,offset\n"));
  CHECK(std::filesystem::exists(folder / "labels/a.txt"));

  // Several formats at once; one of them may take the terminal.
  const test::Finished formats =
      run(folder, {"predict", "--format", "jsonl", "--format", "scores=" + (folder / "scores"), "--format",
                   "events=" + (folder / "e.tsv"), "--model", model, folder / "a.wav"});
  INFO(formats.errors);
  CHECK(formats.code == 0);
  CHECK(nlohmann::json::parse(formats.output)["tags"].size() == 80);  // all of them, for scoring
  CHECK_THAT(read_file(folder / "scores/a.tsv"), Catch::StartsWith("onset\toffset\talarm\t"));
  CHECK_THAT(read_file(folder / "e.tsv"), Catch::StartsWith("filename\tonset\toffset\tevent_label\n"));
  for (const char* format : {"wav", "scores", "jsonl=", "dcase-asc"}) {  // the last: not with --task tag
    CHECK(run(folder, {"predict", folder / "a.wav", "--model", model, "--task", "tag", "--format", format}).code == 2);
  }
  CHECK(run(folder, {"predict", folder / "a.wav", "--model", model, "--format", "json", "--format", "csv"}).code == 2);
  CHECK(run(folder, {"predict", folder / "a.wav", "--model", model, "--median", "4"}).code == 2);

  const test::Finished bad = run(folder, {"predict", folder / "bad.wav", "--model", model});
  CHECK(bad.code == 3);
  CHECK(run(folder, {"predict", folder / "nothing.wav", "--model", model}).code == 4);
  CHECK(run(folder, {"predict", folder / "a.wav", "--model", folder / "bad.wav"}).code == 3);
  CHECK(run(folder, {"predict", folder / "a.wav", "--model", model, "--json", "/proc/no/p.json"}).code == 4);
  CHECK(run(folder, {"predict", folder / "a.wav", "--model", model, "--task", "speech"}).code == 2);
}

TEST_CASE("program: features are written for NumPy and as safetensors", "[program]") {
  const test::TemporaryFolder folder;
  test::write_tone(folder / "a.wav", 1);
  CHECK(run(folder, {"features", folder / "a.wav", "-o", folder / "a.npy"}).code == 0);
  const std::string npy = read_file(folder / "a.npy");
  CHECK(npy.substr(1, 5) == "NUMPY");
  CHECK_THAT(npy.substr(0, 128), Catch::Contains("(128, 150)"));
  CHECK(npy.size() % 64 == 0);
  CHECK(run(folder, {"features", folder / "a.wav", "-o", folder / "a.safetensors"}).code == 0);
  const Archive archive = Archive::open(folder / "a.safetensors");
  CHECK(archive.info("log_mel").shape == std::vector<std::int64_t>{128, 150});
  CHECK(npy.substr(npy.size() - 128 * 150 * 4) ==
        std::string(reinterpret_cast<const char*>(archive.bytes("log_mel").data()), 128 * 150 * 4));
  CHECK(run(folder, {"features", folder / "a.wav", "-o", folder / "a.txt"}).code == 2);
}

TEST_CASE("program: model info and forward", "[program]") {
  const test::TemporaryFolder folder;
  const std::string model = write_model(folder);
  const test::Finished info = run(folder, {"model", "info", model, "--json"});
  CHECK(info.code == 0);
  CHECK(nlohmann::json::parse(info.output)["parameters"] == 228160);
  ArchiveWriter writer;
  writer.add("x", {2, 1, 128, 80}, std::vector<float>(std::size_t{2} * 128 * 80, 0.25F));
  writer.write(folder / "x.safetensors");
  CHECK(run(folder, {"model", "forward", "--model", model, "--input", folder / "x.safetensors", "--output",
                     folder / "y.safetensors"})
            .code == 0);
  const Archive y = Archive::open(folder / "y.safetensors");
  CHECK(y.info("x.asc").shape == std::vector<std::int64_t>{2, 10});
  CHECK(y.info("x.sed").shape == std::vector<std::int64_t>{2, 16, 14});
  CHECK(y.info("x.tag").shape == std::vector<std::int64_t>{2, 80});
  CHECK(run(folder, {"model", "forward", "--model", model, "--input", model, "--output", folder / "z.safetensors"})
            .code == 3);
  CHECK_FALSE(std::filesystem::exists(folder / "z.safetensors"));
}

TEST_CASE("program: model convert takes PyTorch files in and gives them out", "[program]") {
  const test::TemporaryFolder folder;
  const std::string released = test::golden("pt/v3_names_stream.pt");
  const test::Finished in = run(folder, {"model", "convert", released, folder / "in.safetensors"});
  INFO(in.errors);
  CHECK(in.code == 0);
  CHECK_THAT(in.errors, Catch::Contains("'module.' was removed") && Catch::Contains("order of meta.csv"));
  CHECK(run(folder, {"model", "convert", folder / "in.safetensors", folder / "out.pt"}).code == 0);
  CHECK(run(folder, {"model", "convert", folder / "out.pt", folder / "again.safetensors"}).code == 0);
  CHECK(read_file(folder / "again.safetensors") == read_file(folder / "in.safetensors"));
  const test::Finished info = run(folder, {"model", "info", folder / "out.pt", "--json"});
  CHECK(nlohmann::json::parse(info.output)["format"] == "PyTorch (zip)");
  CHECK_THAT(run(folder, {"model", "info", folder / "out.pt"}).output, Catch::Contains("hop 480"));

  // The data set's table decides, by first appearance.
  std::ofstream table(folder / "meta.csv");
  table << "filename\tscene_label\tidentifier\n";
  const std::vector<std::string> scenes = {
      "tram",          "bus",           "bus",     "metro", "metro_station",  "park",
      "public_square", "shopping_mall", "airport", "tram",  "street_traffic", "street_pedestrian"};
  for (const std::string& scene : scenes) table << "audio/x.wav\t" << scene << "\tx\n";
  table.close();
  const test::Finished moved =
      run(folder, {"model", "convert", released, folder / "moved.safetensors", "--asc-labels", folder / "meta.csv"});
  INFO(moved.errors);
  CHECK(moved.code == 0);
  CHECK_THAT(moved.errors, Catch::Contains("rows were moved"));
  std::ofstream(folder / "short.txt") << "forest\nriver\n";
  CHECK(run(folder, {"model", "convert", released, folder / "x.pt", "--asc-labels", folder / "short.txt"}).code == 3);
  CHECK(run(folder, {"model", "convert", released, folder / "x.onnx"}).code == 2);
  CHECK(run(folder, {"model", "convert", folder / "out.pt", folder / "x.pt", "--asc-labels", "alphabetical"}).code ==
        2);
  CHECK(run(folder, {"model", "convert", test::golden("pt/whole_module.pt"), folder / "x.pt"}).code == 3);
  CHECK_FALSE(std::filesystem::exists(folder / "x.pt"));
}

TEST_CASE("program: model diff says what differs and ends as diff does", "[program]") {
  const test::TemporaryFolder folder;
  const std::string a = write_model(folder);
  CHECK(run(folder, {"model", "convert", a, folder / "b.pt"}).code == 0);
  const test::Finished same = run(folder, {"model", "diff", a, folder / "b.pt"});
  CHECK(same.code == 0);
  CHECK_THAT(same.output, Catch::Contains("136 tensors agree exactly"));

  Model model = Model::load(a);
  const Tensor bias = model.parameters().find("fc_ASC.bias")->parameter->value();
  std::vector<float> values = bias.to_vector();
  values[3] += 0.5F;
  bias.copy_from(values);
  model.info().metadata["note"] = "changed";
  model.save(folder / "c.safetensors");
  const test::Finished other = run(folder, {"model", "diff", a, folder / "c.safetensors", "--json"});
  CHECK(other.code == 1);
  const auto j = nlohmann::json::parse(other.output);
  REQUIRE(j["values"].size() == 1);
  CHECK(j["values"][0]["name"] == "fc_ASC.bias");
  CHECK(j["values"][0]["max_abs"].get<double>() == Approx(0.5));
  CHECK(j["metadata"][0]["what"] == "only in B");
  CHECK_THAT(run(folder, {"model", "diff", a, folder / "c.safetensors", "--tolerance", "1"}).output,
             Catch::Contains("136 tensors agree within 1") && Catch::Contains("note: only in B"));
  CHECK(run(folder, {"model", "diff", a, folder / "c.safetensors", "--tolerance", "1", "--tensors-only"}).code == 0);
  CHECK(run(folder, {"model", "diff", a, folder / "nothing.pt"}).code == 4);
  CHECK(run(folder, {"model", "diff", a, a, "--tolerance", "-1"}).code == 2);
}

TEST_CASE("program: model export writes ONNX", "[program]") {
  const test::TemporaryFolder folder;
  const std::string model = write_model(folder);
  const test::Finished network = run(folder, {"model", "export", model, folder / "n.onnx"});
  INFO(network.errors);
  CHECK(network.code == 0);
  CHECK(run(folder, {"model", "export", model, folder / "p.onnx", "--part", "pipeline", "--opset", "13"}).code == 0);
  CHECK(std::filesystem::file_size(folder / "p.onnx") > std::filesystem::file_size(folder / "n.onnx") + 7'000'000);
  CHECK(run(folder, {"model", "export", model, folder / "n.txt"}).code == 2);
  CHECK(run(folder, {"model", "export", model, folder / "n.onnx", "--opset", "18"}).code == 2);
  CHECK(run(folder, {"model", "export", model, folder / "n.onnx", "--part", "trunk"}).code == 2);
}

TEST_CASE("program: eval reports a manifest's test part and refuses a model of other classes", "[program]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  const auto tasks = test::plans(manifest, 1, 60);
  test::model_for(tasks)->save(folder / "own.safetensors");
  const test::Finished good = run(folder, {"eval", "--model", folder / "own.safetensors", "--asc", manifest, "--tag",
                                           manifest, "--sed", manifest, "--json", folder / "e.json"});
  INFO(good.errors);
  CHECK(good.code == 0);
  const auto json = nlohmann::json::parse(read_file(folder / "e.json"));
  CHECK(json["tasks"].size() == 3);
  CHECK(json["tasks"][0]["items"] == 2);
  CHECK(json["tasks"][2].contains("psds1"));

  // Thresholds are chosen on validation, which is then no part to report.
  const std::string own = folder / "own.safetensors";
  const std::string decisions = folder / "d.json";
  const test::Finished tuned = run(
      folder, {"eval", "--model", own, "--sed", manifest, "--tune-thresholds", decisions, "--json", folder / "t.json"});
  INFO(tuned.errors);
  CHECK(tuned.code == 0);
  const auto tuned_json = nlohmann::json::parse(read_file(folder / "t.json"));
  CHECK(tuned_json["tasks"][0]["tuned"]["part"] == "valid");
  CHECK(tuned_json["tasks"][0]["decisions"]["thresholds"].size() == 2);
  CHECK(run(folder, {"eval", "--model", own, "--sed", manifest, "--decisions", decisions}).code == 0);
  CHECK(run(folder, {"eval", "--model", own, "--sed", manifest, "--decisions", decisions, "--part", "valid"}).code ==
        2);
  CHECK(run(folder, {"eval", "--model", own, "--sed", manifest, "--tune-thresholds", decisions, "--part", "valid"})
            .code == 2);
  CHECK(run(folder,
            {"eval", "--model", own, "--sed", manifest, "--tune-thresholds", decisions, "--selection", "reference"})
            .code == 2);
  CHECK(run(folder, {"eval", "--model", own, "--asc", manifest, "--tune-thresholds", decisions}).code == 2);

  const test::Finished other = run(folder, {"eval", "--model", write_model(folder), "--asc", manifest});
  CHECK(other.code == 3);
  CHECK(run(folder, {"eval", "--model", folder / "own.safetensors"}).code == 2);
  CHECK(run(folder, {"eval", "--model", folder / "own.safetensors", "--asc", manifest, "--part", "dev"}).code == 2);
}

TEST_CASE("program: averages of single tasks are made from data, shown, and evaluated with", "[program]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  const auto tasks = test::plans(manifest, 1, 60);
  const std::string shared = folder / "shared.safetensors";
  const std::string own = folder / "own.safetensors";
  test::model_for(tasks)->save(shared);
  const auto bn_stats = [&](const std::string& model) {
    return nlohmann::json::parse(run(folder, {"model", "info", model, "--json"}).output)["bn_stats"];
  };
  const auto recalibrate = [&](const std::string& model, const std::vector<std::string>& more) {
    std::vector<std::string> a = {"model", "recalibrate", model, "-o", own, "--quiet", "--batches", "2"};
    for (const char* set : {"data.asc.batch_size=2", "data.sed.batch_size=1", "data.sed.crop_frames=60"}) {
      a.insert(a.end(), {"--set", set});
    }
    a.insert(a.end(), more.begin(), more.end());
    return run(folder, a);
  };
  const test::Finished done = recalibrate(shared, {"--asc", manifest, "--sed", manifest});
  INFO(done.errors);
  REQUIRE(done.code == 0);
  CHECK(bn_stats(shared) == "shared");
  CHECK(bn_stats(own) == "per-task");
  CHECK_THAT(run(folder, {"model", "info", own}).output,
             Catch::Contains("per-task averages (batches: asc 2, tag 0, sed 2)"));
  const auto eval = [&](const std::string& model, const std::string& mode) {
    return run(folder, {"eval", "--model", model, "--asc", manifest, "--bn-stats", mode, "--json", folder / "e.json"});
  };
  REQUIRE(eval(own, "pooled").code == 0);
  CHECK(nlohmann::json::parse(read_file(folder / "e.json"))["bn_stats"] == "pooled");
  CHECK(eval(own, "mixed").code == 2);
  const test::Finished none = eval(shared, "per-task");
  CHECK(none.code == 2);
  CHECK_THAT(none.errors, Catch::Contains("model recalibrate"));
  CHECK(recalibrate(shared, {}).code == 2);
  CHECK(recalibrate(shared, {"--asc", manifest, "--bn-stats", "shared"}).code == 2);
  CHECK(recalibrate(shared, {"--asc", manifest, "--batches", "0"}).code == 2);
  CHECK(recalibrate(manifest, {"--asc", manifest}).code == 3);
}

TEST_CASE("program: data verify names every bad file, prepare stops on them or skips them", "[program]") {
  const test::TemporaryFolder folder;
  const std::string manifest = test::write_manifest(folder.path());
  CHECK(run(folder, {"data", "verify", manifest}).code == 0);
  std::ofstream(folder / "r1.wav", std::ios::trunc) << "no sound";
  std::filesystem::resize_file(folder / "r3.wav", 2000);
  const test::Finished verify = run(folder, {"data", "verify", manifest, "--json"});
  CHECK(verify.code == 1);
  CHECK(nlohmann::json::parse(verify.output)["bad"].size() == 2);
  const test::Finished stop = run(folder, {"data", "prepare", manifest});
  CHECK(stop.code == 3);
  CHECK_THAT(stop.errors, Catch::Contains("r1.wav") && Catch::Contains("r3.wav"));
  const test::Finished skip = run(folder, {"data", "prepare", manifest, "--on-bad-file", "skip"});
  CHECK(skip.code == 1);
  CHECK(std::filesystem::exists(folder / ".dcasenet/set.jsonl.pcm"));
  CHECK(run(folder, {"data", "stats", folder / "nothing"}).code == 4);
  CHECK(run(folder, {"data", "prepare", manifest, "--on-bad-file", "ignore"}).code == 2);
}

TEST_CASE("program: folds of a manifest are assigned on the command line", "[program]") {
  const test::TemporaryFolder folder;
  static_cast<void>(test::write_manifest(folder.path()));  // for its recordings
  std::ofstream(folder / "folds.csv") << "audio,fold,scene\nr0.wav,1,low\nr1.wav,1,high\nr2.wav,2,low\nr3.wav,3,high\n";
  const test::Finished stats =
      run(folder, {"data", "stats", folder / "folds.csv", "--valid-folds", "2", "--test-folds", "3", "--json"});
  INFO(stats.errors);
  REQUIRE(stats.code == 0);
  const auto json = nlohmann::json::parse(stats.output);
  CHECK(json["train"]["items"] == 2);
  CHECK(json["valid"]["items"] == 1);
  CHECK(json["test"]["items"] == 1);
  CHECK(run(folder, {"data", "stats", folder / "folds.csv", "--test-folds", "-1"}).code == 2);
}

}  // namespace dcase
