#include "train/verify/verify.hpp"

#include <algorithm>

#include "dcasenet/labels.hpp"
#include "kernels/common/error.hpp"
#include "train/verify/verify_kinds.hpp"

namespace dcase {

namespace detail {

std::vector<std::string> groups_of(const Archive& file) {
  std::vector<std::string> groups;
  for (const TensorInfo& tensor : file.tensors()) groups.push_back(tensor.name.substr(0, tensor.name.find('.')));
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  return groups;
}

}  // namespace detail

ReferenceKind reference_kind(const Archive& file) {
  const std::vector<std::string> groups = detail::groups_of(file);
  const auto has = [&](const char* pattern) {
    return std::any_of(groups.begin(), groups.end(), [&](const std::string& group) { return fits(pattern, group); });
  };
  if (has("state0") || has("paramsum")) return ReferenceKind::kModel;
  if (has("init")) return ReferenceKind::kInitStats;
  if (has("x_ASC")) return ReferenceKind::kJointBatch;
  const auto ends = [&](const char* pattern) {
    return std::any_of(file.tensors().begin(), file.tensors().end(),
                       [&](const TensorInfo& tensor) { return fits(pattern, tensor.name); });
  };
  if (has("fb64") || ends("*.pcm16")) return ReferenceKind::kMel;
  if (has("tag") || has("asc") || has("sed*")) return ReferenceKind::kMetrics;
  if (has("conv?d_*") || has("bn?d*") || has("avgpool_*") || has("bigru*") || has("se*?d*") || has("linear") ||
      has("*bce*") || has("*ce") || has("mixup*") || has("adam*") || has("coswr")) {
    return ReferenceKind::kOps;
  }
  fail(ErrorKind::kData, "'", file.path(), "' is not a reference file: none of its ", file.tensors().size(),
       " tensors has a known name");
}

namespace {

/// Names go into the report as they are.
void check_names(const Archive& file) {
  constexpr std::size_t kLongest = 120;
  for (const TensorInfo& tensor : file.tensors()) {
    const bool plain = std::all_of(tensor.name.begin(), tensor.name.end(), [](char c) { return c > ' ' && c <= '~'; });
    if (!plain || tensor.name.size() > kLongest) {
      fail(ErrorKind::kData, "'", file.path(), "' is not a reference file: there is a tensor called ",
           in_quotes(tensor.name));
    }
  }
}

}  // namespace

VerifyReport verify_file(const std::string& path, const BackendPtr& backend, const VerifyOptions& options) {
  const Archive file = Archive::open(path);
  check_names(file);
  const ReferenceKind kind = reference_kind(file);
  Checker checker(file, kind, backend->context().precision);
  switch (kind) {
    case ReferenceKind::kOps:
      detail::verify_ops(checker, backend);
      break;
    case ReferenceKind::kMel:
      detail::verify_mel(checker, backend);
      break;
    case ReferenceKind::kMetrics:
      detail::verify_metrics(checker);
      break;
    case ReferenceKind::kInitStats:
      detail::verify_init(checker, backend);
      break;
    case ReferenceKind::kJointBatch:
      detail::verify_joint_batch(checker);
      break;
    case ReferenceKind::kModel:
      detail::verify_model(checker, backend, options);
      break;
  }
  return checker.finish();
}

}  // namespace dcase
