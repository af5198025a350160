#pragma once
/// FSDKaggle2019 in the names of the competition (train_curated.csv, train_curated/, test/) or of the Zenodo release
/// (FSDKaggle2019.meta/train_curated_post_competition.csv, FSDKaggle2019.audio_train_curated/, ...), told apart by the
/// label files that are there. Any set in these layouts is read, with its own classes.

#include <cstdint>
#include <string>
#include <string_view>

#include "train/data/dataset.hpp"
#include "train/data/words.hpp"

namespace dcase {

/// What is reported: a fifth of the curated training table (the paper's split), or the labelled test table.
enum class TagEvaluation : std::uint8_t { kFold0, kTestPublic, kTestPrivate, kTestAll };
inline constexpr Words<TagEvaluation, 4> kTagEvaluationWords = {{{"fold0", TagEvaluation::kFold0},
                                                                 {"test-public", TagEvaluation::kTestPublic},
                                                                 {"test-private", TagEvaluation::kTestPrivate},
                                                                 {"test-all", TagEvaluation::kTestAll}}};

struct TagOptions {
  std::string root;
  LabelSet labels;  ///< of a checkpoint or configuration; empty: labels.json, header of sample_submission.csv,
                    ///< vocabulary.csv, built-in, else sorted names
  TagEvaluation evaluation = TagEvaluation::kFold0;
  bool exclude_known_bad = false;  ///< five curated clips with a wrong label and a silent one
  bool noisy = false;              ///< adds the noisy table to the training part
  Selection selection = Selection::kValidation;
  std::uint64_t seed = 0;  ///< of the validation part
};

/// Train: the curated table less the evaluated fifth (kFold0) or all of it, of which a sixth becomes validation.
/// Item: tags = the row's labels. The row numbers of the evaluated fifth are in the notes as a CRC-32.
/// Throws kIo for a missing folder, kData for anything wrong in a table; listed files that do not exist are warned of.
[[nodiscard]] Dataset read_tag(const TagOptions& options);

}  // namespace dcase
