# Run at every build (cmake -P): writes OUTPUT, a header with the commit and the compiler, only when it changes.
set(commit "unknown")
find_program(git git)
if(git AND EXISTS ${SOURCE}/.git)
  # Untracked files do not count: they are not part of what was built.
  execute_process(COMMAND ${git} -C ${SOURCE} describe --always --exclude=* --abbrev=10 --dirty
    OUTPUT_VARIABLE described OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
  if(status EQUAL 0)
    set(commit "${described}")
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT [[
#pragma once

namespace dcase {

inline constexpr const char* kBuildCommit = "@commit@";
inline constexpr const char* kBuildCompiler = "@COMPILER@";
inline constexpr const char* kBuildType = "@TYPE@";

}  // namespace dcase
]] @ONLY)
