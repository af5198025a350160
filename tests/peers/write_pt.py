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


def batch_norm(name, channels):
    yield from ((f"{name}.{part}", [channels]) for part in ("weight", "bias", "running_mean", "running_var"))
    yield f"{name}.num_batches_tracked", []


def v3_shapes(divisor=8):
    """The state_dict of the released v3 with all hidden widths divided."""
    def width(full):
        return full // divisor

    def linear(name, inputs, outputs):
        return [(f"{name}.weight", [outputs, inputs]), (f"{name}.bias", [outputs])]

    for name, inputs, outputs in (("1", 1, width(64)), ("2", width(64), width(128)), ("3", width(128), width(256)),
                                  ("4_1", width(256), width(256)), ("4_2", width(256), width(256))):
        yield f"conv_block{name}.conv1.weight", [outputs, inputs, 3, 3]
        yield f"conv_block{name}.conv2.weight", [outputs, outputs, 3, 3]
        yield from batch_norm(f"conv_block{name}.bn1", outputs)
        yield from batch_norm(f"conv_block{name}.bn2", outputs)
    for name in ("gru_1", "gru_2"):
        for end in ("l0", "l0_reverse"):
            yield f"{name}.weight_ih_{end}", [3 * width(128), width(512)]
            yield f"{name}.weight_hh_{end}", [3 * width(128), width(128)]
            yield f"{name}.bias_ih_{end}", [3 * width(128)]
            yield f"{name}.bias_hh_{end}", [3 * width(128)]
    yield from linear("event_fc", width(256), 14)
    for i, inputs in enumerate((width(256), width(384), width(384))):
        name, outputs = f"layer_ASC.{i}", width(384)
        yield f"{name}.conv1.weight", [outputs, inputs, 3, 3]
        yield from batch_norm(f"{name}.bn1", outputs)
        yield f"{name}.conv2.weight", [outputs, outputs, 3, 3]
        yield from batch_norm(f"{name}.bn2", outputs)
        yield f"{name}.se.fc.0.weight", [outputs // 16, outputs]
        yield f"{name}.se.fc.2.weight", [outputs, outputs // 16]
        if inputs != outputs:
            yield f"{name}.downsample.0.weight", [outputs, inputs, 1, 1]
            yield from batch_norm(f"{name}.downsample.1", outputs)
    yield from linear("code_ASC", width(384), width(128))
    yield from linear("fc_ASC", width(128), 10)
    yield from linear("layer_TAG.0", width(512), width(1024))
    yield from linear("layer_TAG.3", width(1024), width(1024))
    yield from linear("layer_TAG.6", width(1024), 80)


def v3():
    """All released names, and numbers that cost nothing: one element, shown as often as the shape asks."""
    state = collections.OrderedDict()
    for i, (name, shape) in enumerate(v3_shapes()):
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
