#!/usr/bin/env python3
"""`dcasenet score --json` against scikit-learn, sed_eval, sed_scores_eval and psds_eval.

    python3 -m venv build/peers
    build/peers/bin/pip install scikit-learn sed_eval sed_scores_eval psds_eval 'pandas<3' 'numpy<2.4'
    build/peers/bin/python tests/peers/check_metrics.py [--program build/release/bin/dcasenet] [--rounds 30] [--json FILE]

Inputs are random, and made to be difficult: ties, silent recordings, events that touch or overlap, without length,
one class only, no references. A package that is not installed is reported as skipped. For each score the largest
deviation is printed; the exit status is 1 where one exceeds its tolerance. Where a package defines something else, the
case is compared under the rule that is the package's (docs/metrics.md lists them).
"""

import argparse
import importlib
import json
import math
import os
import subprocess
import sys
import tempfile
import warnings

import numpy as np

warnings.filterwarnings("ignore")

TOLERANCE = 1e-9


class Peers:
    """Deviations by score, and what was skipped."""

    def __init__(self):
        self.worst = {}
        self.compared = {}
        self.failures = []
        self.skipped = []

    def compare(self, score, ours, theirs, context, tolerance=TOLERANCE):
        ours = math.nan if ours is None else float(ours)
        theirs = math.nan if theirs is None else float(theirs)
        if math.isnan(ours) and math.isnan(theirs):
            deviation = 0.0
        else:
            deviation = abs(ours - theirs)
        self.compared[score] = self.compared.get(score, 0) + 1
        if not deviation <= tolerance:
            self.failures.append(f"{score}: {ours!r} here, {theirs!r} there ({context})")
        if not math.isnan(deviation):
            self.worst[score] = max(self.worst.get(score, 0.0), deviation)

    def module(self, name):
        try:
            return importlib.import_module(name)
        except Exception as error:  # an old package may fail in many ways on a new Python
            self.skipped.append(f"{name}: {type(error).__name__}: {error}")
            return None


class Tool:
    def __init__(self, program):
        self.program = program

    def score(self, task, reference, system, *options):
        command = [self.program, "-q", "score", task, "-r", reference, "-s", system, "--json", "-", *options]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(" ".join(command) + "\n" + done.stderr)
        return json.loads(done.stdout)["standard"]


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


# ---- scenes and tags against scikit-learn


def check_scenes(peers, tool, folder, random, rounds):
    sklearn = peers.module("sklearn.metrics")
    if sklearn is None:
        return
    for round_ in range(rounds):
        items, classes = int(random.integers(5, 60)), int(random.integers(2, 9))
        names = [f"class{c}" for c in range(classes)]
        p = random.random((items, classes)) ** 3 + 1e-3
        p[:, 0] *= 3
        p /= p.sum(axis=1, keepdims=True)
        truth = random.integers(0, classes, items)
        if round_ == 0:
            truth[:] = 1  # one class only
        rows = "filename\tscene_label\t" + "\t".join(names) + "\n"
        rows += "".join(f"a{i}.wav\t{names[int(np.argmax(p[i]))]}\t" + "\t".join(repr(float(v)) for v in p[i]) + "\n"
                        for i in range(items))
        write(f"{folder}/asc.tsv", rows)
        write(f"{folder}/asc_ref.tsv",
              "filename\tscene_label\n" + "".join(f"audio/a{i}.wav\t{names[truth[i]]}\n" for i in range(items)))
        ours = tool.score("asc", f"{folder}/asc_ref.tsv", f"{folder}/asc.tsv")
        guess = p.argmax(axis=1)
        context = f"scenes, round {round_}"
        peers.compare("asc accuracy", ours["accuracy_percent"] / 100, sklearn.accuracy_score(truth, guess), context)
        recalls = sklearn.recall_score(truth, guess, labels=sorted(set(truth)), average=None, zero_division=0)
        peers.compare("asc macro accuracy", ours["macro_accuracy_percent"] / 100, recalls.mean(), context)
        peers.compare("asc log loss", ours["log_loss"], sklearn.log_loss(truth, p, labels=range(classes)), context)
        matrix = sklearn.confusion_matrix(truth, guess, labels=range(classes))
        deviation = np.abs(matrix - np.array(ours["confusion_rows_truth"])).max()
        peers.compare("asc confusion", deviation, 0, context)


