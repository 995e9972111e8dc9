"""Where the CPU time of a finished run went, by stage: python benchmarks/stages.py [BEFORE] AFTER [--out PAGE]

Every command of the workflow ends its log with the CPU seconds, user and system, of its process and of those that it
waited for; Snakemake's own process ends logs/snakemake.log so. BEFORE and AFTER are folders of runs from `make clean`
on, or CSV files with columns rule, jobs and cpu_s of a run that was watched from outside.
"""

import argparse
import csv
import re
import sys
from pathlib import Path

STAGES = {
    "corpora": ["get_corpus", "index_corpus"],
    "faces": ["extract_faces"],
    "sound": ["extract_sound"],
    "candide, samples": ["fit_candide", "select_samples"],
    "networks trained ahead": ["pretrain"],
    "networks of chapter 5": ["train"],
    "running networks": ["train_stream"],
    "classifiers of chapter 4": ["train_classifier", "fit_classical"],
    "baselines": ["fit_baseline"],
    "studies": ["embed", "assess", "train_fuzzy", "measure_changes"],
    "report": ["report"],
    "Snakemake itself": ["snakemake"],
}


def read(side: Path) -> dict[str, tuple[int, float]]:
    """Return rule -> jobs and CPU seconds of a run."""
    if side.is_file():
        with side.open(newline="") as file:
            return {row["rule"]: (int(row["jobs"]), float(row["cpu_s"])) for row in csv.DictReader(file)}
    rules: dict[str, tuple[int, float]] = {}
    for log in sorted(side.glob("logs/**/*.log")):
        seconds = re.findall(r"CPU seconds ([\d.]+)$", log.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
        if not seconds:
            sys.exit(f"{log} has no line 'CPU seconds': its job did not end, or ran with code that writes none")
        rule = log.relative_to(side).with_suffix("").parts[1]  # of logs/RULE/JOB.log or logs/RULE.log
        jobs, before = rules.get(rule, (0, 0.0))
        rules[rule] = jobs + 1, before + sum(map(float, seconds))
    return rules or sys.exit(f"{side} has no logs: name the folder of a finished run")


def tabulate(sides: list[dict[str, tuple[int, float]]]) -> list[str]:
    """Return the lines of a Markdown table: jobs and CPU seconds of every stage, and together."""
    names = ["before", "after"] if len(sides) == 2 else [""]
    head = [f"{what} {name}".strip() for name in names for what in ("jobs", "CPU s")]
    lines = [f"| stage | {' | '.join(head)} |", f"|---|{'--:|' * len(head)}"]
    known = {rule for rules in STAGES.values() for rule in rules}
    ran = sorted({rule for side in sides for rule in side})
    others = {rule: [rule] for rule in ran if rule not in known}
    for stage, rules in {**STAGES, **others, "together": ran}.items():
        of_stage = [[side[rule] for rule in rules if rule in side] for side in sides]
        if any(of_stage):
            cells = [f"{sum(n for n, _ in found)} | {sum(seconds for _, seconds in found):.0f}" for found in of_stage]
            lines.append(f"| {stage} | {' | '.join(cells)} |")
    return lines


def main(argv: list[str] | None = None) -> None:
    """Print the table, or write it as a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sides", nargs="+", type=Path, metavar="FOLDER|CSV", help="[before] after")
    parser.add_argument("--out", type=Path, help="page of Markdown")
    parser.add_argument("--note", default="", help="what the page says of the runs")
    options = parser.parse_args(argv)
    if len(options.sides) > 2:
        parser.error("two runs at most: before, after")
    text = "\n".join(tabulate([read(side) for side in options.sides])) + "\n"
    if options.out:
        options.out.write_text(f"# CPU seconds of a run by stage\n\n{options.note}\n\n{text}", encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
