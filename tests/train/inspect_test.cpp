#include "train/data/inspect.hpp"

#include "tests/train/data_fixture.hpp"
#include "train/data/manifest_dataset.hpp"

namespace dcase {

using test::has;
using test::put;

namespace {

Dataset small_set(const test::TemporaryFolder& folder) {
  for (const char* file : {"1.wav", "2.wav", "broken.wav", "short.wav"}) put(folder / file);
  put(folder / "m.jsonl",
      R"({"audio":"1.wav","split":"train","scene":"park","tags_soft":{"a":0.4,"b":0.6},"end":4})"
      "\n"
      R"({"audio":"1.wav","split":"train","scene":"park","start":4,"events":[{"onset":5,"offset":6,"label":"dog"}]})"
      "\n"
      R"({"audio":"2.wav","split":"test","scene":"park","channels":1})"
      "\n"
      R"({"audio":"broken.wav","split":"valid","scene":"park"})"
      "\n"
      R"({"audio":"short.wav","split":"train","scene":"park","start":9})"
      "\n"
      R"({"audio":"gone.wav","split":"train","scene":"park"})");
  return read_manifest({.manifest = folder / "m.jsonl"});
}

}  // namespace

TEST_CASE("inspect: listed, found, readable and used, with every bad file by name", "[inspect]") {
  const test::TemporaryFolder folder;
  const Dataset dataset = small_set(folder);
  std::vector<std::string> probed;
  const Inspection inspection = inspect(dataset, [&probed](const std::string& path) -> AudioFacts {
    probed.push_back(path.substr(path.rfind('/') + 1));
    if (probed.back() == "broken.wav") fail(ErrorKind::kData, path, ": not audio");
    return {.channels = probed.back() == "2.wav" ? 1 : 2,
            .sample_rate = 44100,
            .seconds = probed.back() == "short.wav" ? 2.0 : 10.0};
  });
  CHECK(probed == std::vector<std::string>{"1.wav", "2.wav", "broken.wav", "short.wav"});  // once a file
  CHECK(inspection.listed == 6);
  CHECK(inspection.found == 5);
  CHECK(inspection.readable == 2);
  CHECK(inspection.used == 2);
  REQUIRE(inspection.bad.size() == 4);
  CHECK(inspection.bad[0].audio == "gone.wav");
  CHECK(has(inspection.bad[1].reason, "has 1 channels, the item asks for number 1"));
  CHECK(has(inspection.bad[2].reason, "not audio"));
  CHECK(has(inspection.bad[3].reason, "lasts 2 s, the item starts at 9 s"));
  CHECK(inspection.train.items == 2);
  CHECK(inspection.train.seconds == 10);
  CHECK(inspection.shortest == 4);
  CHECK(inspection.longest == 6);
  CHECK(inspection.test.items == 0);
  REQUIRE(inspection.classes[0].size() == 1);
  CHECK(inspection.classes[0][0].train == 2);
  CHECK(inspection.classes[1][0].train == 0);  // 0.4
  CHECK(inspection.classes[1][1].train == 1);
  CHECK(inspection.classes[2][0].train == 1);

  const std::string text = to_text(dataset, inspection);
  CHECK(has(text, "listed 6, found 5, readable 2, used 2"));
  CHECK(has(text, "park: 2/0/0"));
  CHECK(has(text, "bad: gone.wav: does not exist"));
}

TEST_CASE("inspect: without a probe no file is opened; an interruption passes through", "[inspect]") {
  const test::TemporaryFolder folder;
  const Dataset dataset = small_set(folder);
  const Inspection inspection = inspect(dataset);
  CHECK(inspection.readable == 5);
  CHECK(inspection.train.items == 3);
  CHECK(inspection.longest == 0);
  CHECK_THROWS_AS(inspect(dataset, [](const std::string&) -> AudioFacts { fail(ErrorKind::kInterrupted, "stop"); }),
                  Error);
}

}  // namespace dcase
