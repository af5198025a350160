#pragma once
/// The folder a rendering is written to: seen complete or not at all.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "train/minidata/plan.hpp"

namespace dcase::minidata {

/// CRC-32 (IEEE 802.3) of `bytes`, continuing from `crc`.
[[nodiscard]] std::uint32_t crc32(std::string_view bytes, std::uint32_t crc = 0);

enum class FolderState : std::uint8_t {
  kFree,     // missing or empty
  kSame,     // a complete rendering with this header
  kOther,    // a rendering with another header, or a damaged one
  kForeign,  // something else
};
/// Compares OUT/RENDERED with `header` and every file with its size and checksum.
[[nodiscard]] FolderState folder_state(const std::string& out_dir, const std::string& header, MinidataReport& report);

/// Writes the plan to OUT.partial and renames it to OUT, which must be free unless `replace`. Counts files and bytes.
void write_rendering(const std::string& out_dir, const std::string& header, const Plan& plan, std::uint64_t seed,
                     bool replace, MinidataReport& report,
                     const std::function<void(const MinidataProgress&)>& progress);

}  // namespace dcase::minidata
