#include <cmath>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "engine/files.hpp"
#include "kernels/common/error.hpp"
#include "tests/support/test.hpp"
#include "train/formats/clip_input.hpp"
#include "train/formats/decision_file.hpp"
#include "train/formats/event_input.hpp"
#include "train/formats/fields.hpp"
#include "train/formats/json_lines.hpp"
#include "train/formats/score_table.hpp"
#include "train/formats/writers.hpp"

namespace dcase {

namespace {

const LabelSet kDogs({"dog", "phone", "a \"b\" c"}, "test");

/// The message of the kData error that `read` throws, "" where it throws none.
template <class Read>
std::string problem(Read read) {
  try {
    read();
  } catch (const Error& error) {
    return error.kind() == ErrorKind::kData ? error.what() : std::string("another kind: ") + error.what();
  }
  return "";
}

std::string put(const test::TemporaryFolder& folder, const std::string& name, const std::string& text) {
  std::ofstream(folder / name, std::ios::binary) << text;
  return folder / name;
}

const std::vector<LabelledEvent> kEvents = {
    {0.3, 0.6, "dog", 0.75}, {0.3, 60, "a \"b\" c", 0.5}, {1.234567, 2, "phone"}};

}  // namespace

TEST_CASE("formats: an event list comes back as it was written", "[formats]") {
  const std::string text = event_list_header() + event_list_rows({.name = "a.wav", .events = kEvents}) +
                           event_list_rows({.name = "silent\tname.wav"}) +
                           event_list_rows({.name = "b.wav", .events = {{0, 0, "dog"}}});
  CHECK_THAT(text, Catch::StartsWith("filename\tonset\toffset\tevent_label\na.wav\t0.3\t0.6\tdog\n"));
  const auto read = read_event_list(text, "x.tsv");
  REQUIRE(read.size() == 3);
  CHECK(read[0].name == "a.wav");
  CHECK(read[0].events == kEvents);
  CHECK(read[1].name == "silent\tname.wav");
  CHECK(read[1].events.empty());
  CHECK(read[2].events == std::vector<LabelledEvent>{{0, 0, "dog"}});
  // Columns by name, comma or tab, whatever else there is.
  const auto other = read_event_list("event_label,offset,onset,id,filename\r\ndog,2,1.5,7,x.wav\r\n", "y.csv");
  CHECK(other.at(0).events == std::vector<LabelledEvent>{{1.5, 2, "dog"}});

  const auto bad = [](const std::string& rows) {
    return problem([&] { static_cast<void>(read_event_list(event_list_header() + rows, "x.tsv")); });
  };
  CHECK_THAT(bad("a.wav\t2\t1\tdog\n"), Catch::StartsWith("x.tsv:2: an event from 2 to 1 s"));
  CHECK_THAT(bad("a.wav\t-1\t1\tdog\n"), Catch::StartsWith("x.tsv:2: an event from -1"));
  CHECK_THAT(bad("a.wav\t0\t1e300\tdog\n"), Catch::StartsWith("x.tsv:2: an event from 0"));
  CHECK_THAT(bad("a.wav\tnan\t1\tdog\n"), Catch::StartsWith("x.tsv:2: the onset is 'nan'"));
  CHECK_THAT(bad("a.wav\t0\t1\tdog\nb.wav\t0\t\tdog\n"), Catch::StartsWith("x.tsv:3: the offset is ''"));
  CHECK_THAT(bad("a.wav\t0\t1\t\n"), Catch::StartsWith("x.tsv:2: an empty name"));
  CHECK_THAT(bad("\t0\t1\tdog\n"), Catch::StartsWith("x.tsv:2: an empty name"));
  CHECK_THAT(bad("a.wav\t0\t1\t\xff\n"), Catch::Contains("not UTF-8"));
  CHECK_THAT(problem([] { static_cast<void>(read_event_list("filename\tonset\n", "x.tsv")); }),
             Catch::Contains("no column 'offset'"));
}

TEST_CASE("formats: frame lists of DCASE Task 3", "[formats]") {
  const std::string text = write_frame_list(kEvents, kDogs);
  CHECK_THAT(text, Catch::StartsWith("3,0,0,0,0\n3,2,0,0,0\n4,0,0,0,0\n"));
  const auto read = read_frame_list(text, "x.csv", kDogs);
  REQUIRE(read.size() == 3);
  CHECK(read[0].label == "dog");
  CHECK(read[0].onset == Approx(0.3));
  CHECK(read[0].offset == Approx(0.6));
  CHECK(read[1].label == "phone");  // 1.234567 to 2 s touches frames 12 to 19
  CHECK(read[1].onset == Approx(1.2));
  CHECK(read[1].offset == Approx(2));
  CHECK(read[2].offset == Approx(60));
  CHECK(read_frame_list("", "x.csv", kDogs).empty());
  // Two instances at once, a repeated frame, and the older form of four columns.
  CHECK(read_frame_list("5,1,0,10,-5\n6,1,1,0,0\n6,1,0,10,-5\n6,1,0,11,-5\n", "x.csv", kDogs).size() == 2);
  CHECK(read_frame_list("5,1,-170,40\n6,1,-170,40\n", "x.csv", kDogs).size() == 1);
  const auto bad = [](const std::string& rows) {
    return problem([&] { static_cast<void>(read_frame_list(rows, "x.csv", kDogs)); });
  };
  CHECK_THAT(bad("1,0,0,0,0\n2,3,0,0,0\n"), Catch::StartsWith("x.csv:2: the class is '3'"));
  CHECK_THAT(bad("99999999999,0,0,0,0\n"), Catch::StartsWith("x.csv:1: the frame is"));
  CHECK_THAT(bad("7\n"), Catch::StartsWith("x.csv:1: one field"));
  CHECK_THAT(bad("1,0,x,0,0\n"), Catch::Contains("the event number is 'x'"));
}

TEST_CASE("formats: Audacity and Raven", "[formats]") {
  CHECK(read_audacity(write_audacity(kEvents), "x.txt") == kEvents);
  CHECK(write_audacity({{1.5, 2, "dog"}}) == "1.5\t2\tdog\n");
  CHECK(read_audacity("1\t2\tdog\n\\\t100\t2000\n", "x.txt").size() == 1);  // a spectral selection
  CHECK_THAT(problem([] { static_cast<void>(read_audacity("1\t2\n", "x.txt")); }),
             Catch::StartsWith("x.txt:1: 2 fields"));

  const auto raven = read_raven(write_raven({.name = "a.wav", .events = kEvents}), "x.selections.txt", "x");
  REQUIRE(raven.size() == 1);
  CHECK(raven[0].name == "a.wav");
  CHECK(raven[0].events == kEvents);
  const auto own = read_raven("Selection\tBegin Time (s)\tEnd Time (s)\tSpecies\n1\t0.5\t1.5\tdog\n", "x.txt", "x");
  CHECK(own.at(0).name == "x");
  CHECK(own.at(0).events == std::vector<LabelledEvent>{{0.5, 1.5, "dog"}});
  CHECK(read_raven("Selection\tBegin Time (s)\tEnd Time (s)\tSpecies\n", "x.txt", "x").size() == 1);  // nothing found
  CHECK_THAT(problem([] { static_cast<void>(read_raven("Begin Time (s)\tEnd Time (s)\n", "x.txt", "x")); }),
             Catch::Contains("no column 'Annotation'"));
}

TEST_CASE("formats: score tables", "[formats]") {
  const std::vector<float> values = {0.1F, 0.2F, 0.3F, 1e-9F, 0.5F, 1};
  const std::string text = write_score_table(kDogs.names(), values, 0.1, 0.15);
  CHECK_THAT(text, Catch::StartsWith(
                       "onset\toffset\tdog\tphone\t\"a \"\"b\"\" c\"\n0\t0.1\t0.1\t0.2\t0.3\n0.1\t0.15\t1e-09\t"));
  CHECK(read_score_header(text, "x.tsv") == kDogs.names());
  const FrameScores read = read_score_table(text, "x.tsv", kDogs);
  CHECK(read.times == std::vector<std::int64_t>{0, 100'000, 150'000});
  CHECK(read_score_end(text, "x.tsv") == 150'000);
  REQUIRE(read.values.size() == values.size());
  for (std::size_t i = 0; i < values.size(); ++i) CHECK(static_cast<float>(read.values[i]) == values[i]);
  // Another order of columns, Windows line ends, no newline at the end.
  const LabelSet swapped({"b", "a"}, "test");
  CHECK(read_score_table("onset\toffset\ta\tb\r\n0.5\t0.75\t-1\t2", "x.tsv", swapped).values ==
        std::vector<double>{2, -1});
  CHECK(read_score_end("onset\toffset\ta\tb\n", "x.tsv") == 0);
  CHECK(read_score_table("onset\toffset\ta\tb\n", "x.tsv", swapped).frames() == 0);

  const auto bad = [&](const std::string& rows, const std::string& header = "onset\toffset\ta\tb\n") {
    return problem([&] { static_cast<void>(read_score_table(header + rows, "x.tsv", swapped)); });
  };
  CHECK_THAT(bad("0\t1\t0.5\n"), Catch::StartsWith("x.tsv:2: 3 fields where the header has 4"));
  CHECK_THAT(bad("0\t1\t0.5\t1\t2\n"), Catch::StartsWith("x.tsv:2: 5 fields where the header has 4"));
  CHECK_THAT(bad("0\t1\t0.5\tx\n"), Catch::StartsWith("x.tsv:2: the score of 'b' is 'x'"));
  CHECK_THAT(bad("0\t1\t0.5\tinf\n"), Catch::Contains("a finite number"));
  CHECK_THAT(bad("0\t1\t0\t0\n2\t3\t0\t0\n"), Catch::StartsWith("x.tsv:3") && Catch::Contains("ends at 1 s"));
  CHECK_THAT(bad("0\t1\t0\t0\n1\t1\t0\t0\n"), Catch::Contains("empty frame"));
  CHECK_THAT(bad("1\t0\t0\t0\n"), Catch::Contains("an event from 1 to 0 s"));
  CHECK_THAT(bad("", "onset\toffset\ta\n"), Catch::Contains("1 of 2 classes; 'b' has none"));
  CHECK_THAT(bad("", "onset\toffset\ta\tc\n"), Catch::Contains("unknown label 'c'"));
  CHECK_THAT(bad("", "offset\tonset\ta\tb\n"), Catch::Contains("the header has to be"));
  CHECK_THAT(bad("", ""), Catch::Contains("empty"));
  CHECK_THAT(problem([] { static_cast<void>(read_score_end("onset\toffset\ta\n0\tx\t1\n", "x.tsv")); }),
             Catch::Contains("last line"));
}

TEST_CASE("formats: tables of scenes and tags", "[formats]") {
  const std::vector<std::string> classes = {"bus", "park"};
  const std::string scenes = scene_table_header(classes) + scene_table_row("audio/a.wav", classes, {0.25F, 0.75F});
  CHECK(scenes == "filename\tscene_label\tbus\tpark\naudio/a.wav\tpark\t0.25\t0.75\n");
  const ClipTable read = read_scene_table(scenes, "x.csv");
  CHECK(read.classes == classes);
  CHECK(read.rows.at(0).labels == std::vector<std::string>{"park"});
  CHECK(read.rows.at(0).scores == std::vector<double>{0.25, 0.75});
  const ClipTable meta =
      read_scene_table("filename\tscene_label\tidentifier\tsource_label\naudio/a.wav\tbus\tlyon-1\ts3\n", "meta.csv");
  CHECK(meta.classes.empty());
  CHECK(meta.rows.at(0).device == "s3");

  const std::string tags = tag_table_header({"Bark", "a,b"}) + tag_table_row("1.wav", {0.5F, 0});
  CHECK(tags == "fname,Bark,\"a,b\"\n1.wav,0.5,0\n");
  CHECK(read_tag_table(tags, "x.csv").classes == std::vector<std::string>{"Bark", "a,b"});
  const ClipTable truth = read_tag_table("fname,labels\n1.wav,\"Bark, Run\"\n2.wav,\n", "x.csv");
  CHECK(truth.rows.at(0).labels == std::vector<std::string>{"Bark", "Run"});
  CHECK(truth.rows.at(1).labels.empty());

  const auto bad = [](const std::string& text) {
    return problem([&] { static_cast<void>(read_scene_table(text, "x.csv")); });
  };
  CHECK_THAT(bad("filename\tscene_label\na.wav\t\n"), Catch::StartsWith("x.csv:2: an empty name"));
  CHECK_THAT(bad("filename\tscene_label\tbus\na.wav\tbus\t1,5\n"),
             Catch::StartsWith("x.csv:2: the score of bus is '1,5'"));
  CHECK_THAT(bad("filename\tidentifier\na.wav\tx\n"), Catch::Contains("neither a column scene_label"));
  CHECK_THAT(bad("file\tscene_label\na.wav\tx\n"), Catch::Contains("no column 'filename'"));
}

TEST_CASE("formats: JSON Lines", "[formats]") {
  JsonRecording r{.name = "a.wav", .seconds = 10.5};
  r.scene = {{"park", static_cast<double>(0.7F)}, {"bus", static_cast<double>(0.3F)}};
  r.tags = {{.label = "Bark"}};
  r.events = kEvents;
  const std::string line = json_line(r);
  CHECK_THAT(line, Catch::StartsWith(R"({"file":"a.wav","seconds":10.5,"scene":[{"label":"park","probability":0.7})"));
  const auto read = read_json_lines(line + "\n" + R"({"file": "bad.wav", "error": "x"})" + "\r\n" +
                                        R"({"audio": "b.wav", "scene": "bus", "device": "s1", "events": []})",
                                    "x.jsonl");
  REQUIRE(read.size() == 2);
  CHECK(read[0].seconds == 10.5);
  CHECK(read[0].scene->at(0).probability == 0.7);
  CHECK(std::isnan(read[0].tags->at(0).probability));
  CHECK(*read[0].events == kEvents);
  CHECK(read[1].scene->at(0).label == "bus");
  CHECK(read[1].device == "s1");
  CHECK_FALSE(read[1].tags);
  CHECK(read[1].events->empty());

  const auto bad = [](const std::string& text) {
    return problem([&] { static_cast<void>(read_json_lines(text, "x.jsonl")); });
  };
  CHECK_THAT(bad("{}\n"), Catch::StartsWith("x.jsonl:1: no 'file'"));
  CHECK_THAT(bad("\n[1]\n"), Catch::StartsWith("x.jsonl:2: is no JSON object"));
  CHECK_THAT(bad("{\"file\": 1}"), Catch::Contains("'file' has to be text"));
  CHECK_THAT(bad(R"({"file": "a", "tags": 3})"), Catch::Contains("a name or a list"));
  CHECK_THAT(bad(R"({"file": "a", "tags": [{"label": "x"}]})"), Catch::Contains("without 'probability'"));
  CHECK_THAT(bad(R"({"file": "a", "events": [{"label": "x", "onset": 2, "offset": 1}]})"),
             Catch::Contains("from 2 to 1"));
  CHECK_THAT(bad(R"({"file": "a", "seconds": 1e999})"), Catch::StartsWith("x.jsonl:1"));
  CHECK_THAT(bad(std::string(200'000, '[')), Catch::StartsWith("x.jsonl:1: is no JSON object"));
}

TEST_CASE("formats: recordings match by name, or by path", "[formats]") {
  CHECK(recording_key("audio/park-1.WAV") == "park-1");
  CHECK(recording_key("a.b.c") == "a.b.c");
  CHECK(recording_key("./x/a.flac", MatchBy::kPath) == "x/a");
  CHECK(recording_key(".wav") == ".wav");
  const std::vector<NamedRecording> references = {{"audio/a.wav", "r:1"}, {"audio/b.wav", "r:2"}};
  const RecordingMatch m = match_recordings(references, {{"b", "o:1"}, {"c", "o:2"}}, MatchBy::kName);
  CHECK_FALSE(m.output_of[0]);
  CHECK(m.output_of[1] == std::size_t{0});
  CHECK(m.missing == std::vector<std::string>{"audio/a.wav"});
  CHECK(m.extra == std::vector<std::string>{"c"});
  const auto twice = [](MatchBy by) {
    return problem([&] { static_cast<void>(match_recordings({{"x/a.wav", "r:1"}, {"y/a.wav", "r:2"}}, {}, by)); });
  };
  CHECK_THAT(twice(MatchBy::kName), Catch::StartsWith("r:2: the recording 'a' is there twice, first at r:1") &&
                                        Catch::Contains("--match path"));
  CHECK(twice(MatchBy::kPath).empty());
  CHECK(first_names({"a", "b", "c", "d"}) == "'a', 'b', 'c' and 1 more");
}

TEST_CASE("formats: files of recordings stay in their folder", "[formats]") {
  const test::TemporaryFolder folder;
  RecordingPaths paths(folder / "out", ".txt");
  CHECK(paths.path_of("x/a.wav") == folder / "out/a.txt");
  CHECK(paths.path_of("y/a.wav") == folder / "out/a-2.txt");
  CHECK(paths.path_of("../../etc/passwd") == folder / "out/passwd.txt");
  std::filesystem::create_directories(folder / "in/sub");
  put(folder, "in/b.tsv", "");
  put(folder, "in/sub/a.tsv", "");
  put(folder, "in/._b.tsv", "");
  put(folder, "in/readme.md", "");
  const auto files = recording_files({folder / "in"}, {".tsv"});
  REQUIRE(files.size() == 2);
  CHECK(files[0].name == "b");
  CHECK(files[1].name == "sub/a");
  CHECK_THAT(problem([&] { static_cast<void>(recording_files({folder / "in"}, {".txt"})); }), Catch::Contains("*.txt"));
}

TEST_CASE("formats: the format of events is told from the first line", "[formats]") {
  const test::TemporaryFolder folder;
  const auto format = [&](const std::string& name, const std::string& text) {
    return read_events({put(folder, name, text)}, EventFormat::kAuto, kDogs).format;
  };
  CHECK(format("a.tsv", "filename\tonset\toffset\tevent_label\n") == EventFormat::kEvents);
  CHECK(format("b.tsv", "onset\toffset\tdog\n") == EventFormat::kScores);
  CHECK(format("c.csv", "1,0,0,0,0\n") == EventFormat::kDcaseSed);
  CHECK(format("d.txt", "1\t2\tdog\n") == EventFormat::kAudacity);
  CHECK(format("e.txt", "Selection\tBegin Time (s)\tEnd Time (s)\tLabel\n") == EventFormat::kRaven);
  CHECK(format("f.jsonl", R"({"file": "a", "seconds": 2, "events": []})") == EventFormat::kJsonLines);
  CHECK_THAT(problem([&] { static_cast<void>(format("g.tsv", "hello\n")); }), Catch::Contains("none of the formats"));
  CHECK_THAT(problem([&] { static_cast<void>(format("h.jsonl", R"({"file": "a"})")); }),
             Catch::Contains("no 'events'"));
  const auto lengths = read_durations("filename\tduration\na.wav\t10\n", "d.tsv");
  CHECK(lengths.at(0).seconds == 10);
  CHECK_THAT(problem([] { static_cast<void>(read_durations("filename\tduration\na\t-1\n", "d.tsv")); }),
             Catch::StartsWith("d.tsv:2: a duration of -1"));
}

TEST_CASE("formats: clips of several files", "[formats]") {
  const test::TemporaryFolder folder;
  const std::string a = put(folder, "a.csv", "fname,x,y\n1.wav,0.1,0.2\n");
  const std::string b = put(folder, "b.csv", "fname,y,x\n2.wav,0.3,0.4\n");
  const ClipTable both = read_clips(Task::kTag, {a, b});
  CHECK(both.rows.at(1).scores == std::vector<double>{0.4, 0.3});
  const std::string c = put(folder, "c.csv", "fname,y,z\n3.wav,0.3,0.4\n");
  CHECK_THAT(problem([&] { static_cast<void>(read_clips(Task::kTag, {a, c})); }), Catch::Contains("unknown label 'z'"));
  const auto lines = [&](const std::string& text) { return read_clips(Task::kTag, {put(folder, "l.jsonl", text)}); };
  const ClipTable scored =
      lines(R"({"file": "1", "tags": [{"label": "b", "probability": 1}, {"label": "a", "probability": 0}]})");
  CHECK(scored.classes == std::vector<std::string>{"a", "b"});
  CHECK(scored.rows.at(0).scores == std::vector<double>{0, 1});
  CHECK_THAT(problem([&] {
               static_cast<void>(lines(
                   R"({"file": "1", "tags": [{"label": "a", "probability": 1}, {"label": "b", "probability": 0}]})"
                   "\n"
                   R"({"file": "2", "tags": [{"label": "a", "probability": 1}]})"));
             }),
             Catch::Contains("l.jsonl:2: no score of 'b'"));
}

TEST_CASE("formats: a file of decisions keeps its origin, and refuses what it was tuned on", "[formats]") {
  const test::TemporaryFolder folder;
  DecisionFile file{.task = Task::kSed,
                    .objective = "segment-f1",
                    .data = "set",
                    .part = "valid",
                    .system = "m.safetensors",
                    .recordings = {"a", "b"},
                    .classes = LabelSet({"dog", "phone"}, "test")};
  file.rules = {.thresholds = {0.25, 0.75}, .median_frames = {3}, .close_gap_frames = {1, 2}, .minimum_frames = {0}};
  file.tuned = {{0.25, 0.5, 3}, {0.75, std::nan(""), 0}};
  const std::string path = put(folder, "d.json", write_decisions(file));
  const DecisionFile read = read_decisions(path);
  CHECK(read.classes == file.classes);
  CHECK(read.rules.thresholds == file.rules.thresholds);
  CHECK(read.rules.median_frames == std::vector<std::int64_t>{3, 3});
  CHECK(read.rules.close_gap_frames == file.rules.close_gap_frames);
  CHECK(read.recordings == file.recordings);
  CHECK(read.part == "valid");
  CHECK(read.tuned.at(0).references == 3);
  CHECK(std::isnan(read.tuned.at(1).value));
  CHECK_NOTHROW(refuse_tuned_on(read, path, {"x/c.wav"}));
  try {
    refuse_tuned_on(read, path, {"x/b.wav", "c.wav"});
    FAIL("accepted");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kUsage);
    CHECK_THAT(error.what(), Catch::Contains("1 of the 2 recordings"));
  }
  for (
      const char* text :
      {"", "{}", R"({"format": "dcasenet decisions", "version": 2, "classes": {"a": {"threshold": 1}}})",
       R"({"format": "dcasenet decisions", "version": 1, "task": "sed", "classes": {"a": {}}})",
       R"({"format": "dcasenet decisions", "version": 1, "task": "sed", "classes": {"a": {"threshold": "x"}}})",
       R"({"format": "dcasenet decisions", "version": 1, "task": "sed", "classes": {"a": {"threshold": 1, "median_frames": 2}}})",
       R"({"format": "dcasenet decisions", "version": 1, "task": "sed", "classes": {"a": {"threshold": 1, "median_frames": 1e12}}})"}) {
    INFO(text);
    CHECK_THAT(problem([&] { static_cast<void>(read_decisions(put(folder, "bad.json", text))); }),
               Catch::Contains("bad.json"));
  }
}

TEST_CASE("formats: what predict writes, the readers read", "[formats]") {
  const test::TemporaryFolder folder;
  LabelSets labels;
  labels.asc = LabelSet({"bus", "park"}, "test");
  labels.tag = LabelSet({"Bark", "Run", "Yell"}, "test");
  labels.sed = LabelSet({"dog", "phone"}, "test");
  RecordingResult result{.file = "in/a.wav",
                         .seconds = 0.35,
                         .scene = {0.25F, 0.75F},
                         .tags = {0.1F, 0.9F, 0.5F},
                         .frames = {0.1F, 0.9F, 0.2F, 0.8F, 0.6F, 0.7F, 0.5F, 0.1F}};
  result.events = std::vector<LabelledEvent>{{0, 0.3, "phone", 0.8}, {0.2, 0.3, "dog", 0.6}};
  const auto write = [&](OutputFormat format, const std::string& name) {
    const auto writer = make_writer(format, {.path = folder / name, .labels = labels, .top_tags = 2});
    writer->add(result);
    writer->add_failure("bad.wav", "why");
    writer->finish();
    return folder / name;
  };
  const auto events_of = [&](OutputFormat format, const std::string& name) {
    const EventInput in = read_events({write(format, name)}, EventFormat::kAuto, labels.sed);
    REQUIRE(in.recordings.size() == 1);
    CHECK(recording_key(in.recordings[0].name) == "a");
    return in.recordings[0].events;
  };
  CHECK(events_of(OutputFormat::kEvents, "e.tsv") == *result.events);
  CHECK(events_of(OutputFormat::kJsonLines, "e.jsonl") == *result.events);
  CHECK(events_of(OutputFormat::kAudacity, "audacity") == *result.events);
  CHECK(events_of(OutputFormat::kRaven, "raven") == *result.events);
  const auto frames = events_of(OutputFormat::kDcaseSed, "frames");
  REQUIRE(frames.size() == 2);
  CHECK(frames[0].label == "dog");
  const EventInput scores = read_events({write(OutputFormat::kScores, "scores")}, EventFormat::kAuto, labels.sed);
  CHECK(scores.classes == labels.sed.names());
  CHECK(scores.score_files.at(0).name == "a");
  CHECK(read_clips(Task::kAsc, {write(OutputFormat::kDcaseAsc, "s.tsv")}).rows.at(0).scores ==
        std::vector<double>{0.25, 0.75});
  const ClipTable tags = read_clips(Task::kTag, {write(OutputFormat::kDcaseTag, "t.csv")});
  CHECK(tags.rows.at(0).scores == std::vector<double>{0.1, 0.9, 0.5});
  CHECK(read_clips(Task::kTag, {folder / "e.jsonl"}).rows.at(0).scores == tags.rows.at(0).scores);  // all, not the top
  const auto json = nlohmann::json::parse(read_file(write(OutputFormat::kJson, "j.json")));
  CHECK(json.at(0)["tags"].size() == 2);
  CHECK(json.at(1)["error"] == "why");
  CHECK_THAT(read_file(write(OutputFormat::kCsv, "c.csv")),
             Catch::StartsWith("file,kind,label,probability,onset,offset\nin/a.wav,scene,park,0.75,0.000,0.350\n"));
  for (const OutputFormat format : {OutputFormat::kScores, OutputFormat::kRaven}) {
    CHECK(has_folder(format));
    CHECK_THROWS_AS(make_writer(format, {.path = "-", .labels = labels}), Error);
  }
}

}  // namespace dcase
