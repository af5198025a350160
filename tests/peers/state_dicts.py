"""Names and shapes of the three networks' state_dicts; v3 in the released order."""


def batch_norm(name, channels):
    yield from ((f"{name}.{part}", [channels]) for part in ("weight", "bias", "running_mean", "running_var"))
    yield f"{name}.num_batches_tracked", []


def linear(name, inputs, outputs):
    return [(f"{name}.weight", [outputs, inputs]), (f"{name}.bias", [outputs])]


def conv_block(name, inputs, outputs):
    yield f"conv_block{name}.conv1.weight", [outputs, inputs, 3, 3]
    yield f"conv_block{name}.conv2.weight", [outputs, outputs, 3, 3]
    yield from batch_norm(f"conv_block{name}.bn1", outputs)
    yield from batch_norm(f"conv_block{name}.bn2", outputs)


def bi_gru(name, inputs, hidden):
    for end in ("l0", "l0_reverse"):
        yield f"{name}.weight_ih_{end}", [3 * hidden, inputs]
        yield f"{name}.weight_hh_{end}", [3 * hidden, hidden]
        yield f"{name}.bias_ih_{end}", [3 * hidden]
        yield f"{name}.bias_hh_{end}", [3 * hidden]


def scene_head(inputs, outputs, code, blocks, axes):
    for i in range(blocks):
        name, channels = f"layer_ASC.{i}", outputs if i else inputs
        yield f"{name}.conv1.weight", [outputs, channels] + axes * [3]
        yield from batch_norm(f"{name}.bn1", outputs)
        yield f"{name}.conv2.weight", [outputs, outputs] + axes * [3]
        yield from batch_norm(f"{name}.bn2", outputs)
        yield f"{name}.se.fc.0.weight", [outputs // 16, outputs]
        yield f"{name}.se.fc.2.weight", [outputs, outputs // 16]
        if channels != outputs:
            yield f"{name}.downsample.0.weight", [outputs, channels] + axes * [1]
            yield from batch_norm(f"{name}.downsample.1", outputs)
    yield from linear("code_ASC", outputs, code)
    yield from linear("fc_ASC", code, 10)


def state_dict_shapes(version, divisor):
    """All hidden widths divided by the divisor."""
    w64, w128, w256, w384, w512, w1024 = (full // divisor for full in (64, 128, 256, 384, 512, 1024))
    yield from conv_block("1", 1, w64)
    yield from conv_block("2", w64, w128)
    yield from conv_block("3", w128, w256)
    if version == 3:
        yield from conv_block("4_1", w256, w256)
        yield from conv_block("4_2", w256, w256)
        yield from bi_gru("gru_1", w512, w128)
        yield from bi_gru("gru_2", w512, w128)
        yield from linear("event_fc", w256, 14)
        yield from scene_head(w256, w384, w128, 3, 2)
    else:
        yield from conv_block("4", w256, w512)
        yield from bi_gru("gru", w512, w256)
        if version == 2:
            yield from linear("layer_SED.0", w512, w256)
            yield from linear("layer_SED.3", w256, w256)
        yield from linear("event_fc", w256 if version == 2 else w512, 14)
        yield from scene_head(w512, w256, w128, 2, 1)
    yield from linear("layer_TAG.0", w512, w1024)
    yield from linear("layer_TAG.3", w1024, w1024)
    yield from linear("layer_TAG.6", w1024, 80)
