#include "engine/archive.hpp"

#include <bit>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "kernels/common/philox.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/test.hpp"

namespace dcase {

namespace {

using test::TemporaryFolder;

/// The bytes of an archive with this header and `data` bytes of data.
std::string archive_bytes(const std::string& header, std::size_t data) {
  const std::uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data, '\x3f');
}

void store(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

/// What `open` says about these bytes: "" when it takes them.
std::string verdict(const TemporaryFolder& folder, const std::string& bytes) {
  store(folder / "case.safetensors", bytes);
  try {
    static_cast<void>(Archive::open(folder / "case.safetensors"));
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kData);
    CHECK_THAT(error.what(), Catch::Contains("case.safetensors"));
    return error.what();
  }
  return "";
}

std::string verdict(const TemporaryFolder& folder, const std::string& header, std::size_t data) {
  return verdict(folder, archive_bytes(header, data));
}

ArchiveWriter sample() {
  ArchiveWriter writer;
  writer.metadata("format", "test");
  writer.metadata("note", "gr\xc3\xbc\xc3\x9f \"quoted\" \n");
  writer.add("b", {2, 3}, std::vector<float>{1, -2, 3.5F, 0, 1e-40F, std::numeric_limits<float>::infinity()});
  writer.add("a", {}, std::vector<double>{0.1});
  writer.add("empty", {0, 7}, std::vector<float>{});
  writer.add("counts", {3}, std::vector<std::int64_t>{-1, 0, std::numeric_limits<std::int64_t>::max()});
  writer.add("flags", {3}, std::vector<std::uint8_t>{0, 1, 255});
  return writer;
}

}  // namespace

TEST_CASE("archive: what is written is read back, in order", "[archive]") {
  const TemporaryFolder folder;
  const std::string path = folder / "a.safetensors";
  sample().write(path);
  const Archive archive = Archive::open(path);
  CHECK(archive.names() == std::vector<std::string>{"b", "a", "empty", "counts", "flags"});
  CHECK(archive.metadata() ==
        std::map<std::string, std::string>{{"format", "test"}, {"note", "gr\xc3\xbc\xc3\x9f \"quoted\" \n"}});
  CHECK(archive.info("b").shape == std::vector<std::int64_t>{2, 3});
  CHECK(archive.info("a").shape.empty());
  CHECK(archive.info("a").count() == 1);
  CHECK(archive.floats("b") == std::vector<float>{1, -2, 3.5F, 0, 1e-40F, std::numeric_limits<float>::infinity()});
  CHECK(archive.doubles("a") == std::vector<double>{0.1});
  CHECK(archive.floats("a") == std::vector<float>{0.1F});
  CHECK(archive.floats("empty").empty());
  CHECK(archive.integers("counts") == std::vector<std::int64_t>{-1, 0, std::numeric_limits<std::int64_t>::max()});
  CHECK(archive.doubles("flags") == std::vector<double>{0, 1, 255});
  CHECK(archive.bytes("flags").size() == 3);
  std::vector<float> into(6);
  archive.read_floats("b", into);
  CHECK(into == archive.floats("b"));
  std::vector<float> one(1);
  archive.read_floats("a", one);
  CHECK(one == std::vector<float>{0.1F});
  CHECK_NOTHROW(archive.require_shape("b", {2, 3}));

  CHECK_THROWS_AS(archive.read_floats("b", one), Error);
  CHECK_THROWS_AS(archive.require_shape("b", {3, 2}), Error);
  CHECK_THROWS_AS(archive.integers("b"), Error);
  CHECK_THROWS_WITH(archive.info("absent"), Catch::Contains("absent") && Catch::Contains("a.safetensors"));
  CHECK(archive.find("absent") == nullptr);
}

TEST_CASE("archive: the same calls give the same bytes, and data starts at a multiple of eight", "[archive]") {
  const TemporaryFolder folder;
  sample().write(folder / "1");
  sample().write(folder / "2");
  const std::string bytes = read_file(folder / "1");
  CHECK(bytes == read_file(folder / "2"));
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  CHECK(length % 8 == 0);
  CHECK(bytes.substr(8, 15) == "{\"__metadata__\"");
  CHECK(bytes.find("\"b\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}") != std::string::npos);
}

