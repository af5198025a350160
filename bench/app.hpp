#pragma once
/// The `dcasenet-bench` program: measures the cases of bench/cases/ and writes tables, JSON and CSV.

#include <iosfwd>

namespace dcase::bench {

/// Reads the command line and runs it. The exit code is one of train/cli/exit_codes.hpp; kExitFailed where a result did
/// not match its reference, or with --check where a promise was not kept. Throws nothing.
[[nodiscard]] int run(int argc, const char* const* argv, std::ostream& out, std::ostream& err) noexcept;

}  // namespace dcase::bench
