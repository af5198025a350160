#pragma once
/// Runs the built `dcasenet` program as a user would.

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "engine/files.hpp"
#include "kernels/common/error.hpp"
#include "tests/support/test.hpp"

namespace dcase::test {

struct Finished {
  int code = 0;        ///< exit status; -signal where a signal ended it
  std::string output;  ///< stdout
  std::string errors;  ///< stderr
};

/// One run of the program, or of another one. `file_limit` bounds the size of files it may write (a full disk);
/// `environment` is added to the caller's: "NAME=VALUE".
class Program {
 public:
  Program(const TemporaryFolder& folder, std::vector<std::string> arguments, std::uint64_t file_limit = 0,
          const char* program = DCASE_PROGRAM, std::vector<std::string> environment = {})
      : out_(folder / "stdout.txt"), err_(folder / "stderr.txt") {
    arguments.insert(arguments.begin(), program);
    std::vector<char*> argv;
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ == 0) {
      const auto redirect = [](const std::string& path, int descriptor) {
        dup2(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644), descriptor);
      };
      redirect(out_, 1);
      redirect(err_, 2);
      if (file_limit > 0) {
        signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{file_limit, file_limit};
        setrlimit(RLIMIT_FSIZE, &limit);
      }
      for (std::string& variable : environment) putenv(variable.data());
      execv(argv[0], argv.data());
      _exit(127);
    }
  }

  void kill_after(std::chrono::milliseconds time, int how) const {
    std::this_thread::sleep_for(time);
    ::kill(pid_, how);
  }

  [[nodiscard]] Finished wait() const {
    int status = 0;
    waitpid(pid_, &status, 0);
    return {.code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
            .output = read_file(out_),
            .errors = read_file(err_)};
  }

 private:
  std::string out_, err_;
  pid_t pid_ = -1;
};

[[nodiscard]] inline std::vector<std::string> with(std::vector<std::string> arguments,
                                                   const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

/// Arguments of a small training of all three tasks on a manifest, whose steps take a few hundredths of a second each
/// on the CPU. `settings` ("KEY=VALUE") come last and win.
[[nodiscard]] inline std::vector<std::string> small_training(const std::string& manifest, const std::string& run_folder,
                                                             const std::vector<std::string>& settings) {
  std::vector<std::string> a = {"train", "--run", run_folder, "--quiet", "--threads", "1"};
  const auto set = [&](const std::string& text) { a.insert(a.end(), {"--set", text}); };
  for (const char* task : {"asc", "tag", "sed"}) {
    set(concat("data.", task, ".root=", manifest));
    set(concat("data.", task, ".batch_size=2"));
    set(concat("data.", task, ".crop_frames=60"));
  }
  set("model.width=1/8");
  for (const std::string& setting : settings) set(setting);
  return a;
}

[[nodiscard]] inline Finished run(const TemporaryFolder& folder, const std::vector<std::string>& arguments,
                                  std::uint64_t file_limit = 0) {
  return Program(folder, arguments, file_limit).wait();
}

}  // namespace dcase::test
