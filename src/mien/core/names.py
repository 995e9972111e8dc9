"""The names that sections of params.yaml are made of, and how a section refuses wrong values."""

from mien.core.errors import ConfigError

CORPORA = ("ravdess", "cremad", "fer2013", "ckplus", "rafd", "mug", "jaffe", "voxceleb")
ACTED = ("ravdess", "cremad")  # films of emotions, with sentences and intensities
FACED = ("ckplus", "rafd", "mug", "jaffe")  # people with a neutral face each
CLASSICAL = ("ssvm", "svm_poly", "eigenfaces", "fisherfaces")  # classifiers without epochs
MODALITIES = ("video", "audio", "units")  # of variants; units: the action units of the Candide-3 fit
NETWORKS = ("dnn_au", "dnn_fp", "cnn1", "cnn2", "cnn3")


def require(ok: bool, where: str, need: str, got: object) -> None:
    """Refuse the values `got` of the section `where` unless they are `ok`.

    Raises
    ------
    ConfigError : they are not; `need` says what is wanted.
    """
    if not ok:
        raise ConfigError(f"params.yaml: {where}: need {need}; got {got}")
