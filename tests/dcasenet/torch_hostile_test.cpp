/// Files that mean harm, or are damaged: each ends in an Error that names the file, whatever its bytes.

#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "dcasenet/weights/weights.hpp"
#include "engine/files.hpp"
#include "kernels/common/error.hpp"
#include "kernels/common/philox.hpp"
#include "tests/support/test.hpp"

namespace dcase {
namespace {

using namespace std::string_literals;
using test::TemporaryFolder;

template <class T>
std::string le(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

std::string text(const std::string& value) { return "X" + le(static_cast<std::uint32_t>(value.size())) + value; }
std::string integer(std::int64_t value) { return "\x8a\x08" + le(value); }
std::string global(const std::string& module, const std::string& name) { return "c" + module + "\n" + name + "\n"; }

/// A tensor of a storage of `count` floats called `key`.
std::string tensor(std::int64_t count, std::int64_t offset, const std::string& shape, const std::string& strides,
                   const std::string& key = "0", const std::string& type = "FloatStorage") {
  return global("torch._utils", "_rebuild_tensor_v2") + "((" + text("storage") + global("torch", type) + text(key) +
         text("cpu") + integer(count) + "tQ" + integer(offset) + "(" + shape + "t(" + strides + "t\x89" +
         global("collections", "OrderedDict") + ")RtR";
}
std::string vector(std::int64_t count) { return tensor(count, 0, integer(count), integer(1)); }
std::string dict(const std::string& name, const std::string& value) { return "}" + text(name) + value + "s"; }

/// The old container around the pickle of an object, with one storage of four floats.
std::string stream(const std::string& object, const std::string& keys = "]" + text("0") + "a",
                   const std::string& storages = le(std::int64_t{4}) + std::string(16, '\1')) {
  const std::string magic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
  return magic + "\x80\x02M\xe9\x03." + "\x80\x02}" + text("little_endian") + "\x88s." + "\x80\x02" + object + "." +
         "\x80\x02" + keys + "." + storages;
}

struct Entry {
  std::string name, data;
  std::uint16_t method = 0;
  std::uint32_t size = 0;    // 0: that of the data
  std::int64_t shared = -1;  // uses the bytes of an earlier entry
};

std::uint32_t crc32(const std::string& data) {
  std::uint32_t crc = ~0U;
  for (const char c : data) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xEDB88320U : 0U);
  }
  return ~crc;
}

std::string zip(const std::vector<Entry>& entries) {
  std::string body;
  std::string directory;
  std::vector<std::uint32_t> places;
  for (const Entry& e : entries) {
    const std::uint32_t stored = static_cast<std::uint32_t>(e.data.size());
    const std::string common = le(std::uint16_t{20}) + le(std::uint16_t{0}) + le(e.method) + le(std::uint16_t{0}) +
                               le(std::uint16_t{0x21}) + le(crc32(e.data)) + le(stored) +
                               le(e.size > 0 ? e.size : stored) + le(static_cast<std::uint16_t>(e.name.size())) +
                               le(std::uint16_t{0});
    if (e.shared >= 0) {
      places.push_back(places[static_cast<std::size_t>(e.shared)]);
    } else {
      places.push_back(static_cast<std::uint32_t>(body.size()));
      body += "PK\3\4" + common + e.name + e.data;
    }
    directory += "PK\1\2" + le(std::uint16_t{20}) + common + std::string(6, '\0') + le(std::uint32_t{0}) +
                 le(places.back()) + e.name;
  }
  const auto count = static_cast<std::uint16_t>(entries.size());
  return body + directory + "PK\5\6" + std::string(4, '\0') + le(count) + le(count) +
         le(static_cast<std::uint32_t>(directory.size())) + le(static_cast<std::uint32_t>(body.size())) +
         le(std::uint16_t{0});
}

/// What `open_weights` says about these bytes: "" when it takes them.
std::string verdict(const TemporaryFolder& folder, const std::string& bytes) {
  const std::string path = folder / "case.pt";
  std::ofstream(path, std::ios::binary) << bytes;
  try {
    static_cast<void>(open_weights(path));
  } catch (const Error& error) {
    CHECK((error.kind() == ErrorKind::kData || error.kind() == ErrorKind::kIo));
    CHECK_THAT(error.what(), Catch::Contains("case.pt"));
    return error.what();
  }
  return "";
}

std::string golden_file(const std::string& name) { return read_file(test::golden("pt/" + name + ".pt")); }

}  // namespace

