"""What this project and PyTorch write for each other comes back equal. Needs PyTorch (Debian: python3-torch).

    python3 tests/peers/check_pt.py build/release/bin/dcasenet

A state_dict of the full v3 with drawn values goes from torch.save (both containers) through `dcasenet model convert` to
safetensors, from there to a .pt, and through torch.load(weights_only=True) back. Prints one line and exits with 0, or
names the first tensor that differs.
"""
import collections
import subprocess
import sys
import tempfile

import torch

from state_dicts import state_dict_shapes


def main(program):
    def convert(source, target):
        subprocess.run([program, "--quiet", "model", "convert", source, target], check=True)

    torch.manual_seed(1)
    state = collections.OrderedDict(
        (name, torch.tensor(int(torch.randint(10**6, ()))) if name.endswith("tracked") else torch.randn(shape))
        for name, shape in state_dict_shapes(version=3, divisor=1))
    with tempfile.TemporaryDirectory() as folder:
        torch.save(state, f"{folder}/zip.pt")
        torch.save({"module." + name: t for name, t in state.items()}, f"{folder}/stream.pt",
                   _use_new_zipfile_serialization=False)
        for source in ("zip", "stream"):
            convert(f"{folder}/{source}.pt", f"{folder}/{source}.safetensors")
            convert(f"{folder}/{source}.safetensors", f"{folder}/back.pt")
            back = torch.load(f"{folder}/back.pt", weights_only=True)
            assert isinstance(back, collections.OrderedDict) and list(back) == list(state), "names"
            assert "dcasenet.labels" in back.dcasenet_metadata, "metadata"
            for name, tensor in state.items():
                assert back[name].dtype == tensor.dtype and torch.equal(back[name], tensor), name
    elements = sum(t.numel() for t in state.values())
    print(f"torch {torch.__version__}: {len(state)} tensors, {elements} elements equal, from both containers")


main(*sys.argv[1:])
