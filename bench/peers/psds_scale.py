#!/usr/bin/env python3
"""Time and memory of `dcasenet score sed` with PSDS 1 and 2 on synthetic scores of many recordings and classes.

    bench/peers/psds_scale.py [--recordings 15000] [--classes 300] [--frames 100] [--noise white|smooth]

Writes `--files` different score tables (300 classes and 100 frames take 240 kB) and links to them under as many names as
there are recordings, so that the disk need not hold gigabytes; what is read, parsed and kept is as much as with different
ones. Nothing but the standard library is needed.
"""

import argparse
import os
import random
import resource
import subprocess
import tempfile
import time


def score_table(classes, frames, smooth, generator):
    columns = []
    for _ in range(classes):
        value, column = generator.random(), []
        for _ in range(frames):
            fresh = generator.random()
            value = 0.9 * value + 0.1 * fresh if smooth else fresh
            column.append(f"{value:.6f}")
        columns.append(column)
    lines = ["onset\toffset\t" + "\t".join(f"class{c}" for c in range(classes))]
    for t in range(frames):
        lines.append(f"{t / 10:.1f}\t{(t + 1) / 10:.1f}\t" + "\t".join(column[t] for column in columns))
    return "\n".join(lines) + "\n"


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=os.path.join(here, "../../build/release/bin/dcasenet"))
    parser.add_argument("--recordings", type=int, default=15000)
    parser.add_argument("--classes", type=int, default=300)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--noise", choices=["white", "smooth"], default="smooth")
    parser.add_argument("--option", action="append", default=[], help="passed on, as in --option=--psds-memory=1GB")
    a = parser.parse_args()
    generator = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/files")
        os.mkdir(f"{folder}/scores")
        for f in range(a.files):
            with open(f"{folder}/files/{f}.tsv", "w", encoding="utf-8") as file:
                file.write(score_table(a.classes, a.frames, a.noise == "smooth", generator))
        seconds = a.frames / 10
        with open(f"{folder}/truth.tsv", "w", encoding="utf-8") as truth:
            truth.write("filename\tonset\toffset\tevent_label\n")
            for i in range(a.recordings):
                os.link(f"{folder}/files/{i % a.files}.tsv", f"{folder}/scores/r{i:05}.tsv")
                for _ in range(generator.randrange(1, 6)):
                    onset = generator.randrange(0, a.frames - 1) / 10
                    offset = min(seconds, onset + generator.randrange(1, 40) / 10)
                    truth.write(f"r{i:05}\t{onset}\t{offset}\tclass{generator.randrange(a.classes)}\n")
        size = sum(os.path.getsize(f"{folder}/scores/r{i:05}.tsv") for i in range(a.recordings))
        start = time.monotonic()
        subprocess.run([a.program, "score", "sed", "-r", f"{folder}/truth.tsv", "-s", f"{folder}/scores", "--json",
                        f"{folder}/out.json", *a.option], check=True, stdout=subprocess.DEVNULL)
        wall = time.monotonic() - start
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"{a.recordings} recordings x {a.classes} classes x {a.frames} frames, {a.noise} noise, "
              f"{size / 1e9:.2f} GB of text: {wall:.1f} s wall, {used.ru_utime + used.ru_stime:.1f} s of processors, "
              f"peak {used.ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