TEST_CASE("hostile torch files: nothing but the rebuilding of tensors can be asked for", "[torch]") {
  const TemporaryFolder folder;
  CHECK(verdict(folder, stream(dict("w", vector(4)))).empty());  // the builders of this test are right
  for (const auto& [module, name] :
       std::vector<std::pair<std::string, std::string>>{{"os", "system"},
                                                        {"posix", "system"},
                                                        {"builtins", "eval"},
                                                        {"__builtin__", "getattr"},
                                                        {"torch", "load"},
                                                        {"torch._utils", "_rebuild_tensor"},
                                                        {"collections", "OrderedDict\r"}}) {
    const std::string attack = global(module, name) + text("touch /tmp/owned") + "\x85R";
    CHECK_THAT(verdict(folder, stream(attack)), Catch::Contains("the file asks for '" + module));
    CHECK_THAT(verdict(folder, stream(text(module) + text(name) + "\x93" + text("x") + "\x85R")),
               Catch::Contains("the file asks for"));
  }
  // Instructions that build objects, or call things, in other ways.
  for (const std::string& code :
       {"ios\nsystem\n"s, "(cos\nsystem\no"s, "\x81"s, "\x92"s, "\x82\x01"s, "Pfile\n"s, "2"s, "\x97"s}) {
    CHECK_THAT(verdict(folder, stream(code)), Catch::Contains("case.pt"));
  }
  CHECK_THAT(verdict(folder, stream(global("torch", "FloatStorage") + ")R")), Catch::Contains("called as a function"));
}

TEST_CASE("hostile torch files: sizes are checked before anything is allocated", "[torch]") {
  const TemporaryFolder folder;
  const std::int64_t huge = std::int64_t{1} << 62;
  const auto refused = [&](const std::string& object, const std::string& why) {
    INFO(why);
    CHECK_THAT(verdict(folder, stream(object)), Catch::Contains(why));
  };
  refused(dict("w", tensor(4, 0, integer(5), integer(1))), "leaves its storage");
  refused(dict("w", tensor(4, 1, integer(4), integer(1))), "leaves its storage");
  refused(dict("w", tensor(4, 0, integer(2) + integer(2), integer(4) + integer(1))), "leaves its storage");
  refused(dict("w", tensor(4, -1, integer(1), integer(1))), "leaves its storage");
  refused(dict("w", tensor(4, 3, integer(2), integer(-1))), "leaves its storage");
  refused(dict("w", tensor(4, 0, integer(-1), integer(1))), "leaves its storage");
  refused(dict("w", tensor(4, 0, integer(huge) + integer(huge), integer(0) + integer(0))), "leaves its storage");
  refused(dict("w", tensor(4, 0, integer(3), integer(huge))), "leaves its storage");
  refused(dict("w", tensor(4, 0, integer(huge), integer(0))), "times as large as the file");
  refused(dict("w", tensor(4, 0, integer(4) + integer(1), integer(1))), "strides");
  refused(dict("w", vector(huge)), "a storage of");
  refused(dict("w", vector(-4)), "a storage of");
  refused(dict("w", vector(1000)), "the pickle states 1000");
  refused("X" + le(~std::uint32_t{0}) + "abc", "ends too soon");
  refused(dict("w", tensor(4, 0, "\x8a\xff" + std::string(255, '\1'), integer(1))), "of another type");
  refused("(" + text("storage") + global("torch", "FloatStorage") + text("../../etc/passwd") + text("cpu") +
              integer(4) + "tQ",
          "a storage is called");
  std::string axes;
  for (int i = 0; i < 17; ++i) axes += integer(1);
  refused(dict("w", tensor(4, 0, axes, axes)), "17 axes");
  // Half a million instructions; a copy of many entries again and again.
  refused(std::string(std::size_t{1} << 19, 'N'), "more than 524288 instructions");
  std::string pairs = "](";
  for (int i = 0; i < 1000; ++i) pairs += text("k") + "N\x86";
  std::string copies = pairs + "eq\0"s + "0";
  for (int i = 0; i < 1000; ++i) copies += global("collections", "OrderedDict") + "h\0"s + "\x85R0";
  refused(copies + "N", "entries");
}

