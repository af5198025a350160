#include "train/verify/verify_ops.hpp"

#include "train/verify/verify_kinds.hpp"

namespace dcase::detail {

namespace {

struct Family {
  const char* pattern;  // of group names; the first that fits decides
  void (*check)(const OpsCheck& c);
};

constexpr Family kFamilies[] = {
    {"conv2d_*", check_conv2d},     {"conv1d_*", check_conv1d}, {"bn*", check_batchnorm},
    {"avgpool_*", check_avg_pool},  {"bigru*", check_gru},      {"seres*", check_residual_block},
    {"se?d", check_squeeze_excite}, {"linear", check_linear},   {"mixup", check_mixup},
    {"*bce*", check_loss},          {"*ce", check_loss},        {"adam*", check_adam},
    {"coswr", check_schedule},
};

}  // namespace

void verify_ops(Checker& checker, const BackendPtr& backend) {
  for (const std::string& group : groups_of(checker.file())) {
    for (const Family& family : kFamilies) {
      if (!fits(family.pattern, group)) continue;
      family.check({checker, backend, group});
      break;
    }
  }
}

}  // namespace dcase::detail
