#include "dcasenet/onnx/export.hpp"

#include "dcasenet/model_info.hpp"
#include "dcasenet/onnx/front_end.hpp"
#include "dcasenet/onnx/networks.hpp"
#include "engine/files.hpp"
#include "kernels/common/error.hpp"

namespace dcase {
namespace {

// Class lists, sizes and front end, as a model file has them; not what training left.
std::map<std::string, std::string> metadata_of(ModelInfo info) {
  info.metadata.clear();
  ArchiveWriter writer;
  write_model_info(info, writer);
  std::map<std::string, std::string> metadata = writer.in_memory("").metadata();
  metadata.erase("format");
  return metadata;
}

}  // namespace

void export_onnx(const Model& model, const OnnxOptions& options, const std::string& path) {
  if (options.opset < 13 || options.opset > 17) {
    fail(ErrorKind::kUsage, "opset ", options.opset, " is not offered, only 13 to 17");
  }
  const ModelInfo& info = model.info();
  const Architecture& a = info.architecture;
  const bool pipeline = options.part == OnnxPart::kPipeline;
  onnx::Graph g(model.parameters());
  const onnx::Value input = pipeline ? g.input("pcm", {"N", "S"}) : g.input("log_mel", {"N", info.front_end.mels, "T"});
  onnx::Heads heads = onnx::network(g, a, pipeline ? onnx::front_end(g, info.front_end, input) : input);
  if (pipeline) {
    heads.asc = g.node("fc_ASC.softmax", "Softmax", {heads.asc}, {{"axis", std::int64_t{1}}});
    heads.tag = g.node("layer_TAG.sigmoid", "Sigmoid", {heads.tag});
  }
  g.output(heads.asc, "asc", {"N", a.classes_asc});
  g.output(heads.tag, "tag", {"N", a.classes_tag});
  g.output(heads.sed, "sed", {"N", "L", a.classes_sed});
  atomic_write(path, g.model(options.opset, metadata_of(info)));
}

}  // namespace dcase
