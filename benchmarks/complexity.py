"""Measure what the thesis's listings cost on this machine: seconds and memory of a second of film, 2D against 3D.

    python benchmarks/complexity.py [--repeats 5] [--threads 1] [--seed 0]

Four cases: each network is given a whole second (25 frames of 224 px and a spectrogram), and each is given one new
frame of a running film: the 2D network carries the state of its LSTM on, the 3D network looks at its 25 frames again.
Weights and inputs are random, in torch's default layout. The cases take turns, so that whatever else the machine does
meets all of them; a ratio is taken within a turn. Memory is the peak of a process of its own, one per case, beyond what
the process holds once torch is loaded; it includes the inputs and all weights of the network, also of the sound.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from mien.models.cost import FRAME, FRAMES, WINDOW, Listing

WHOLE, NEW = f"a second ({FRAMES} frames)", "one new frame"
CASES = {  # name -> (3D or not, what it is given)
    "2D+LSTM, a second": (False, WHOLE),
    "3D, a second": (True, WHOLE),
    "2D+LSTM, a new frame": (False, NEW),
    "3D, a new frame": (True, NEW),
}
PAIRS = {  # what is compared -> (3D, 2D, ratio of the honest multiply-adds in table complexity)
    WHOLE: ("3D, a second", "2D+LSTM, a second", 1.19),
    NEW: ("3D, a new frame", "2D+LSTM, a new frame", 30.0),
}


def job_of(name: str, seed: int) -> Callable[[], object]:
    """Return a function that does the work of a case once."""
    deep, given = CASES[name]
    torch.manual_seed(seed)
    model = Listing(deep=deep).eval()
    if given == WHOLE:
        inputs = {modality: torch.randn(*shape) for modality, shape in WINDOW.items()}
        return lambda: model(inputs)
    if deep:
        window = torch.randn(*WINDOW["video"])
        return lambda: model.watch(window)
    frame = torch.randn(1, 1, *FRAME)
    _, memory = model.watch(frame)
    return lambda: model.watch(frame, memory)


def peak_mib(name: str, threads: int, seed: int, results: multiprocessing.Queue) -> None:
    """Put the peak memory of a case in MiB into `results`; to be run in a process of its own."""
    torch.set_num_threads(threads)
    before = held_mib("VmRSS")
    with torch.inference_mode():
        work = job_of(name, seed)
        work()
    results.put(held_mib("VmHWM") - before)


def held_mib(field: str) -> float:
    """Return a field of /proc/self/status in MiB: VmRSS, what is held, or VmHWM, the most that ever was."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{field}:"))


def memory_of(name: str, threads: int, seed: int) -> float:
    """Return the peak memory of a case in MiB."""
    fresh = multiprocessing.get_context("spawn")
    results = fresh.Queue()
    process = fresh.Process(target=peak_mib, args=(name, threads, seed, results))
    process.start()
    peak = results.get()
    process.join()
    return peak


@torch.inference_mode()
def seconds_of_turns(repeats: int, seed: int) -> list[dict[str, float]]:
    """Return case -> seconds for every turn; one turn more comes first and is not counted."""
    work = {name: job_of(name, seed) for name in CASES}
    turns = []
    for _ in range(repeats + 1):
        turn = {}
        for name, once in work.items():
            started = time.perf_counter()
            once()
            turn[name] = time.perf_counter() - started
        turns.append(turn)
    return turns[1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="turns that are counted")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    memory = {name: memory_of(name, args.threads, args.seed) for name in CASES}
    turns = seconds_of_turns(args.repeats, args.seed)

    print(f"{args.repeats} turns, {args.threads} threads, torch {torch.__version__}")
    print(f"{'':22}{'least s':>9}{'median s':>10}{'peak MiB':>10}")
    for name in CASES:
        seconds = [turn[name] for turn in turns]
        print(f"{name:22}{min(seconds):9.3f}{statistics.median(seconds):10.3f}{memory[name]:10.0f}")
    print(f"\n{'3D / 2D':22}{'least':>9}{'median':>10}{'most':>10}{'counted':>10}{'memory':>10}")
    for what, (deep, flat, counted) in PAIRS.items():
        ratios = [turn[deep] / turn[flat] for turn in turns]
        held = memory[deep] / memory[flat]
        print(f"{what:22}{min(ratios):9.2f}{statistics.median(ratios):10.2f}{max(ratios):10.2f}", end="")
        print(f"{counted:10.2f}{held:10.2f}")


if __name__ == "__main__":
    main()
