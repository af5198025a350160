#include "bench/peer.hpp"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "kernels/common/error.hpp"

namespace dcase::bench {
namespace {

using nlohmann::json;

constexpr int kStartSeconds = 120;   // importing PyTorch from a cold disk
constexpr int kAnswerSeconds = 300;  // the slowest sample, on a busy machine

json ask(Child& child, const json& request, int seconds) {
  child.write_line(request.dump());
  const std::string line = child.read_line(seconds);
  json answer = json::parse(line, nullptr, false);
  if (!answer.is_object()) fail(ErrorKind::kIo, "the peer answered '", line.substr(0, 200), "'");
  if (answer.contains("error")) fail(ErrorKind::kIo, "peer: ", answer.value("error", ""));
  return answer;
}

// The system's interpreter: the one that Debian's python3-torch belongs to.
std::string interpreter() { return std::filesystem::exists("/usr/bin/python3") ? "/usr/bin/python3" : "python3"; }

std::unique_ptr<Child> start_child(const std::map<std::string, std::string>& environment) {
  return std::make_unique<Child>(std::vector<std::string>{interpreter(), DCASE_BENCH_PEER_SCRIPT}, environment, false);
}

}  // namespace

std::unique_ptr<Peer> Peer::start(int threads, bool avx512, std::string& why) {
  std::unique_ptr<Peer> peer(new Peer);
  const std::string n = std::to_string(threads);
  peer->environment_ = {{"OMP_NUM_THREADS", n}, {"OPENBLAS_NUM_THREADS", n}};
  if (avx512) peer->environment_["ATEN_CPU_CAPABILITY"] = "avx512";
  // Debian's default BLAS is the plain reference; the OpenMP build of OpenBLAS shares PyTorch's threads.
  const std::filesystem::path library = "/usr/lib/x86_64-linux-gnu/openblas-openmp";
  if (std::filesystem::exists(library)) peer->environment_["LD_LIBRARY_PATH"] = library.string();
  json hello;
  try {
    peer->child_ = start_child(peer->environment_);
    hello = ask(*peer->child_, {{"hello", true}}, kStartSeconds);
  } catch (const Error& error) {
    why = error.what();
    return nullptr;
  }
  if (hello.contains("missing")) {
    why = "python3-torch is not installed (apt-get install python3-torch libopenblas0-openmp)";
    return nullptr;
  }
  peer->version_ = hello.value("torch", "");
  peer->blas_ = hello.value("blas", "");
  return peer;
}

std::vector<std::string> Peer::prepare(const std::string& case_name, double sample_ms) {
  const json answer = ask(*child_, {{"prepare", case_name}, {"sample_ms", sample_ms}}, kAnswerSeconds);
  return answer.at("variants").get<std::vector<std::string>>();
}

double Peer::sample(const std::string& variant) {
  return ask(*child_, {{"sample", variant}}, kAnswerSeconds).at("ms").get<double>();
}

double Peer::memory(const std::string& case_name, const std::string& variant) const {
  const std::unique_ptr<Child> fresh = start_child(environment_);
  return ask(*fresh, {{"memory", case_name}, {"variant", variant}}, kStartSeconds + kAnswerSeconds)
      .at("mib")
      .get<double>();
}

}  // namespace dcase::bench
