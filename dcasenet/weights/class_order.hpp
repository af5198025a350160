#pragma once
/// The order of a model's scene classes. A state_dict holds numbers alone: which output is which scene was decided by
/// the program that trained it, and PyTorch files do not say.

#include "dcasenet/model.hpp"

namespace dcase {

/// Output i of the scene classifier is class stored[i]. Where these are the built-in scenes in another order, the
/// classifier's rows are moved into the built-in order, so that the model fits the data sets as this project reads
/// them; other lists are taken as they are. Returns whether rows were moved. Throws Error(kData) naming `origin` (the
/// file of the list) where the model has another number of scenes.
bool set_scene_classes(Model& model, const LabelSet& stored, const std::string& origin);

}  // namespace dcase