TEST_CASE("hostile torch files: containers that hold themselves, and stacks that do not match", "[torch]") {
  const TemporaryFolder folder;
  CHECK_THAT(verdict(folder, stream("]q\0"s + "h\0"s + "a", "]", "")), Catch::Contains("no dictionary of tensors"));
  CHECK_THAT(verdict(folder, stream("}q\0"s + text("self") + "h\0"s + "s", "]", "")), Catch::Contains("no dictionary"));
  // Lists of lists of lists, each twice the one before: 2^40 paths.
  std::string doubling = "]q\0"s;
  for (int i = 1; i <= 40; ++i) {
    doubling += "](h"s + static_cast<char>(i - 1) + "h" + static_cast<char>(i - 1) + "eq" + static_cast<char>(i);
  }
  for (int i = 0; i < 40; ++i) doubling += "\x86";
  CHECK_THAT(verdict(folder, stream(doubling, "]", "")), Catch::Contains("no dictionary"));
  for (const std::string& code : {""s, "0"s, "R"s, "("s, "t"s, "N\x86"s, "Na"s, "}Ns"s, "](Nu"s, "h\7"s, "NN"s, "}Nb"s,
                                  "N}b"s, ")Q"s, "NQ"s, "(NNNNNtQ"s, "\x80\x09N"s, "}(Nu"s}) {
    INFO(code);
    CHECK_THAT(verdict(folder, stream(code)), Catch::Contains("damaged"));
  }
}

TEST_CASE("hostile torch files: names of tensors", "[torch]") {
  const TemporaryFolder folder;
  const auto twice = "}(" + text("w") + vector(4) + text("w") + vector(4) + "u";
  CHECK_THAT(verdict(folder, stream(twice)), Catch::Contains("'w' appears twice"));
  for (const std::string& name : {""s, "a\nb"s, "\xff"s, "__metadata__"s, std::string(257, 'n')}) {
    CHECK_THAT(verdict(folder, stream(dict(name, vector(4)))), Catch::Contains("a tensor is called"));
  }
  // An OrderedDict as Python 2 pickled it is no attack.
  CHECK(verdict(folder, stream(global("collections", "OrderedDict") + "]](" + text("w") + vector(4) + "ea\x85R"))
            .empty());
}

TEST_CASE("hostile torch files: the storages of the old container", "[torch]") {
  const TemporaryFolder folder;
  const std::string good = dict("w", vector(4));
  const std::string key = "]" + text("0") + "a";
  const std::string four = le(std::int64_t{4}) + std::string(16, '\1');
  CHECK_THAT(verdict(folder, stream(good, "]", "")), Catch::Contains("storage 0 is missing"));
  CHECK_THAT(verdict(folder, stream(good, "](" + text("0") + text("0") + "e", four + four)), Catch::Contains("twice"));
  CHECK_THAT(verdict(folder, stream(good, "]" + text("1") + "a", four)), Catch::Contains("belongs to no tensor"));
  CHECK_THAT(verdict(folder, stream(good, key, le(std::int64_t{5}) + std::string(20, '\1'))),
             Catch::Contains("5 elements"));
  CHECK_THAT(verdict(folder, stream(good, key, four + "x")), Catch::Contains("1 bytes follow"));
  CHECK_THAT(verdict(folder, stream(good, key, four.substr(0, 20))), Catch::Contains("cut short"));
  const auto both = "}(" + text("v") + vector(4) + text("w") + tensor(2, 0, integer(2), integer(1)) + "u";
  CHECK_THAT(verdict(folder, stream(both)), Catch::Contains("two sizes"));
}

