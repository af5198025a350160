#include "train/verify/model_check.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include <nlohmann/json.hpp>

#include "dcasenet/network.hpp"
#include "kernels/common/error.hpp"
#include "train/verify/generator.hpp"
#include "train/verify/verify_kinds.hpp"

namespace dcase::detail {

namespace {

constexpr std::int64_t kMelRows = 128;

/// Class indices as rows of 0 and 1, everything else as it is.
[[nodiscard]] Tensor target_of(const Archive& file, const std::string& name, const BackendPtr& backend) {
  const TensorInfo& info = file.info(name);
  if (info.dtype != DType::kI64) return Tensor::from(info.shape, file.floats(name), backend);
  constexpr std::int64_t kScenes = 10;
  const std::vector<std::int64_t> labels = file.integers(name);
  std::vector<float> rows(labels.size() * kScenes);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || labels[i] >= kScenes) {
      fail(ErrorKind::kData, "'", file.path(), "', tensor '", name, "': class ", labels[i], " of ", kScenes);
    }
    rows[i * kScenes + static_cast<std::size_t>(labels[i])] = 1;
  }
  return Tensor::from({static_cast<std::int64_t>(labels.size()), kScenes}, rows, backend);
}

/// [N,1,128,T] is [N,128,T,1] in memory.
[[nodiscard]] Shape input_shape(const Archive& file, const TensorInfo& info) {
  const Shape& s = info.shape;
  if (s.size() != 4 || s[1] != 1 || s[2] != kMelRows) {
    fail(ErrorKind::kData, "'", file.path(), "', tensor '", info.name, "': shape ", to_string(s),
         ", expected [N,1,128,T]");
  }
  return {s[0], kMelRows, s[3], 1};
}

[[nodiscard]] double sum_of(const std::vector<float>& x) {
  return std::accumulate(x.begin(), x.end(), 0.0, [](double sum, float v) { return sum + v; });
}

[[nodiscard]] double sum_of_squares(const std::vector<float>& x) {
  return std::accumulate(x.begin(), x.end(), 0.0,
                         [](double sum, float v) { return sum + static_cast<double>(v) * static_cast<double>(v); });
}

[[nodiscard]] double at(const std::vector<float>& x, std::size_t i) { return static_cast<double>(x.at(i)); }

}  // namespace

ModelInputs ModelInputs::stored(const Checker& checker, const std::string& path, const BackendPtr& backend) {
  ModelInputs inputs;
  inputs.origin_ = path;
  if (path.empty()) {
    inputs.origin_ = (std::filesystem::path(checker.file().path()).parent_path() / "joint_batch.safetensors").string();
  }
  const Archive batch = Archive::open(inputs.origin_);
  for (const TensorInfo& tensor : batch.tensors()) {
    const std::string name = tensor.name.size() > 2 ? tensor.name.substr(2) : "";
    if (fits("x_*", tensor.name)) {
      inputs.x_[name] = Tensor::from(input_shape(batch, tensor), batch.floats(tensor.name), backend);
    } else if (fits("y_*", tensor.name)) {
      inputs.y_[name] = target_of(batch, tensor.name, backend);
    }
  }
  return inputs;
}

ModelInputs ModelInputs::generated(Checker& checker, const std::string& prefix, const std::string& shapes,
                                   const BackendPtr& backend) {
  ModelInputs inputs;
  inputs.origin_ = checker.file().path();
  const nlohmann::json sizes = nlohmann::json::parse(shapes, nullptr, false);
  for (const std::string name : {"ASC", "SED", "TAG"}) {
    // Bounded, for the memory of a forward pass grows with them.
    const auto size = [&](std::size_t i, std::int64_t low, std::int64_t high) {
      const auto entry = sizes.is_object() ? sizes.find(name) : sizes.end();
      if (entry == sizes.end() || !entry->is_array() || entry->size() != 2 || !(*entry)[i].is_number_integer()) {
        fail(ErrorKind::kData, "'", inputs.origin_, "': metadata 'shapes' has no [items, frames] for ", name);
      }
      const auto value = (*entry)[i].get<std::int64_t>();
      if (value < low || value > high) {
        fail(ErrorKind::kData, "'", inputs.origin_, "': metadata 'shapes' has ", value, " for ", name, ", expected ",
             low, " to ", high);
      }
      return value;
    };
    const std::int64_t items = size(0, 1, 8);
    const std::int64_t frames = size(1, kFramesPerStep, 1000);
    const std::vector<float> x = reference_input(concat(prefix, "/x_", name), items, frames);
    checker.compare("inputsum.x_" + name, std::vector<double>{sum_of(x), sum_of_squares(x), at(x, 0),
                                                              at(x, x.size() / 2), at(x, x.size() - 1)});
    inputs.x_[name] = Tensor::from({items, kMelRows, frames, 1}, x, backend);
    static_cast<void>(checker.doubles("y_" + name));  // counts as used
    inputs.y_[name] = target_of(checker.file(), "y_" + name, backend);
  }
  return inputs;
}

