#pragma once
/// A child process that is asked and answers line by line.

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace dcase::bench {

/// Killed and waited for at the end of the scope. One thread at a time.
class Child {
 public:
  /// Starts `command`, its environment being this process' with `environment` in addition; its errors go to this
  /// process' error stream, or nowhere with `quiet`. Throws Error(kIo).
  Child(const std::vector<std::string>& command, const std::map<std::string, std::string>& environment, bool quiet);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void write_line(const std::string& line) const;
  /// The next line of its output. Throws Error(kIo) where it ends or says nothing for `seconds`.
  [[nodiscard]] std::string read_line(int seconds);

 private:
  pid_t process_ = -1;
  int to_ = -1;
  int from_ = -1;
  std::string pending_;
};

}  // namespace dcase::bench
