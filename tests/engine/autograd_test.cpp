#include "engine/autograd.hpp"

#include "tests/support/test.hpp"

namespace dcase {
namespace {

// y = a * x, elementwise, with a constant factor.
Variable scaled(const Variable& x, float a, int* runs = nullptr) {
  Tensor y = x.value().like();
  for (std::int64_t i = 0; i < y.size(); ++i) y.data()[i] = a * x.value().data()[i];
  return record("scaled", y, {x}, [a, runs](Grads& g) {
    if (runs != nullptr) ++*runs;
    const Gradient dx = g.in(0);
    for (std::int64_t i = 0; i < dx.view.size(); ++i) {
      dx.view[i] = (dx.mode == GradMode::kAdd ? dx.view[i] : 0) + a * g.out().data()[i];
    }
  });
}

// y = u * v, elementwise; u and v may be the same variable.
Variable product(const Variable& u, const Variable& v) {
  Tensor y = u.value().like();
  for (std::int64_t i = 0; i < y.size(); ++i) y.data()[i] = u.value().data()[i] * v.value().data()[i];
  return record("product", y, {u, v}, [a = u.value(), b = v.value()](Grads& g) {
    for (const std::size_t input : {0U, 1U}) {
      const Gradient dx = g.in(input);
      const Tensor& other = input == 0 ? b : a;
      for (std::int64_t i = 0; i < dx.view.size(); ++i) {
        dx.view[i] = (dx.mode == GradMode::kAdd ? dx.view[i] : 0) + other.data()[i] * g.out().data()[i];
      }
    }
  });
}

}  // namespace

TEST_CASE("autograd: gradients of shared subexpressions add up, each closure runs once", "[autograd]") {
  const BackendPtr cpu = Backend::cpu();
  const Variable x = Variable::leaf(Tensor::from({1}, {3}, cpu));
  int runs = 0;
  const Variable t = scaled(x, 2, &runs);        // t = 2x
  const Variable y = product(product(t, t), x);  // y = 4x^3, dy/dx = 12x^2
  CHECK(y.value().data()[0] == Approx(108));
  backward(y);
  REQUIRE(x.grad().present());
  CHECK(x.grad().data()[0] == Approx(108));
  CHECK(runs == 1);
}

TEST_CASE("autograd: backward accumulates over losses and reset_grad forgets", "[autograd]") {
  const BackendPtr cpu = Backend::cpu();
  const Tensor place = Tensor::filled({1}, 99, cpu);
  const Variable x = Variable::leaf(Tensor::from({1}, {3}, cpu), place);
  CHECK_FALSE(x.grad().present());
  backward(scaled(x, 2), 0.5F);
  CHECK(place.data()[0] == 1);
  backward(scaled(x, 5));
  CHECK(place.data()[0] == 6);
  x.reset_grad();
  CHECK_FALSE(x.grad().present());
  backward(scaled(x, 7));
  CHECK(place.data()[0] == 7);
}

TEST_CASE("autograd: constants record nothing and get no gradient", "[autograd]") {
  const BackendPtr cpu = Backend::cpu();
  const Variable c(Tensor::from({1}, {2}, cpu));
  CHECK_FALSE(scaled(c, 3).requires_grad());
  const Variable x = Variable::leaf(Tensor::from({1}, {5}, cpu));
  const Variable y = product(x, c);
  CHECK(y.requires_grad());
  backward(y);
  CHECK(x.grad().data()[0] == 2);
}

TEST_CASE("autograd: the graph frees its memory as it goes", "[autograd]") {
  const BackendPtr cpu = Backend::cpu();
  const Variable x = Variable::leaf(Tensor::filled({1000}, 1, cpu), Tensor({1000}, cpu));
  const auto run = [&] {
    Variable y = scaled(x, 1);
    for (int i = 0; i < 20; ++i) y = product(y, y);
    Tensor total({1}, cpu);
    total.fill(0);
    const Variable loss = record("first", total, {y}, [](Grads& g) {
      const Gradient dx = g.in(0);
      for (std::int64_t i = 0; i < dx.view.size(); ++i) dx.view[i] = g.out().data()[0];
    });
    backward(loss);
  };
  run();
  const std::size_t before = cpu->memory().bytes_in_use;
  const auto growths = cpu->memory().growths;
  run();
  CHECK(cpu->memory().bytes_in_use == before);
  CHECK(cpu->memory().growths == growths);
}

TEST_CASE("autograd: a loss of many elements is refused", "[autograd]") {
  const BackendPtr cpu = Backend::cpu();
  const Variable x = Variable::leaf(Tensor::filled({2}, 1, cpu));
  CHECK_THROWS_AS(backward(scaled(x, 1)), Error);
}

}  // namespace dcase
