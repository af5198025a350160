#pragma once
/// A network as an SVG drawing: boxes from top to bottom, data flowing down.

#include <string>
#include <vector>

#include "dcasenet/diagram.hpp"

namespace dcase {

/// The name of the network and the number of its parameters stand above, `note` below; text is escaped. Each box says
/// its name, its operations, the shape of its output and its number of parameters, and lists these when pointed at. The
/// same boxes give the same bytes.
[[nodiscard]] std::string diagram_svg(const std::vector<DiagramBox>& boxes, const std::string& network,
                                      const std::string& note);

}  // namespace dcase