def check_tags(peers, tool, folder, random, rounds):
    sklearn = peers.module("sklearn.metrics")
    if sklearn is None:
        return
    for round_ in range(rounds):
        items, classes = int(random.integers(5, 50)), int(random.integers(2, 12))
        names = [f"tag{c}" for c in range(classes)]
        truth = (random.random((items, classes)) < 0.25).astype(int)
        scores = np.round(random.random((items, classes)) * 0.6 + truth * 0.4, 3)
        ties = round_ % 3 == 1
        if ties:
            scores = np.round(scores * 4) / 4
        if round_ % 5 == 2:
            truth[:, 0] = 0  # a class without positives
        if round_ % 5 == 3:
            truth[:, 0] = 1  # and one without negatives
        write(f"{folder}/tag.csv", "fname," + ",".join(names) + "\n" + "".join(
            f"{i:08x}.wav," + ",".join(repr(float(v)) for v in scores[i]) + "\n" for i in range(items)))
        write(f"{folder}/tag_ref.csv", "fname,labels\n" + "".join(
            f'{i:08x}.wav,"' + ",".join(names[c] for c in range(classes) if truth[i, c]) + '"\n' for i in range(items)))
        ours = tool.score("tag", f"{folder}/tag_ref.csv", f"{folder}/tag.csv", "--threshold", "0.6")
        context = f"tags, round {round_}"
        known = truth.sum(axis=1) > 0
        tied = any(len(set(row)) < classes for row in scores)
        if not tied and known.any():  # the definition of ties differs: scikit-learn counts all equal scores as above
            lrap = sklearn.label_ranking_average_precision_score(truth[known], scores[known],
                                                                 sample_weight=truth[known].sum(axis=1))
            peers.compare("tag lwlrap", ours["lwlrap"], lrap, context)
        aps, aucs, f1s = [], [], []
        for c, name in enumerate(names):
            one = ours["classes"][name]
            if truth[:, c].any():
                aps.append(sklearn.average_precision_score(truth[:, c], scores[:, c]))
                peers.compare("tag AP", one["ap"], aps[-1], context)
            if 0 < truth[:, c].sum() < items:
                aucs.append(sklearn.roc_auc_score(truth[:, c], scores[:, c]))
                peers.compare("tag AUC", one["auc"], aucs[-1], context)
            output = scores[:, c] > 0.6
            if truth[:, c].any():
                p, r, f, _ = sklearn.precision_recall_fscore_support(truth[:, c], output, average="binary",
                                                                     zero_division=0)
                peers.compare("tag precision", one["precision"], p, context)
                peers.compare("tag recall", one["recall"], r, context)
                peers.compare("tag F1", one["f1"], f, context)
        peers.compare("tag mAP", ours["map"], np.mean(aps) if aps else math.nan, context)
        peers.compare("tag mean AUC", ours["mean_auc"], np.mean(aucs) if aucs else math.nan, context)
        if truth.any():
            peers.compare("tag micro AP", ours["micro_ap"],
                          sklearn.average_precision_score(truth, scores, average="micro"), context)
            peers.compare("tag micro F1", ours["micro_f1"],
                          sklearn.f1_score(truth, scores > 0.6, average="micro", zero_division=0), context)


# ---- sound events


def merged(events):
    """Events of a class that touch or overlap, as one."""
    result = []
    for onset, offset, label in sorted(events, key=lambda e: (e[2], e[0])):
        if result and result[-1][2] == label and onset <= result[-1][1]:
            result[-1] = (result[-1][0], max(offset, result[-1][1]), label)
        else:
            result.append((onset, offset, label))
    return result


def random_events(random, labels, seconds, most, kind):
    events = []
    for _ in range(int(random.integers(0, most + 1))):
        onset = round(float(random.integers(0, int(seconds * 10) - 1)) / 10, 1)
        length = round(float(random.integers(1, 25)) / 10, 1)
        events.append((onset, min(seconds, round(onset + length, 1)), labels[int(random.integers(len(labels)))]))
    events = [(a, b, label) for a, b, label in events if b > a]
    if kind == "touching" and events:
        onset, offset, label = events[0]
        if offset < seconds:
            events.append((offset, seconds, label))
    if kind == "overlapping" and events:
        onset, offset, label = events[0]
        events.append((onset, min(seconds, offset + 1.0), label))
    return events


