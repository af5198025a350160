"""PyTorch's side of dcasenet-bench: one JSON request a line on stdin, one JSON answer a line on stdout.

{"hello": true}                            -> {"torch": version, "blas": libraries} or {"missing": reason}
{"prepare": case, "sample_ms": ms}         -> {"variants": [...]}   builds the case and warms it up
{"sample": variant}                        -> {"ms": milliseconds a call}
{"memory": case, "variant": variant}       -> {"mib": peak of this process after three calls}; ask a fresh process

The cases are those of bench/cases/whole.cpp with `peer` set: the same sizes, threads, losses and optimiser. Eager
PyTorch, with the maps in NCHW and in channels_last order; the caller keeps the faster.
"""
import json
import math
import os
import sys
import time

try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError as error:
    for _ in sys.stdin:
        print(json.dumps({"missing": str(error)}), flush=True)
    sys.exit(0)

TASKS = ("ASC", "SED", "TAG")


class DoubleConv(nn.Module):
    def __init__(self, inputs, outputs, pool):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.pool = pool

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.avg_pool2d(x, self.pool)


class SeResidual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.se = nn.Sequential(nn.Linear(outputs, outputs // 16, bias=False), nn.ReLU(),
                                nn.Linear(outputs // 16, outputs, bias=False), nn.Sigmoid())
        self.down = None
        if inputs != outputs:
            self.down = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        y = y * self.se(y.mean((2, 3)))[:, :, None, None]
        return F.relu(y + (x if self.down is None else self.down(x)))


class V3(nn.Module):
    def __init__(self, divisor=1):
        super().__init__()
        c = lambda width: width // divisor
        self.trunk = nn.Sequential(DoubleConv(1, c(64), (2, 2)), DoubleConv(c(64), c(128), (2, 2)),
                                   DoubleConv(c(128), c(256), (2, 2)))
        self.block4_1, self.block4_2 = (DoubleConv(c(256), c(256), (2, 5)) for _ in range(2))
        self.gru_1, self.gru_2 = (nn.GRU(c(512), c(128), batch_first=True, bidirectional=True) for _ in range(2))
        self.event = nn.Linear(c(256), 14)
        self.scene = nn.Sequential(SeResidual(c(256), c(384), 2), SeResidual(c(384), c(384), 1),
                                   SeResidual(c(384), c(384), 1))
        self.code = nn.Sequential(nn.Linear(c(384), c(128)), nn.Linear(c(128), 10))
        self.tag = nn.Sequential(nn.Linear(c(512), c(1024)), nn.ReLU(), nn.Dropout(0.2), nn.Linear(c(1024), c(1024)),
                                 nn.ReLU(), nn.Dropout(0.1), nn.Linear(c(1024), 80))

    def forward(self, x, tasks):
        out = {}
        x = self.trunk(x)
        # In training block 4_1 runs for scenes as well: its batch-norm averages move. As released.
        a = self.block4_1(x) if self.training or len(tasks) > 1 or tasks[0] != "ASC" else None
        b = self.block4_2(x)
        if "ASC" in tasks:
            out["ASC"] = self.code(self.scene(b).mean((2, 3)))
        if "SED" not in tasks and "TAG" not in tasks:
            return out
        s = torch.cat([a, b], 1).mean(2).transpose(1, 2)
        g2 = self.gru_2(s)[0]
        if "SED" in tasks:
            out["SED"] = torch.sigmoid(self.event(g2)).repeat_interleave(8, 1)
        if "TAG" in tasks:
            out["TAG"] = self.tag(torch.cat([self.gru_1(s)[0], g2], -1).mean(1))
        return out


def mel_filters(bins=1025, mels=128, rate=24000):
    mel = lambda hertz: 2595 * math.log10(1 + hertz / 700)
    f = torch.linspace(0, rate / 2, bins)
    corners = 700 * (10 ** (torch.linspace(0, mel(rate / 2), mels + 2) / 2595) - 1)
    width, slope = corners[1:] - corners[:-1], corners[None] - f[:, None]
    return torch.minimum(-slope[:, :-2] / width[:-1], slope[:, 2:] / width[1:]).clamp(min=0).t().contiguous()


def front_end(x, filters, window):
    x = x[:, 1:] - 0.97 * x[:, :-1]
    s = torch.stft(x, 2048, 480, 960, window, center=True, pad_mode="reflect", return_complex=True)
    m = torch.log(torch.matmul(filters, s.real.square() + s.imag.square()).clamp_min_(1e-30))
    return ((m - m.mean(-1, keepdim=True)) / m.std(-1, keepdim=True).clamp_min(0.001))[:, None]


def infer_case(divisor, wave):
    x = torch.rand(1, 1, 128, 500)
    pcm = (torch.rand(1, 240000) - 0.5) * 0.2
    filters, window = mel_filters(), torch.hamming_window(960)

    def variant(layout):
        model = V3(divisor).eval().to(memory_format=layout)
        last = layout == torch.channels_last

        def run():
            with torch.inference_mode():
                z = front_end(pcm, filters, window) if wave else x
                model(z.to(memory_format=layout) if last else z, TASKS)
        return run
    return {"eager_nchw": lambda: variant(torch.contiguous_format),
            "channels_last": lambda: variant(torch.channels_last)}


def train_case():
    targets = {"ASC": torch.arange(4) % 10, "TAG": torch.eye(80)[:4], "SED": torch.eye(14).repeat(9, 1)[:120].reshape(2, 60, 14)}

    def variant(layout, foreach):
        model = V3().train().to(memory_format=layout)
        x = {"ASC": torch.rand(4, 1, 128, 251), "TAG": torch.rand(4, 1, 128, 251), "SED": torch.rand(2, 1, 128, 300)}
        x = {task: v.to(memory_format=layout) for task, v in x.items()}
        adam = torch.optim.Adam(model.parameters(), lr=1e-3, foreach=foreach)

        def run():
            adam.zero_grad(set_to_none=True)
            # One task after the other, as the project's trainer: the same sum, one graph alive at a time.
            F.cross_entropy(model(x["ASC"], ("ASC",))["ASC"], targets["ASC"]).backward()
            F.binary_cross_entropy_with_logits(model(x["TAG"], ("TAG",))["TAG"], targets["TAG"]).backward()
            sed = model(x["SED"], ("SED",))["SED"]
            F.binary_cross_entropy(sed, targets["SED"][:, :sed.shape[1]]).backward()
            adam.step()
        return run
    return {"eager_nchw": lambda: variant(torch.contiguous_format, False),
            "channels_last": lambda: variant(torch.channels_last, False)}


def mel_case(items, seconds):
    def variant():
        pcm = (torch.rand(items, seconds * 24000) - 0.5) * 0.2
        filters, window = mel_filters(), torch.hamming_window(960)

        def run():
            with torch.inference_mode():
                front_end(pcm, filters, window)
        return run
    return {"eager": variant}


CASES = {
    "infer_10s": lambda: infer_case(1, False),
    "infer_10s_wave": lambda: infer_case(1, True),
    "infer_10s_small": lambda: infer_case(8, False),
    "train_step": train_case,
    "mel_10s": lambda: mel_case(1, 10),
    "mel_60s": lambda: mel_case(1, 60),
    "mel_16x5s": lambda: mel_case(16, 5),
}


def timed(run, calls):
    start = time.perf_counter()
    for _ in range(calls):
        run()
    return 1e3 * (time.perf_counter() - start) / calls


def peak_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))


def blas_libraries():
    with open("/proc/self/maps") as maps:
        paths = {line.split()[-1] for line in maps if "blas" in line or "mkl" in line}
    return " ".join(sorted(os.path.basename(os.path.realpath(p)) for p in paths))


class Server:
    def __init__(self):
        self.ready = {}

    def answer(self, request):
        if "prepare" in request:
            self.ready = {}
            for name, build in CASES[request["prepare"]]().items():
                run = build()
                run()
                once = min(timed(run, 1), timed(run, 1))
                self.ready[name] = (run, max(1, math.ceil(request["sample_ms"] / once)))
            return {"variants": list(self.ready)}
        if "sample" in request:
            return {"ms": timed(*self.ready[request["sample"]])}
        if "memory" in request:
            run = CASES[request["memory"]]()[request["variant"]]()
            for _ in range(3):
                run()
            return {"mib": peak_mib()}
        return {"torch": torch.__version__, "blas": blas_libraries()}


def main():
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    server = Server()
    for line in sys.stdin:
        try:
            answer = server.answer(json.loads(line))
        except Exception as error:  # whatever it is, the caller has to hear of it
            answer = {"error": "%s: %s" % (type(error).__name__, error)}
        print(json.dumps(answer), flush=True)


main()
