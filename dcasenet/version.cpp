#include "dcasenet/version.hpp"

#include "dcasenet/build_info.hpp"  // made by cmake/build_info.cmake
#include "kernels/common/error.hpp"
#include "kernels/common/onednn.hpp"

namespace dcase {
namespace {

const char* isa_name(onednn::Isa isa) {
  switch (isa) {
    case onednn::Isa::kAvx512:
      return "AVX-512";
    case onednn::Isa::kAvx2:
      return "AVX2";
    case onednn::Isa::kGeneric:
      break;
  }
  return "generic";
}

}  // namespace

std::string commit() { return kBuildCommit; }

std::string version_text() {
  return concat("dcasenet ", kVersion, " (commit ", kBuildCommit, ")\n",            //
                "built by ", kBuildCompiler, ", ", kBuildType, ", without CUDA\n",  //
                "oneDNN ", onednn::version(), ", kernels for ", isa_name(onednn::isa()));
}

}  // namespace dcase
