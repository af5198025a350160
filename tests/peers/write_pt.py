"""Writes tests/golden/pt: small files of torch.save with the values that they hold. Needs PyTorch (Debian: python3-torch).

    python3 tests/peers/write_pt.py tests/golden/pt

Every tensor of every file but v3_names_stream stands in expected.safetensors as FILE/NAME, with type, shape and bytes as
torch sees them.
"""
import collections
import json
import struct
import sys

import torch
from torch import nn

from state_dicts import state_dict_shapes

NAMES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
         torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}
expected = {}


def raw(tensor):
    tensor = tensor.detach().contiguous()
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.view(torch.int16)
    return tensor.numpy().tobytes()


def note(file, tensors):
    for name, tensor in tensors.items():
        expected[f"{file}/{name}"] = tensor


def both(folder, name, value, tensors):
    torch.save(value, f"{folder}/{name}.pt")
    torch.save(value, f"{folder}/{name}_stream.pt", _use_new_zipfile_serialization=False)
    note(name, tensors)


def types():
    values = torch.tensor([[0.1, -2.0, 3.5], [0.0, 65504.0, 1e-6]], dtype=torch.float64)
    special = torch.tensor([float("inf"), float("-inf"), 1e-40, -0.0])
    state = collections.OrderedDict((str(dtype)[6:], values.to(dtype)) for dtype in list(NAMES)[:4])
    state["special"] = special
    for dtype in list(NAMES)[4:9]:
        state[str(dtype)[6:]] = torch.tensor([0, 1, 100, 127], dtype=dtype)
    state["bool"] = torch.tensor([True, False, True])
    state["scalar"] = torch.tensor(7)
    state["big"] = torch.tensor(-(2**62))
    state["empty"] = torch.zeros(0, 3)
    return state


def views():
    base = torch.arange(24, dtype=torch.float32)
    grid = base.view(4, 6)
    return collections.OrderedDict(base=base, grid=grid, transposed=grid.t(), part=grid[1:3, ::2], column=grid[:, 5],
                                   expanded=base[3:4].expand(5, 1), same=base, inner=grid[2:2],
                                   cube=base.view(2, 3, 4).permute(2, 0, 1))


def small(names, scale=1.0):
    return collections.OrderedDict((name, torch.full((2, 1), scale * (i + 1))) for i, name in enumerate(names))


def v3():
    """All released names, and numbers that cost nothing: one element, shown as often as the shape asks."""
    state = collections.OrderedDict()
    for i, (name, shape) in enumerate(state_dict_shapes(version=3, divisor=8)):
        value = torch.tensor(i) if name.endswith("tracked") else torch.tensor(1 + i / 1024)
        state["module." + name] = value.expand(shape)
    return state


def main(folder):
    torch.manual_seed(1)
    state = types()
    both(folder, "types", state, state)
    state = views()
    both(folder, "views", state, state)

    landmark = small(["conv_block1.conv1.weight", "conv_block1.bn1.weight"])
    weight = nn.Parameter(torch.tensor([1.0, 2.0]))
    weight.sum().backward()
    optimiser = torch.optim.Adam([weight], lr=0.001)
    optimiser.step()
    nested = {"epoch": 3, "loss": 0.25, "name": "gr\u00fcn", "done": False, "none": None,
              "model_state_dict": landmark, "optimizer_state_dict": optimiser.state_dict()}
    both(folder, "nested", nested, landmark)

    # What DataParallel and torch.compile put in front of the names, and the versions that modules keep beside them.
    wrapped = nn.DataParallel(nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))).state_dict()
    torch.save(wrapped, f"{folder}/parallel.pt")
    note("parallel", {name[len("module."):]: tensor for name, tensor in wrapped.items()})

    parameters = {"weight": nn.Parameter(torch.tensor([[0.5, -0.5]])), "bias": nn.Parameter(torch.tensor([3.0]))}
    for protocol in (2, 3, 4, 5):
        torch.save(parameters, f"{folder}/protocol{protocol}.pt", pickle_protocol=protocol)
        note(f"protocol{protocol}", parameters)

    two = {"model": landmark, "ema": small(landmark, 0.5)}
    torch.save(two, f"{folder}/two.pt")
    note("two", two["ema"])

    torch.save(nn.Linear(2, 2), f"{folder}/whole_module.pt")

    torch.save(v3(), f"{folder}/v3_names_stream.pt", _use_new_zipfile_serialization=False)

    header, data = {}, b""
    for name, tensor in expected.items():
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(raw(tensor))]}
        data += raw(tensor)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(f"{folder}/expected.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + data)


if __name__ == "__main__":
    main(*sys.argv[1:])
