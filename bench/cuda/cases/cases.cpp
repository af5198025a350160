#include "bench/cuda/case.hpp"

namespace dcase::bench::gpu {

std::vector<DeviceCase> device_cases(bool tiny) {
  std::vector<DeviceCase> cases;
  add_whole(cases, tiny);
  add_convolutions(cases, tiny);
  add_sequences(cases, tiny);
  add_audio(cases, tiny);
  add_light(cases, tiny);
  return cases;
}

double bound_of(Precision precision) {
  // Worst at the sizes of --tiny: 2.7e-3, 4.1e-4 and 5.4e-7; sums of full size are longer, which counts in fp32 alone.
  return precision == Precision::kBf16 ? 1e-2 : precision == Precision::kTf32 ? 1.6e-3 : 1e-5;
}

double largest_error(const Results& results, const Results& reference) {
  DCASE_CHECK(results.size() == reference.size(), "bench: ", results.size(), " and ", reference.size(),
              " outputs are compared");
  const auto view = [](const std::vector<float>& x) {
    return View<const float>(x.data(), {static_cast<std::int64_t>(x.size())});
  };
  double error = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    error = std::max(error, relative_error(view(results[i]), view(reference[i])));
  }
  return error;
}

Tensor on_device(const Setting& s, const std::string& name, const Shape& shape, float deviation) {
  return random_tensor(name, shape, Backend::cpu(), deviation).copied_to(s.backend);
}

}  // namespace dcase::bench::gpu
