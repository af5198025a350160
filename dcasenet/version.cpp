#include "dcasenet/version.hpp"

#include "dcasenet/build_info.hpp"  // made by cmake/build_info.cmake
#include "kernels/common/context.hpp"
#include "kernels/common/error.hpp"
#include "kernels/common/onednn.hpp"

namespace dcase {

std::string commit() { return kBuildCommit; }

std::string version_text() {
  return concat("dcasenet ", kVersion, " (commit ", kBuildCommit, ")\n",                                           //
                "built by ", kBuildCompiler, ", ", kBuildType, kHasCuda ? ", with CUDA" : ", without CUDA", "\n",  //
                "oneDNN ", onednn::version(), ", kernels for ", onednn::isa_name(onednn::isa()));
}

}  // namespace dcase