def event_list(recordings):
    text = "filename\tonset\toffset\tevent_label\n"
    for name, events in recordings.items():
        if not events:
            text += f"{name}\t\t\t\n"
        text += "".join(f"{name}\t{a}\t{b}\t{label}\n" for a, b, label in events)
    return text


KINDS = ["plain", "touching", "overlapping", "silent output", "no references", "one class", "silent recordings",
         "jittered"]


def sed_case(random, kind, seconds):
    labels = ["dog"] if kind == "one class" else ["dog", "phone", "fire", "alarm"]
    truth, output = {}, {}
    for i in range(int(random.integers(1, 6))):
        name = f"rec{i}.wav"
        truth[name] = [] if kind == "no references" else random_events(random, labels, seconds, 6, kind)
        if kind == "silent recordings" and i % 2 == 0:
            truth[name] = []
        if kind == "silent output":
            output[name] = []
        elif kind in ("jittered", "touching", "overlapping"):
            output[name] = []
            for onset, offset, label in truth[name]:
                a = round(max(0.0, onset + float(random.integers(-300, 300)) / 1000 + 0.0004), 4)
                b = round(min(seconds, offset + float(random.integers(-300, 300)) / 1000 + 0.0004), 4)
                if random.random() < 0.8 and b > a:
                    output[name].append((a, b, label if random.random() < 0.8 else labels[0]))
        else:
            # Off the grid of the references: a difference that is the collar exactly is in or out by the last bit of a
            # binary fraction in sed_eval, and by whole microseconds here.
            output[name] = [(a, round(min(seconds, b + 0.0003), 4), label) if a == 0 else
                            (round(a - 0.0004, 4), round(min(seconds, b + 0.0003), 4), label)
                            for a, b, label in random_events(random, labels, seconds, 6, kind)]
    # sed_eval takes events in the order of the list, which decides what greedy matching finds; here it is that of time.
    for lists in (truth, output):
        for name in lists:
            lists[name].sort()
    return labels, truth, output


def container(events, name):
    dcase_util = importlib.import_module("dcase_util")
    return dcase_util.containers.MetaDataContainer(
        [{"filename": name, "onset": a, "offset": b, "event_label": label} for a, b, label in events])


def check_sed_eval(peers, tool, folder, random, rounds):
    sed_eval = peers.module("sed_eval")
    if sed_eval is None:
        return
    for round_ in range(rounds):
        kind = KINDS[round_ % len(KINDS)]
        seconds = 10.0
        labels, truth, output = sed_case(random, kind, seconds)
        if not any(truth.values()) and not any(output.values()):
            continue  # neither side names a class
        write(f"{folder}/ref.tsv", event_list(truth))
        write(f"{folder}/sys.tsv", event_list(output))
        write(f"{folder}/classes.txt", "\n".join(labels) + "\n")
        context = f"{kind}, round {round_}"
        common = ["--duration", str(seconds), "--classes", f"{folder}/classes.txt"]

        segment = sed_eval.sound_event.SegmentBasedMetrics(event_label_list=labels, time_resolution=1.0)
        for name in truth:
            segment.evaluate(container(truth[name], name), container(output[name], name),
                             evaluated_length_seconds=seconds)
        ours = tool.score("sed", f"{folder}/ref.tsv", f"{folder}/sys.tsv", *common, "--sed-eval-compat")
        compare_sed_eval(peers, "segment", ours["segment_based"], segment, labels, context)

        for share in (0.5, 0.2):
            for matching in ("optimal", "greedy"):
                event = sed_eval.sound_event.EventBasedMetrics(
                    event_label_list=labels, t_collar=0.2, percentage_of_length=share,
                    event_matching_type=matching)
                for name in truth:
                    event.evaluate(container(truth[name], name), container(output[name], name))
                options = [*common, "--sed-eval-compat", "--offset-share", str(share)]
                if matching == "greedy":
                    options.append("--greedy")
                ours = tool.score("sed", f"{folder}/ref.tsv", f"{folder}/sys.tsv", *options)
                compare_sed_eval(peers, f"event {matching}", ours["event_based"], event, labels,
                                 f"{context}, share {share}")


