#pragma once
/// Which statistics batch norm normalises with at evaluation.
///
/// In joint training every batch is normalised by its own statistics, those of one task's recordings. The running
/// averages of the released code are moved by the batches of all tasks in turn, so they are a mixture in which the task
/// that came last weighs most, and at evaluation no task finds what it was trained with. Three answers:
///
///   shared     that mixture: released weights, comparisons with the paper
///   pooled     one set for all tasks, in which they weigh the same; all tasks still take one pass through the trunk
///   per-task   each task is evaluated with averages of its own, as it was trained; a pass for each task
///
/// Averages of single tasks and the mixture are kept whenever the mode is not `shared`; then the common averages (those
/// of the state_dict) are derived, the pooled ones. Over the tasks t = 1..K whose batches a layer has seen:
///
///     mean     = sum_t mean_t / K
///     variance = sum_t variance_t / K + sum_t (mean_t - mean)^2 / K
///
/// the moments of a population to which each task contributes equally. A layer that one task alone passes through (the
/// scene head's) has that task's.

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "dcasenet/task.hpp"
#include "engine/parameters.hpp"

namespace dcase {

enum class BnStats : std::uint8_t { kShared, kPooled, kPerTask };

/// The modes by the words of options and files.
inline constexpr std::array<std::pair<const char*, BnStats>, 3> kBnStatsWords = {
    {{"shared", BnStats::kShared}, {"pooled", BnStats::kPooled}, {"per-task", BnStats::kPerTask}}};
/// "shared", "pooled", "per-task"
[[nodiscard]] const char* bn_stats_name(BnStats mode);

/// Pass::domain of a task.
[[nodiscard]] constexpr int domain_of(Task task) { return static_cast<int>(task); }
static_assert(kAllTasks.size() <= kDomains);

/// The common averages become the pooled ones; those of layers that no batch has passed stay.
void pool_averages(const ParameterStore& store);
/// The mixture and the tasks' own start from the common averages, the latter as if no batch had come by: what begins to
/// be kept apart begins where the common ones are.
void split_averages(const ParameterStore& store);
/// The common averages become the mixture: the way back to `shared`.
void unsplit_averages(const ParameterStore& store);
/// The common averages become a task's own. Layers that no batch of it has passed keep theirs.
void take_averages(const ParameterStore& store, Task task);
/// A task's own averages count as if no batch of it had come by.
void forget_averages(const ParameterStore& store, Task task);
/// Batches that a task's own averages have seen: the most in any layer.
[[nodiscard]] std::int64_t averaged_batches(const ParameterStore& store, Task task);

}  // namespace dcase
