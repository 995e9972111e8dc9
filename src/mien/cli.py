"""The command line: only the module of the command that runs is imported."""

import argparse
import importlib
import logging
import sys

from mien.errors import MienError

COMMANDS = {  # command -> (module with (add_)NAME(_arguments) or add_arguments and run, one line of help)
    "get_corpus": ("mien.corpora.download", "synthesise, download or unpack a corpus"),
    "index_corpus": ("mien.corpora.index", "list the clips, folds and defects of a corpus"),
    "extract_faces": ("mien.faces.extract", "find faces and landmarks, store square regions"),
    "extract_sound": ("mien.audio.extract", "store the sound as 16 kHz mono"),
    "fit_candide": ("mien.candide.extract", "fit the Candide-3 mesh to the landmarks of a corpus"),
    "select_samples": ("mien.classical.samples", "select the pictures of four emotions and divide the people"),
    "fit_classical": ("mien.classical.fit", "fit a support vector machine or a subspace to every split"),
    "train_classifier": ("mien.training.classify", "train a small network on pictures or geometry"),
    "pretrain": ("mien.training.pretrain", "train a network of one modality ahead: emotions, identities, speakers"),
    "train": ("mien.training.train", "train a variant on folds of a corpus"),
    "assess": ("mien.training.robustness", "let trained networks judge disturbed clips"),
    "embed": ("mien.training.embed", "write down what trained networks judge the clips of a fold by"),
    "train_stream": ("mien.training.stream", "train a network that runs along with a recording"),
    "train_fuzzy": ("mien.training.noise", "train networks on people whose faces or voices say less and less"),
    "build_table": ("mien.report.tables.comparison", "put a table of the thesis beside ours"),
    "build_overview": ("mien.report.tables.overview", "put table 5.4 of the thesis beside ours"),
    "plot_confusion": ("mien.report.figures.confusion", "draw the confusion matrices of a table"),
    "plot_curves": ("mien.report.figures.curves", "draw the learning curves of a corpus"),
    "plot_embeddings": ("mien.report.figures.embeddings", "lay out what networks judge clips by"),
    "plot_samples": ("mien.report.figures.images", "show faces and spectrograms of a corpus"),
    "check_units": ("mien.synthetic.check_units", "compare fitted action units with the truth of synthetic people"),
    "compare_classifiers": ("mien.report.tables.classifiers", "put tables 4.1 and 4.2 of the thesis beside ours"),
    "judge_hypotheses": ("mien.report.claims", "judge the thesis's claims, on its numbers and on ours"),
    "compare_transfer": ("mien.report.tables.transfer", "put table 4.3 of the thesis beside ours"),
    "plot_transfer": ("mien.report.figures.curves", "draw the studies of learning rates and of frozen convolutions"),
    "plot_fer2013": ("mien.report.figures.fer2013", "show FER2013, its balanced copies and its hardest pictures"),
    "plot_features": ("mien.report.figures.images", "show kernels and feature maps of a CNN-1"),
    "draw_candide": ("mien.report.figures.candide", "draw the mesh, its units and the landmarks"),
    "draw_networks": ("mien.report.figures.networks", "draw the networks of chapter 5 from their modules"),
    "plot_fits": ("mien.report.figures.candide", "show fitted faces with their action units"),
    "plot_pictures": ("mien.report.figures.images", "show training and test pictures, AUG-A and eigenfaces"),
    "build_trust": ("mien.report.tables.trust", "say how far the networks of a corpus can be trusted"),
    "plot_trust": ("mien.report.figures.trust", "draw how sure networks are, and what disturbs them"),
    "compare_intensity": ("mien.report.tables.intensity", "say how well networks tell the strength of an emotion"),
    "plot_fuzziness": ("mien.report.figures.fuzziness", "say what missing and fuzzy information does to networks"),
    "compare_streams": ("mien.report.tables.streams", "say how steady and how right running networks are"),
    "plot_streams": ("mien.report.figures.streams", "show labels along clips, and accuracy by seconds"),
    "plot_spectrograms": ("mien.report.figures.spectrograms", "show spectrograms and how segments are cut"),
    "count_complexity": ("mien.report.tables.complexity", "count parameters and multiply-adds of the listings"),
    "summarise": ("mien.report.tables.summary", "collect the headline metrics"),
    "track": ("mien.report.track", "write the runs into the MLflow store"),
    "list_runs": ("mien.io.prune", "list the files that a training job left"),
    "prune": ("mien.io.prune", "delete results that params.yaml no longer lists"),
    "plan": ("mien.report.plan", "say what all trainings take in runs, hours and disk"),
    "predict": ("mien.apps.predict", "emotion of a clip or a folder of clips"),
    "watch": ("mien.apps.watch", "emotion of a film, a camera or a pipe as it runs"),
    "serve": ("mien.apps.serve", "a local page for clips and the camera"),
}


def main(argv: list[str] | None = None) -> None:
    """Run one command; exit with 2 and one message when the user can mend what is wrong."""
    args = parse(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", datefmt="%H:%M:%S")
    try:
        args.run(args)
    except MienError as error:
        print(f"mien {args.command}: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"mien {args.command}: interrupted", file=sys.stderr)
        sys.exit(130)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the arguments of one command, importing its module only."""
    argv = sys.argv[1:] if argv is None else argv
    parser = argparse.ArgumentParser(prog="mien", description="Emotion recognition from faces and voices.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, help_line) in COMMANDS.items():
        command = commands.add_parser(name, help=help_line, description=f"{help_line[0].upper()}{help_line[1:]}.")
        if argv[:1] == [name]:
            loaded = importlib.import_module(module)
            command.add_argument("--config", default="params.yaml", help="params.yaml, or its sections as JSON text")
            command.add_argument("--jobs", type=int, default=1, metavar="N", help="processes or threads to use")
            (getattr(loaded, f"add_{name}_arguments", None) or loaded.add_arguments)(command)
            command.set_defaults(run=getattr(loaded, f"run_{name}", None) or loaded.run)
    return parser.parse_args(argv)