TEST_CASE("hostile torch files: the zip container", "[torch]") {
  const TemporaryFolder folder;
  const std::string pickle = "\x80\x02" + dict("w", vector(4)) + ".";
  const std::string data(16, '\1');
  const Entry p{.name = "a/data.pkl", .data = pickle};
  const Entry d{.name = "a/data/0", .data = data};
  CHECK(verdict(folder, zip({p, d})).empty());
  CHECK(verdict(folder, zip({p, d, {.name = "../../etc/passwd", .data = "x"}})).empty());  // nothing asks for it
  CHECK_THAT(verdict(folder, zip({p, d, d})), Catch::Contains("case.pt"));
  CHECK_THAT(verdict(folder, zip({d})), Catch::Contains("without data.pkl"));
  CHECK_THAT(verdict(folder, zip({p, {.name = "b/data.pkl", .data = pickle}, d})), Catch::Contains("two pickles"));
  CHECK_THAT(verdict(folder, zip({p})), Catch::Contains("no entry 'a/data/0'"));
  CHECK_THAT(verdict(folder, zip({p, {.name = "a/data/0", .data = data + "x"}})), Catch::Contains("17 bytes"));
  CHECK_THAT(verdict(folder, zip({p, d, {.name = "a/byteorder", .data = "big"}})), Catch::Contains("big-endian"));
  // A bomb: compressed, with a size that no memory holds; and one of shared bytes.
  CHECK_THAT(verdict(folder, zip({p, {.name = "a/data/0", .data = data, .method = 8, .size = 0xFFFFFFF0U}})),
             Catch::Contains("case.pt"));
  std::vector<Entry> shared{p, d, {.name = "a/data/1", .data = std::string(4096, 'x')}};
  for (int i = 2; i < 100; ++i) shared.push_back({.name = concat("a/data/", i), .data = shared[2].data, .shared = 2});
  CHECK_THAT(verdict(folder, zip(shared)), Catch::Contains("case.pt"));
  std::string flipped = zip({p, d});
  flipped[flipped.find(data)] = '\2';
  CHECK_THAT(verdict(folder, flipped), Catch::Contains("damaged"));
}

TEST_CASE("hostile torch files: cut short at every byte", "[torch]") {
  const TemporaryFolder folder;
  const std::string path = folder / "case.pt";
  for (const char* name : {"types", "types_stream", "views_stream", "nested_stream"}) {
    std::filesystem::copy_file(test::golden(concat("pt/", name, ".pt")), path,
                               std::filesystem::copy_options::overwrite_existing);
    CHECK_NOTHROW(open_weights(path));
    for (std::uintmax_t size = std::filesystem::file_size(path); size-- > 0;) {
      std::filesystem::resize_file(path, size);  // quicker than writing it anew
      CHECK_THROWS_AS(open_weights(path), Error);
    }
  }
}

TEST_CASE("hostile torch files: changed bytes end in an error or in tensors, never in a crash", "[torch]") {
  const TemporaryFolder folder;
  std::uint64_t draw = 0;
  const auto random = [&](std::size_t below) {
    return static_cast<std::size_t>(philox(RandomKey{}, draw++)[0]) % below;
  };
  std::size_t refused = 0;
  for (const char* name : {"types", "types_stream", "views", "nested_stream", "protocol4", "two"}) {
    const std::string whole = golden_file(name);
    for (int round = 0; round < 500; ++round) {
      std::string bytes = whole;
      for (std::size_t change = random(4) + 1; change > 0; --change) {
        const std::size_t at = random(bytes.size());
        switch (random(4)) {
          case 0:
            bytes[at] = static_cast<char>(random(256));
            break;
          case 1:
            bytes[at] = static_cast<char>(bytes[at] ^ static_cast<char>(1U << random(8)));
            break;
          case 2:
            bytes.insert(at, 1 + random(8), static_cast<char>(random(256)));
            break;
          default:
            bytes.erase(at, 1 + random(8));
        }
        if (bytes.empty()) break;
      }
      refused += verdict(folder, bytes).empty() ? 0 : 1;
    }
  }
  CHECK(refused > 500);  // the changes reach what is checked
}

}  // namespace dcase
