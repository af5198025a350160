#pragma once
/// The public face of the library: load a model, run it on sound, hand its weights to other programs.
///
/// Errors are thrown as dcase::Error (kernels/common/error.hpp); nothing prints, exits or aborts. A Model that is not
/// being trained is immutable and may be shared by any number of Sessions and threads.

#include "dcasenet/labels.hpp"
#include "dcasenet/model.hpp"
#include "dcasenet/onnx/export.hpp"
#include "dcasenet/session.hpp"
#include "dcasenet/task.hpp"
#include "dcasenet/version.hpp"
#include "dcasenet/weights/weights.hpp"
