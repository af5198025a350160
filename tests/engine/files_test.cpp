#include "engine/files.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <stdexcept>

#include "kernels/common/error.hpp"
#include "tests/support/test.hpp"

namespace dcase {

namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;

std::size_t files_in(const std::string& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

/// Runs `body` in a child process and returns its exit status, or 100 + signal.
template <class Body>
int in_child(Body body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int status = 99;
    try {
      status = body();
    } catch (...) {  // the exit status says that it came here
    }
    _exit(status);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

}  // namespace

TEST_CASE("files: a file is created, replaced, and nothing else is left in the folder", "[files]") {
  const TemporaryFolder folder;
  atomic_write(folder / "a", "one");
  CHECK(read_file(folder / "a") == "one");
  atomic_write(folder / "a", "");
  CHECK(read_file(folder / "a").empty());
  atomic_write(folder / std::string(255, 'n'), "longest name");
  CHECK(files_in(folder.path()) == 2);
}

TEST_CASE("files: a failing callback leaves the old file and no temporary one", "[files]") {
  const TemporaryFolder folder;
  atomic_write(folder / "a", "old");
  CHECK_THROWS_AS(atomic_write(folder / "a",
                               [](OutputFile& out) {
                                 out.write("half of the n");
                                 throw std::runtime_error("no more");
                               }),
                  std::runtime_error);
  CHECK(read_file(folder / "a") == "old");
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("files: a full disk is an error that says so", "[files]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(atomic_write("/dev/full", "x"), Catch::Contains("/dev/full") && Catch::Contains("No space left"));
  // A limit on the file size acts in the middle of the writing, as a disk that fills up does.
  atomic_write(folder / "a", "old");
  const int status = in_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{.rlim_cur = 4096, .rlim_max = 4096};
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    try {
      atomic_write(folder / "a", std::string(10'000, 'x'));
    } catch (const Error& error) {
      return error.kind() == ErrorKind::kIo && std::string(error.what()).find("/a'") != std::string::npos ? 0 : 2;
    }
    return 3;
  });
  CHECK(status == 0);
  CHECK(read_file(folder / "a") == "old");
  CHECK(files_in(folder.path()) == 1);
}

TEST_CASE("files: folders that are missing, no folders or not writable", "[files]") {
  const TemporaryFolder folder;
  const auto kind_of = [](const std::string& path) {
    try {
      atomic_write(path, "x");
    } catch (const Error& error) {
      return error.kind() == ErrorKind::kIo ? 0 : 2;
    }
    return 1;
  };
  CHECK(kind_of(folder / "absent/a") == 0);
  CHECK(kind_of(folder.path()) == 0);  // a folder itself
  atomic_write(folder / "file", "x");
  CHECK(kind_of(folder / "file/a") == 0);
  fs::permissions(folder.path(), fs::perms(0755));  // the child below may enter it
  fs::create_directory(folder / "locked");
  fs::permissions(folder / "locked", fs::perms::owner_read | fs::perms::owner_exec);
  const int status = in_child([&] {
    if (geteuid() == 0 && setuid(65534) != 0) return 3;  // permissions do not bind root
    return kind_of(folder / "locked/a");
  });
  CHECK(status == 0);
}

TEST_CASE("files: a link stays a link, a relative path works, a pipe is written directly", "[files]") {
  const TemporaryFolder folder;
  atomic_write(folder / "target", "old");
  fs::create_symlink("target", folder / "link");
  atomic_write(folder / "link", "new");
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(read_file(folder / "target") == "new");
  fs::create_symlink("nowhere", folder / "dangling");
  CHECK_THROWS_AS(atomic_write(folder / "dangling", "x"), Error);

  const int status = in_child([&] {
    fs::current_path(folder.path());
    atomic_write("relative", "here");
    return read_file("relative") == "here" ? 0 : 1;
  });
  CHECK(status == 0);

  REQUIRE(mkfifo((folder / "pipe").c_str(), 0600) == 0);
  std::FILE* reader = std::fopen((folder / "pipe").c_str(), "r+");  // r+ does not wait for a writer
  REQUIRE(reader != nullptr);
  atomic_write(folder / "pipe", "through");
  char text[8] = {};
  CHECK(std::fread(text, 1, 7, reader) == 7);
  CHECK(std::string(text) == "through");
  std::fclose(reader);
  CHECK_THROWS_WITH(InputFile::open(folder / "pipe"), Catch::Contains("not a regular file"));
}

TEST_CASE("files: reading says what is wrong", "[files]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(InputFile::open(folder / "absent"), Catch::Contains("absent") && Catch::Contains("No such file"));
  CHECK_THROWS_WITH(InputFile::open(folder.path()), Catch::Contains("not a regular file"));
  atomic_write(folder / "a", "0123456789");
  CHECK_THROWS_AS(read_file(folder / "a", 9), Error);
  const InputFile file = InputFile::open(folder / "a");
  std::string text(4, ' ');
  file.read(3, std::as_writable_bytes(std::span(text.data(), text.size())));
  CHECK(text == "3456");
  CHECK_THROWS_WITH(file.read(8, std::as_writable_bytes(std::span(text.data(), text.size()))),
                    Catch::Contains("ends at byte 10"));
}

}  // namespace dcase