ModelInputs ModelInputs::nudged(int seed) const {
  ModelInputs inputs = *this;
  for (auto& [name, tensor] : inputs.x_) {
    const ReferenceStream u(concat("nudge ", seed, "/", name));
    std::vector<float> values = tensor.to_vector();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double third = u(i) * 3;
      if (third >= 1) values[i] = std::nextafter(values[i], third < 2 ? -HUGE_VALF : HUGE_VALF);
    }
    tensor = Tensor::from(tensor.shape(), values, tensor.backend());
  }
  return inputs;
}

const Tensor& ModelInputs::x(const std::string& name) const {
  const auto found = x_.find(name);
  if (found == x_.end()) fail(ErrorKind::kData, "'", origin_, "' has no tensor 'x_", name, "'");
  return found->second;
}

const Tensor& ModelInputs::y(const std::string& name) const {
  const auto found = y_.find(name);
  if (found == y_.end()) fail(ErrorKind::kData, "'", origin_, "' has no tensor 'y_", name, "'");
  return found->second;
}

std::vector<double> activation_statistics(const std::vector<float>& x) {
  if (x.empty()) return {};
  const auto n = static_cast<double>(x.size());
  const double mean = sum_of(x) / n;
  double squares = 0;
  for (const float v : x) squares += (v - mean) * (v - mean);
  const auto [low, high] = std::minmax_element(x.begin(), x.end());
  return {mean, std::sqrt(squares / n), static_cast<double>(*low), static_cast<double>(*high),
          std::sqrt(sum_of_squares(x))};
}

std::vector<double> parameter_sums(const std::vector<float>& x) {
  if (x.empty()) return {};
  return {sum_of(x), sum_of_squares(x), at(x, 0), at(x, x.size() - 1)};
}

std::vector<double> buffer_statistics(const std::vector<float>& x) {
  if (x.empty()) return {};
  return {sum_of(x), std::sqrt(sum_of_squares(x)), at(x, 0), at(x, x.size() - 1)};
}

void compare_gradient_statistics(Checker& checker, const std::string& name, const std::vector<float>& gradient) {
  const std::vector<double> stored = checker.doubles(name);
  const std::size_t n = gradient.size();
  if (stored.size() != 6 || n == 0) {
    fail(ErrorKind::kData, "'", checker.file().path(), "', tensor '", name, "': ", stored.size(),
         " numbers, expected 6");
  }
  // The scale on which a sum of n such elements is judged.
  const double spread = std::max(stored[0] * std::sqrt(static_cast<double>(n)), std::numeric_limits<double>::min());
  checker.compare_part(name, "norm", std::vector<double>{std::sqrt(sum_of_squares(gradient))},
                       std::vector<double>{stored[0]});
  checker.compare_part(name, "sum", std::vector<double>{sum_of(gradient) / spread},
                       std::vector<double>{stored[1] / spread});
  checker.compare_part(
      name, "samples",
      std::vector<double>{at(gradient, 0), at(gradient, n / 3), at(gradient, 2 * n / 3), at(gradient, n - 1)},
      std::vector<double>{stored[2], stored[3], stored[4], stored[5]});
}

void verify_joint_batch(Checker& checker) {
  const auto prefix = checker.file().metadata().find("stream_prefix");
  const std::string stream = prefix == checker.file().metadata().end() ? "joint" : prefix->second;
  for (const TensorInfo& tensor : checker.file().tensors()) {
    if (fits("x_*", tensor.name)) {
      const Shape shape = input_shape(checker.file(), tensor);
      checker.compare(tensor.name, reference_input(stream + "/" + tensor.name, shape[0], shape[2]));
    }
    // Targets have no formula: that they fit the losses is checked with the models.
    if (tensor.name == "y_ASC" || tensor.name == "y_SED" || tensor.name == "y_TAG") {
      static_cast<void>(checker.doubles(tensor.name));
    }
  }
}

}  // namespace dcase::detail
