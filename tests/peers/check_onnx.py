"""ONNX files of `dcasenet model export` against the program itself. Needs the packages onnx and onnxruntime:

    python3 -m venv build/onnx && build/onnx/bin/pip install onnx onnxruntime
    build/onnx/bin/python tests/peers/check_onnx.py build/release/bin/dcasenet

Models of the three versions with drawn weights, at width 1/8 and at full width, go through onnx's checker and run in onnxruntime, network and
pipeline, for several numbers of frames. Prints the largest deviation of each output and exits with 1 where one is larger
than the bounds below: what float32 sums in another order come to. Where onnxruntime is missing (Debian's python3-onnx),
the checker alone runs.
"""
import json
import struct
import subprocess
import sys
import tempfile
import wave

import numpy as np
import onnx

from state_dicts import state_dict_shapes

try:
    import onnxruntime
except ImportError:
    onnxruntime = None

NETWORK_BOUND = 2e-5   # of logits of size 1 and of probabilities
PIPELINE_BOUND = 1e-5  # of probabilities
MEL_BOUND = 1e-3       # of normalised log-mel: bins far below a frame's peak carry the rounding of the transform
RATE, HOP = 24000, 480


def write_safetensors(path, tensors):
    header, at = {}, 0
    for name, t in tensors.items():
        kind = {"float32": "F32", "int64": "I64"}[t.dtype.name]
        header[name] = {"dtype": kind, "shape": list(t.shape), "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(header).encode()
    with open(path, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            out.write(t.tobytes())


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    return {name: np.frombuffer(data[slice(*e["data_offsets"])], np.float32).reshape(e["shape"])
            for name, e in header.items() if name != "__metadata__"}


def draw(version, divisor, generator):
    """Weights that keep the size of what passes through, so that every head's output is of size 1."""
    tensors = {}
    for name, shape in state_dict_shapes(version, divisor):
        kind = name.rsplit(".", 1)[1]
        if kind == "num_batches_tracked":
            tensors[name] = np.zeros(shape, np.int64)
        elif kind == "running_var" or len(shape) == 1 and kind == "weight":
            tensors[name] = generator.uniform(0.5, 1.5, shape).astype(np.float32)
        elif len(shape) == 1:
            tensors[name] = generator.uniform(-0.2, 0.2, shape).astype(np.float32)
        else:
            bound = np.sqrt((3 if name.startswith("gru") else 6) / np.prod(shape[1:]))
            tensors[name] = generator.uniform(-bound, bound, shape).astype(np.float32)
    return tensors


def sounds(generator):
    """Noise; a chord that decays to digital silence; clicks in soft noise; digital silence."""
    t = np.arange(5 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * f * t) for f in (220, 277.2, 1661.2)) * np.exp(-2 * t)
    chord[4 * RATE:] = 0
    clicks = 1e-3 * generator.standard_normal(len(t))
    clicks[::3700] = 0.9
    for x in (0.1 * generator.standard_normal(len(t)), 0.2 * chord, clicks, 0 * t):
        yield np.round(np.clip(x, -1, 1) * 32767).astype(np.int16)


class Check:
    def __init__(self, program, folder):
        self.program, self.folder, self.failed = program, folder, False

    def run(self, *arguments):
        subprocess.run([self.program, "--quiet", *arguments], check=True)

    def session(self, model, part, opset):
        path = f"{self.folder}/{part}.onnx"
        self.run("model", "export", model, path, "--part", part, "--opset", str(opset))
        onnx.checker.check_model(path, full_check=True)
        if part == "pipeline":  # the front end's result becomes visible
            graph = onnx.load(path)
            graph.graph.output.append(onnx.helper.make_tensor_value_info("front_end.normalised", 1, ["N", 128, "T"]))
            onnx.save(graph, path)
        return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) if onnxruntime else None

    def forward(self, model, log_mel):
        write_safetensors(f"{self.folder}/x.safetensors", {"x": np.ascontiguousarray(log_mel, np.float32)})
        self.run("model", "forward", "--model", model, "--input", f"{self.folder}/x.safetensors", "--output",
                 f"{self.folder}/y.safetensors")
        return {name[2:]: value for name, value in read_safetensors(f"{self.folder}/y.safetensors").items()}

    def compare(self, what, bound, mine, theirs, spread=1e-3):
        worst = {name: float(np.abs(mine[name] - value).max()) for name, value in theirs.items()}
        good = all(mine[n].shape == theirs[n].shape for n in theirs) and max(worst.values()) <= bound
        good &= all(value.std() >= spread for value in theirs.values())  # the inputs reach the outputs
        self.failed |= not good
        print(f"{what}: " + ", ".join(f"{n} {v:.1e}" for n, v in worst.items()) + ("" if good else "  TOO LARGE"))

    def network(self, which, model, generator):
        session = self.session(model, "network", 17)
        for opset in (13, 14, 15, 16):
            self.session(model, "network", opset)
        for n, frames in ((1, 40), (2, 251), (3, 87)):
            x = generator.standard_normal((n, 128, frames)).astype(np.float32)
            mine = self.forward(model, x)
            if session:
                theirs = dict(zip(("asc", "tag", "sed"), session.run(["asc", "tag", "sed"], {"log_mel": x})))
                self.compare(f"{which}, network, {n} x {frames} frames", NETWORK_BOUND, mine, theirs)

    def pipeline(self, which, model, generator):
        session = self.session(model, "pipeline", 17)
        if not session:
            return
        for pcm in sounds(generator):
            with wave.open(f"{self.folder}/x.wav", "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes(pcm.tobytes())
            self.run("features", f"{self.folder}/x.wav", "-o", f"{self.folder}/mel.safetensors")
            mel = read_safetensors(f"{self.folder}/mel.safetensors")["log_mel"]
            mine = self.forward(model, mel[None])
            mine["asc"] = np.exp(mine["asc"] - mine["asc"].max()) / np.exp(mine["asc"] - mine["asc"].max()).sum()
            mine["tag"] = 1 / (1 + np.exp(-mine["tag"]))
            x = (pcm / 32768).astype(np.float32)[None]
            *outputs, theirs_mel = session.run(["asc", "tag", "sed", "front_end.normalised"], {"pcm": x})
            theirs = dict(zip(("asc", "tag", "sed"), outputs))
            self.compare(f"{which}, front end, {len(pcm) // HOP} frames", MEL_BOUND, {"log_mel": mel[None]},
                         {"log_mel": theirs_mel}, spread=0)
            self.compare(f"{which}, pipeline, {len(pcm) // HOP} frames", PIPELINE_BOUND, mine, theirs)


def main(program):
    print(f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__ if onnxruntime else 'missing'}")
    generator = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        check = Check(program, folder)
        for version in (1, 2, 3):
            for width, divisor in (("1/8", 8), ("1", 1)):
                model = f"{folder}/model.safetensors"
                write_safetensors(model, draw(version, divisor, generator))
                check.network(f"v{version}, width {width}", model, generator)
                check.pipeline(f"v{version}, width {width}", model, generator)
    return 1 if check.failed else 0


sys.exit(main(*sys.argv[1:]))
