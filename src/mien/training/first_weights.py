"""First weights of trunks: which files the command line and params.yaml name, and what is wrong with them."""

from collections.abc import Mapping
from pathlib import Path

from mien.core.errors import ConfigError
from mien.core.files import sha256
from mien.models import checkpoint
from mien.models.build import load_trunk
from mien.models.fusion import Network


def files_of(where: str, init: Mapping[str, str], given: list[str]) -> dict[str, Path]:
    """Return modality -> file; a row of pretrain is given by its file, a file in params.yaml speaks for itself.

    where : the row of params.yaml that `init` is of, such as variants.N2.   given : texts MODALITY=FILE.

    Raises
    ------
    ConfigError : first weights are given that are not asked for, or the other way round.
    """
    files = {modality: Path(name) for modality, name in init.items()}
    for text in given:
        modality, _, path = text.partition("=")
        if modality not in init or not path:
            raise ConfigError(
                f"--init {text}: {where}.init is {dict(init) or 'random'}; give MODALITY=FILE for these modalities"
            )
        files[modality] = Path(path)
    for modality, path in files.items():
        if not path.is_file():
            raise ConfigError(
                f"{where}.init.{modality}: {path} is no file; train that row of pretrain first and give its"
                f" model with --init {modality}=FILE, or leave {modality} out of init for random weights"
            )
    return files


def no_start(init: Mapping[str, str], files: Mapping[str, Path]) -> str:
    """Say which row of pretrain, that a branch starts from, was not trained; empty if all were."""
    for modality, path in sorted(files.items()):
        if checkpoint.is_bare(path):
            return f"{init[modality]}, which its {modality} branch starts from, was not trained"
    return ""


def load_first(model: Network, files: Mapping[str, Path]) -> dict[str, str]:
    """Load the trunks of `model` that have a file; return modality -> digest of its file.

    Raises
    ------
    ModelError : a file is missing, damaged or holds another trunk.
    """
    for modality, path in sorted(files.items()):
        load_trunk(model, modality, path)
    return {modality: sha256(path) for modality, path in files.items()}