TEST_CASE("archive: an archive without tensors is one", "[archive]") {
  const TemporaryFolder folder;
  ArchiveWriter().write(folder / "none");
  CHECK(Archive::open(folder / "none").tensors().empty());
  CHECK(verdict(folder, "{}", 0).empty());
}

TEST_CASE("archive: every dtype converts", "[archive]") {
  const TemporaryFolder folder;
  const auto read = [&](const std::string& dtype, std::size_t size, const std::string& data) {
    const std::string header = concat(R"({"x":{"dtype":")", dtype, R"(","shape":[)", data.size() / size,
                                      R"(],"data_offsets":[0,)", data.size(), "]}}");
    store(folder / "d", archive_bytes(header, 0) + data);
    return Archive::open(folder / "d").doubles("x");
  };
  using V = std::vector<double>;
  CHECK(read("I32", 4, std::string("\x01\0\0\0\xff\xff\xff\xff", 8)) == V{1, -1});
  CHECK(read("I16", 2, std::string("\x00\x80\xff\x7f", 4)) == V{-32768, 32767});
  CHECK(read("I8", 1, "\x80\x7f") == V{-128, 127});
  CHECK(read("U8", 1, "\x80\x7f") == V{128, 127});
  CHECK(read("BOOL", 1, std::string("\0\x01", 2)) == V{0, 1});
  CHECK_THROWS_AS(read("BOOL", 1, "\x02"), Error);
  CHECK(read("BF16", 2, std::string("\x80\x3f\x49\xc0", 4)) == V{1, -3.140625});
  // half: 1, -2, largest 65504, smallest normal 2^-14, smallest subnormal 2^-24, -0
  const V half = read("F16", 2, std::string("\x00\x3c\x00\xc0\xff\x7b\x00\x04\x01\x00\x00\x80", 12));
  CHECK(half == V{1, -2, 65504, 0x1p-14, 0x1p-24, 0});
  CHECK(std::signbit(half[5]));
  const V special = read("F16", 2, std::string("\x00\x7c\x00\xfc\x00\x7e", 6));
  CHECK(special[0] == std::numeric_limits<double>::infinity());
  CHECK(special[1] == -std::numeric_limits<double>::infinity());
  CHECK(std::isnan(special[2]));
}

TEST_CASE("archive: a file cut at any byte is refused", "[archive]") {
  const TemporaryFolder folder;
  sample().write(folder / "whole");
  const std::string bytes = read_file(folder / "whole");
  CHECK(verdict(folder, bytes).empty());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    INFO("cut after " << size);
    CHECK_FALSE(verdict(folder, bytes.substr(0, size)).empty());
  }
  CHECK_THAT(verdict(folder, bytes + "x"), Catch::Contains("follow the last tensor"));
}

TEST_CASE("archive: a damaged header length is refused before anything is allocated", "[archive]") {
  const TemporaryFolder folder;
  std::string bytes = archive_bytes("{}", 0);
  for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{3}, std::uint64_t{1} << 63U,
                                     std::numeric_limits<std::uint64_t>::max(), std::uint64_t{100'000'001}}) {
    std::memcpy(bytes.data(), &length, 8);
    CHECK_FALSE(verdict(folder, bytes).empty());
  }
  CHECK_THAT(verdict(folder, "PK\x03\x04 this is a zip file, as it happens"),
             Catch::Contains("not a safetensors file"));
}

