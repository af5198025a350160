#include "train/cli/evaluation_report.hpp"

#include <fmt/format.h>

#include "train/report/metrics_report.hpp"

namespace dcase::cli {

std::string evaluation_text(const Evaluation& e, bool reference) {
  std::string text =
      fmt::format("== {}: {} recordings of the {} part ==\n", task_name(e.task), e.items, split_name(e.split));
  if (e.asc) text += report_text(*e.asc);
  if (e.tag) text += report_text(*e.tag);
  if (e.segments && reference) text += report_text(*e.reference);
  if (e.segments && !reference) text += report_text(*e.segments) + "\n" + report_text(*e.events);
  if (!e.psds.empty() && !reference) text += "\n" + report_text(e.psds);
  return text;
}

std::string evaluation_line(const Evaluation& e) {
  if (e.asc) {
    return fmt::format("asc accuracy {:.1f} % (uniform chance {:.1f} %, best constant {:.1f} %)",
                       e.asc->overall.accuracy, e.asc->uniform_accuracy, e.asc->constant_accuracy);
  }
  if (e.tag) return fmt::format("tag lwlrap {:.3f} (by frequency {:.3f})", e.tag->lwlrap, e.tag->prior_lwlrap);
  return fmt::format("sed segment F1 {:.3f} (everything on {:.3f}), ER {:.3f}", e.segments->scores.f1,
                     e.segments->everything_on_f1, e.segments->scores.error_rate);
}

}  // namespace dcase::cli
