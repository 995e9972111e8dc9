"""Command plot_fits: fitted faces, their action units and what a classifier took them for (thesis, figure 4.5)."""

import logging
from argparse import ArgumentParser, Namespace
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--samples", type=Path, required=True, help="folder of select_samples")
    parser.add_argument("--results", type=Path, required=True, help="folder with faces/<corpus> and candide/<corpus>")
    parser.add_argument("--predictions", type=Path, required=True, help="of a classifier of AU8, run.json beside it")
    parser.add_argument("--out-png", type=Path, required=True)
    parser.add_argument("--out-csv", type=Path, required=True, help="the numbers behind the figure")


def run(args: Namespace) -> None:
    """Choose people, read their pictures and fits, draw them."""
    from mien.core.files import atomic_file, read_json
    from mien.report.figures import new_figure, save_figure, title_line
    from mien.report.fitted_faces import bars_of, choose_scenes, draw_scenes, read_answers, read_face
    from mien.samples.read import read_samples

    samples = read_samples(args.samples)
    answers = read_answers(args.predictions)
    scenes = choose_scenes(samples.table, answers)
    chosen = [sample for scene in scenes for sample in scene.pictures.values()]
    faces = {sample["clip"]: read_face(sample, args.results) for sample in chosen}
    synthetic = samples.info["source"] == "synthetic"
    title = title_line("Figure 4.5: fitted faces and action units", samples.title, synthetic=synthetic)
    judge = read_json(args.predictions.with_name("run.json"))
    title += (
        f"\nabove a picture: the emotion shown; frame: how {judge['variant']} classifies it, split {judge['seed'] + 1}"
    )
    with new_figure(11.2, 1.0 + 1.62 * len(scenes)) as figure:
        figure.set_layout_engine("constrained", w_pad=0.05, h_pad=0.02, wspace=0.0, hspace=0.0)
        draw_scenes(figure, scenes, faces, answers)
        figure.suptitle(title, fontsize=10)
        save_figure(figure, args.out_png)
    with atomic_file(args.out_csv) as scratch:
        bars_of(scenes, answers).to_csv(scratch, index=False, float_format="%.4f", lineterminator="\n")
    log.info("%s: %d people, %d pictures", args.out_png, len(scenes), len(faces))