TEST_CASE("archive: damaged headers are refused, each with its reason", "[archive]") {
  const TemporaryFolder folder;
  const auto entry = [](const std::string& fields) { return "{\"x\":{" + fields + "}}"; };
  struct Case {
    std::string header;
    std::size_t data;
    std::string reason;
  };
  const std::string good = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";
  CHECK(verdict(folder, entry(good), 8).empty());
  CHECK(verdict(folder, entry(good) + "      ", 8).empty());  // padded
  const std::vector<Case> cases = {
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,16])"), 8, "outside"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), 8, "outside"},
      {entry(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])"), 8, "takes 12 bytes"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[8,16])"), 16, "hole"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), 9, "follow the last tensor"},
      {entry(R"("dtype":"F31","shape":[2],"data_offsets":[0,8])"), 8, "dtype 'F31'"},
      {entry(R"("dtype":7,"shape":[2],"data_offsets":[0,8])"), 8, "a number where none belongs"},
      {entry(R"("dtype":["F32"],"shape":[2],"data_offsets":[0,8])"), 8, "an array where none belongs"},
      {entry(R"("dtype":"F32","shape":2,"data_offsets":[0,8])"), 8, "a number where none belongs"},
      {entry(R"("dtype":"F32","shape":"2","data_offsets":[0,8])"), 8, "a string where none belongs"},
      {entry(R"("dtype":"F32","shape":[[2]],"data_offsets":[0,8])"), 8, "an array where none belongs"},
      {entry(R"("dtype":"F32","shape":[null],"data_offsets":[0,8])"), 8, "a null"},
      {entry(R"("dtype":"F32","shape":[true],"data_offsets":[0,8])"), 8, "a boolean"},
      {entry(R"("dtype":"F32","shape":[{}],"data_offsets":[0,8])"), 8, "an object where none belongs"},
      {entry(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"), 8, "negative"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[-8,0])"), 8, "negative"},
      {entry(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"), 8, "not an integer"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,99999999999999999999])"), 8, "not an integer"},
      {entry(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8])"), 8, "too large"},
      {entry(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"), 0, "overflows"},
      {entry(R"("dtype":"F32","shape":[0,4294967296,4294967296],"data_offsets":[0,0])"), 0, "overflows"},
      {entry(R"("dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0])"), 0, "overflows"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[0])"), 8, "not two numbers"},
      {entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])"), 8, "not two numbers"},
      {entry(R"("shape":[2],"data_offsets":[0,8])"), 8, "no dtype"},
      {entry(R"("dtype":"F32","data_offsets":[0,8])"), 8, "no shape"},
      {entry(R"("dtype":"F32","shape":[2])"), 8, "no data_offsets"},
      {entry(good + R"(,"dtype":"F32")"), 8, "appears twice"},
      {entry(good + R"(,"strides":[1])"), 8, "unknown field 'strides'"},
      {"{\"x\":{" + good + "},\"x\":{" + good + "}}", 8, "'x' appears twice"},
      {R"({"__metadata__":{"a":"1","a":"2"}})", 0, "'a' appears twice"},
      {R"({"__metadata__":{"a":1}})", 0, "a number where none belongs"},
      {R"({"__metadata__":{"a":{}}})", 0, "an object where none belongs"},
      {R"({"__metadata__":"a"})", 0, "a string where none belongs"},
      {R"({"x":[]})", 0, "an array where none belongs"},
      {"[]", 0, "not a JSON object"},
      {" {}", 0, "not a JSON object"},
      {"{} {}", 0, "not JSON"},
      {"{\"x\":", 0, "not JSON"},
      {std::string("{}\0{}", 5), 0, "not a JSON object"},
      {"{\"\xff\xfe\":{" + good + "}}", 8, "not JSON"},  // no UTF-8
      {R"({"\ud800":{)" + good + "}}", 8, "not JSON"},   // half a surrogate pair
      {std::string(200'000, '{'), 0, "not JSON"},
      {"{\"x\":" + std::string(200'000, '[') + std::string(200'000, ']') + "}", 0, "an array where none belongs"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
       6, "inside the tensor before it"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
       4, "inside the tensor before it"},
      {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
       6, "hole"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}})",
       4, "inside the tensor before it"},
  };
  for (const Case& c : cases) {
    INFO(c.header.substr(0, 150));
    CHECK_THAT(verdict(folder, c.header, c.data), Catch::Contains(c.reason));
  }
  // Empty tensors may stand at any border, and the header's order is free.
  CHECK(
      verdict(
          folder,
          R"({"b":{"dtype":"U8","shape":[4],"data_offsets":[1,5]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
          R"("c":{"dtype":"F32","shape":[0],"data_offsets":[1,1]},"d":{"dtype":"F32","shape":[2,0],"data_offsets":[5,5]}})",
          5)
          .empty());
}