def compare_sed_eval(peers, what, ours, metrics, labels, context):
    overall = metrics.results_overall_metrics()
    pairs = {"f1": overall["f_measure"]["f_measure"], "precision": overall["f_measure"]["precision"],
             "recall": overall["f_measure"]["recall"], "error_rate": overall["error_rate"]["error_rate"],
             "substitution_rate": overall["error_rate"]["substitution_rate"],
             "deletion_rate": overall["error_rate"]["deletion_rate"],
             "insertion_rate": overall["error_rate"]["insertion_rate"]}
    for key, value in pairs.items():
        if ours["references"] == 0 and key != "precision":
            continue  # 0/0 of sed_eval is a 0, NaN or error depending on the score
        if ours["outputs"] == 0 and key in ("f1", "precision"):
            continue
        peers.compare(f"{what} {key}", ours[key], value, context)
    classes = metrics.results_class_wise_metrics()
    for label in labels:
        one = ours["classes"][label]
        if one["references"] == 0 or one["outputs"] == 0:
            continue  # NaN there, null here
        peers.compare(f"{what} class F1", one["f1"], classes[label]["f_measure"]["f_measure"], context)
        peers.compare(f"{what} class ER", one["error_rate"], classes[label]["error_rate"]["error_rate"], context)


# ---- PSDS


def score_case(random, kind, folder):
    labels = ["dog"] if kind == "one class" else ["dog", "phone", "fire"]
    seconds, truth, scores = 10.0, {}, {}
    os.makedirs(f"{folder}/scores", exist_ok=True)
    for old in os.listdir(f"{folder}/scores"):
        os.unlink(f"{folder}/scores/{old}")
    for i in range(6):
        name = f"rec{i}"
        events = merged(random_events(random, labels, seconds, 5, kind))
        if kind == "silent recordings" and i % 2 == 0:
            events = []
        if i == 0:  # every class has a reference: what is done without differs (docs/metrics.md)
            events = merged(events + [(1.0 + k, 1.7 + k, label) for k, label in enumerate(labels)])
        truth[name] = events
        frames = 100
        values = random.random((frames, len(labels))) * 0.6
        for a, b, label in events:
            values[round(a * 10):round(b * 10), labels.index(label)] += 0.35
        values = np.apply_along_axis(lambda x: np.convolve(x, np.ones(5) / 5, mode="same"), 0, values)
        values = np.round(values, 1 if kind == "ties" else 6)
        scores[name] = values
        text = "onset\toffset\t" + "\t".join(labels) + "\n"
        for t in range(frames):
            text += f"{t / 10:.1f}\t{(t + 1) / 10:.1f}\t" + "\t".join(repr(float(v)) for v in values[t]) + "\n"
        write(f"{folder}/scores/{name}.tsv", text)
    write(f"{folder}/truth.tsv", event_list(truth))
    write(f"{folder}/durations.tsv", "filename\tduration\n" + "".join(f"{n}\t{seconds}\n" for n in truth))
    return labels, truth, scores, seconds


PSDS_RULES = [dict(dtc=0.7, gtc=0.7, cttc=0.0, alpha_ct=0.0, alpha_st=1.0, e_max=100),
              dict(dtc=0.1, gtc=0.1, cttc=0.3, alpha_ct=0.5, alpha_st=1.0, e_max=100),
              dict(dtc=0.5, gtc=0.5, cttc=0.3, alpha_ct=0.5, alpha_st=0.0, e_max=1000),
              dict(dtc=0.4, gtc=0.6, cttc=0.0, alpha_ct=0.0, alpha_st=0.0, e_max=4000)]


def rule_text(rule):
    return ",".join(f"{k}={v}" for k, v in rule.items())


