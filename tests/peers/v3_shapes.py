"""Names and shapes of the released v3, in the order of its state_dict."""


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