TEST_CASE("archive: mutated files end in an Error or in an archive, never otherwise", "[archive]") {
  const TemporaryFolder folder;
  sample().write(folder / "whole");
  const std::string whole = read_file(folder / "whole");
  const std::string words = "{}[]\":,0123456789-.eF\\ \n\xff";
  const RandomKey key{.seed = 3, .purpose = purpose_id("mutations"), .step = 0};
  std::uint64_t at = 0;
  const auto below = [&](std::size_t n) {
    return static_cast<std::size_t>(uniform_below(key, at++, static_cast<std::uint32_t>(n)));
  };
  int refused = 0;
  const int rounds = 4000;
  for (int round = 0; round < rounds; ++round) {
    std::string bytes = whole;
    for (std::size_t n = 1 + below(4); n > 0; --n) {
      const std::size_t where = below(bytes.size());
      switch (below(4)) {
        case 0:
          bytes[where] = words[below(words.size())];
          break;
        case 1:
          bytes[where] = static_cast<char>(bytes[where] ^ (1 << below(8)));
          break;
        case 2:
          bytes.erase(where, 1 + below(12));
          break;
        default:
          bytes.insert(where, bytes.substr(below(bytes.size()), below(40)));
          break;
      }
      if (bytes.empty()) bytes = "x";
    }
    store(folder / "mutated", bytes);
    try {
      const Archive archive = Archive::open(folder / "mutated");
      for (const TensorInfo& tensor : archive.tensors()) {
        const std::vector<double> values = archive.doubles(tensor.name);
        REQUIRE(static_cast<std::int64_t>(values.size()) == tensor.count());
      }
    } catch (const Error&) {  // anything else fails the test
      ++refused;
    }
  }
  CHECK(refused > rounds / 2);
  CHECK(refused < rounds);
}

TEST_CASE("archive: the writer refuses what it could not read back", "[archive]") {
  const TemporaryFolder folder;
  ArchiveWriter writer;
  writer.add("x", {2}, std::vector<float>{1, 2});
  CHECK_THROWS_AS(writer.add("x", {1}, std::vector<float>{1}), Error);
  CHECK_THROWS_AS(writer.add("y", {2}, std::vector<float>{1}), Error);
  CHECK_THROWS_AS(writer.add("y", {-1}, std::vector<float>{1}), Error);
  CHECK_THROWS_AS(writer.add("__metadata__", {1}, std::vector<float>{1}), Error);
  CHECK_NOTHROW(writer.write(folder / "x"));
  CHECK(Archive::open(folder / "x").names() == std::vector<std::string>{"x"});
  ArchiveWriter bad;
  bad.add("\xff", {1}, std::vector<float>{1});
  CHECK_THROWS_WITH(bad.write(folder / "bad"), Catch::Contains("UTF-8"));
  CHECK_FALSE(std::filesystem::exists(folder / "bad"));
}

TEST_CASE("archive: views are written as they are", "[archive]") {
  const TemporaryFolder folder;
  test::Buffer<float> buffer({3, 5});
  buffer.fill_uniform("view");
  ArchiveWriter writer;
  writer.add("v", buffer.view());
  writer.write(folder / "v");
  const Archive archive = Archive::open(folder / "v");
  CHECK_NOTHROW(archive.require_shape("v", {3, 5}));
  const std::vector<float> values = archive.floats("v");
  for (std::int64_t i = 0; i < buffer.size(); ++i) CHECK(values[static_cast<std::size_t>(i)] == buffer[i]);
}

}  // namespace dcase