def check_psds(peers, tool, folder, random, rounds):
    sed_scores_eval = peers.module("sed_scores_eval")
    psds_eval = peers.module("psds_eval")
    for round_ in range(rounds):
        kind = ["plain", "ties", "one class", "silent recordings", "touching"][round_ % 5]
        labels, truth, scores, seconds = score_case(random, kind, folder)
        for rule in PSDS_RULES:
            if kind == "one class" and rule["alpha_ct"] > 0:
                continue  # no other class to trigger
            context = f"{kind}, round {round_}, {rule_text(rule)}"
            ours = tool.score("sed", f"{folder}/truth.tsv", f"{folder}/scores", "--durations",
                              f"{folder}/durations.tsv", "--psds", rule_text(rule))
            value = ours[rule_text(rule)]["psds"]
            if sed_scores_eval is not None:
                theirs, single, *_ = sed_scores_eval.intersection_based.psds(
                    scores=f"{folder}/scores", ground_truth=
                    {n: [tuple(e) for e in truth[n]] for n in truth},
                    audio_durations={n: seconds for n in truth}, dtc_threshold=rule["dtc"],
                    gtc_threshold=rule["gtc"], cttc_threshold=rule["cttc"] or None, alpha_ct=rule["alpha_ct"],
                    alpha_st=rule["alpha_st"], max_efpr=rule["e_max"], num_jobs=1)
                peers.compare("psds against sed_scores_eval", value, theirs, context)
                for label in labels:
                    peers.compare("psds of a class against sed_scores_eval",
                                  ours[rule_text(rule)]["classes"][label]["area"], single[label], context)
            if psds_eval is not None and kind == "ties":
                theirs = psds_eval_score(peers, psds_eval, labels, truth, scores, seconds, rule)
                if theirs is not None:
                    peers.compare("psds against psds_eval", value, theirs, context)


def psds_eval_score(peers, psds_eval, labels, truth, scores, seconds, rule):
    """Every distinct score as an operating point; detections are runs of frames at or above it.

    Times are given in tenths of a second, which are whole numbers: psds_eval compares quotients of binary fractions,
    and 0.3 / 0.6 >= 0.5 may be false. All rates are then a tenth, and so is the limit.
    """
    import pandas

    try:
        table = pandas.DataFrame([(n, round(a * 10), round(b * 10), label) for n in truth for a, b, label in truth[n]],
                                 columns=["filename", "onset", "offset", "event_label"])
        meta = pandas.DataFrame([(n, seconds * 10) for n in truth], columns=["filename", "duration"])
        scorer = psds_eval.PSDSEval(dtc_threshold=rule["dtc"], gtc_threshold=rule["gtc"],
                                    cttc_threshold=rule["cttc"] or 0.3, ground_truth=table, metadata=meta)
        for threshold in sorted({float(v) for s in scores.values() for v in s.flatten()}):
            rows = []
            for name, values in scores.items():
                for c, label in enumerate(labels):
                    active = np.concatenate(([0], (values[:, c] >= threshold).astype(int), [0]))
                    for a, b in zip(np.flatnonzero(np.diff(active) == 1), np.flatnonzero(np.diff(active) == -1)):
                        rows.append((name, a, b, label))
            scorer.add_operating_point(
                pandas.DataFrame(rows, columns=["filename", "onset", "offset", "event_label"]))
        return scorer.psds(alpha_ct=rule["alpha_ct"], alpha_st=rule["alpha_st"], max_efpr=rule["e_max"] / 10).value
    except Exception as error:
        note = f"psds_eval: {type(error).__name__}: {error}"
        if note not in peers.skipped:
            peers.skipped.append(note)
        return None


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=os.path.join(here, "../../build/release/bin/dcasenet"))
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    peers, tool = Peers(), Tool(arguments.program)
    with tempfile.TemporaryDirectory() as folder:
        for check in (check_scenes, check_tags, check_sed_eval, check_psds):
            check(peers, tool, folder, np.random.default_rng(arguments.seed), arguments.rounds)
    for score in peers.worst:
        print(f"{score:45} {peers.compared[score]:6} compared, worst deviation {peers.worst[score]:.3g}")
    for skipped in sorted(set(peers.skipped)):
        print(f"SKIPPED: {skipped}")
    for failure in peers.failures[:40]:
        print(f"DEVIATES: {failure}")
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump({"worst": peers.worst, "compared": peers.compared, "failures": peers.failures,
                       "skipped": sorted(set(peers.skipped))}, file, indent=2)
    print(f"{len(peers.failures)} deviations beyond the tolerance")
    return 1 if peers.failures else 0


if __name__ == "__main__":
    sys.exit(main())
