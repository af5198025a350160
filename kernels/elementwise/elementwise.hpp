#pragma once
/// Operators of one element at a time: ReLU, sigmoid, tanh, their gradients, sums and multiples.
///
/// Views of any shape; all views of a call have the same shape. An output may be the same memory as an input (in
/// place), but may not overlap one otherwise. Thread-safe on distinct outputs; the same bits for every number of
/// threads; Error(kArgument) on shapes that differ. Activations keep y, not x, for backward: y' is a function of y.

#include "kernels/common/context.hpp"
#include "kernels/common/view.hpp"

namespace dcase {

/// y = max(x, 0); NaN stays NaN
template <class Real>
struct ReluForward {
  View<const Real> x;
  View<Real> y;  // overwritten
};

/// dx = y > 0 ? dy : 0
template <class Real>
struct ReluBackward {
  View<const Real> y;
  View<const Real> dy;
  View<Real> dx;
  GradMode dx_mode = GradMode::kSet;
};

/// y = 1 / (1 + exp(-x))
template <class Real>
struct SigmoidForward {
  View<const Real> x;
  View<Real> y;  // overwritten
};

/// dx = dy * y * (1 - y)
template <class Real>
struct SigmoidBackward {
  View<const Real> y;
  View<const Real> dy;
  View<Real> dx;
  GradMode dx_mode = GradMode::kSet;
};

/// y = tanh(x)
template <class Real>
struct TanhForward {
  View<const Real> x;
  View<Real> y;  // overwritten
};

/// dx = dy * (1 - y * y)
template <class Real>
struct TanhBackward {
  View<const Real> y;
  View<const Real> dy;
  View<Real> dx;
  GradMode dx_mode = GradMode::kSet;
};

/// y = a + b
template <class Real>
struct Add {
  View<const Real> a;
  View<const Real> b;
  View<Real> y;  // overwritten
};

/// y = value
template <class Real>
struct Fill {
  View<Real> y;  // overwritten
  double value = 0;
};

/// y = alpha * x, or with kAdd y += alpha * x. With alpha = 1 this is how the gradient of a sum is passed on.
template <class Real>
struct Scale {
  View<const Real> x;
  double alpha = 1;
  View<Real> y;
  GradMode mode = GradMode::kSet;
};

/// y = s * x, or with kAdd y += s * x, with a factor that is in the device's memory: the gradient of a loss.
template <class Real>
struct ScaleBy {
  View<const Real> x;
  View<const Real> s;  // [1]; the only view of another shape
  View<Real> y;
  GradMode mode = GradMode::kSet;
};

/// y = x rounded to Real
template <class Real>
struct Narrow {
  View<const double> x;
  View<Real> y;  // overwritten
};

namespace cpu {
template <class Real>
void relu_forward(const ReluForward<Real>& a, const Context& context);  // float, double; so all below
template <class Real>
void relu_backward(const ReluBackward<Real>& a, const Context& context);
template <class Real>
void sigmoid_forward(const SigmoidForward<Real>& a, const Context& context);
template <class Real>
void sigmoid_backward(const SigmoidBackward<Real>& a, const Context& context);
template <class Real>
void tanh_forward(const TanhForward<Real>& a, const Context& context);
template <class Real>
void tanh_backward(const TanhBackward<Real>& a, const Context& context);
template <class Real>
void add(const Add<Real>& a, const Context& context);
template <class Real>
void scale(const Scale<Real>& a, const Context& context);
template <class Real>
void fill(const Fill<Real>& a, const Context& context);
template <class Real>
void scale_by(const ScaleBy<Real>& a, const Context& context);
template <class Real>
void narrow(const Narrow<Real>& a, const Context& context);
}  // namespace cpu

namespace cuda {
void relu_forward(const ReluForward<float>& a, const Context& context);
void relu_backward(const ReluBackward<float>& a, const Context& context);
void sigmoid_forward(const SigmoidForward<float>& a, const Context& context);
void sigmoid_backward(const SigmoidBackward<float>& a, const Context& context);
void tanh_forward(const TanhForward<float>& a, const Context& context);
void tanh_backward(const TanhBackward<float>& a, const Context& context);
void add(const Add<float>& a, const Context& context);
void scale(const Scale<float>& a, const Context& context);
void fill(const Fill<float>& a, const Context& context);
void scale_by(const ScaleBy<float>& a, const Context& context);
void narrow(const Narrow<float>& a, const Context& context);
}  // namespace cuda

/// Runs on context.device, as every operator below.
template <class Real>
void relu_forward(const ReluForward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::relu_forward(a, context);
  }
  require_cpu(context, "relu_forward");
  cpu::relu_forward(a, context);
}

template <class Real>
void relu_backward(const ReluBackward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::relu_backward(a, context);
  }
  require_cpu(context, "relu_backward");
  cpu::relu_backward(a, context);
}

template <class Real>
void sigmoid_forward(const SigmoidForward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::sigmoid_forward(a, context);
  }
  require_cpu(context, "sigmoid_forward");
  cpu::sigmoid_forward(a, context);
}

template <class Real>
void sigmoid_backward(const SigmoidBackward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::sigmoid_backward(a, context);
  }
  require_cpu(context, "sigmoid_backward");
  cpu::sigmoid_backward(a, context);
}

template <class Real>
void tanh_forward(const TanhForward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::tanh_forward(a, context);
  }
  require_cpu(context, "tanh_forward");
  cpu::tanh_forward(a, context);
}

template <class Real>
void tanh_backward(const TanhBackward<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::tanh_backward(a, context);
  }
  require_cpu(context, "tanh_backward");
  cpu::tanh_backward(a, context);
}

template <class Real>
void add(const Add<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::add(a, context);
  }
  require_cpu(context, "add");
  cpu::add(a, context);
}

template <class Real>
void scale(const Scale<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::scale(a, context);
  }
  require_cpu(context, "scale");
  cpu::scale(a, context);
}

template <class Real>
void fill(const Fill<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::fill(a, context);
  }
  require_cpu(context, "fill");
  cpu::fill(a, context);
}

template <class Real>
void scale_by(const ScaleBy<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::scale_by(a, context);
  }
  require_cpu(context, "scale_by");
  cpu::scale_by(a, context);
}

template <class Real>
void narrow(const Narrow<Real>& a, const Context& context) {
  if constexpr (kHasCudaFor<Real>) {
    if (!context.device.is_cpu()) return cuda::narrow(a, context);
  }
  require_cpu(context, "narrow");
  cpu::narrow(a, context);
}

}  // namespace dcase
