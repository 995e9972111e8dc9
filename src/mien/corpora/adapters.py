"""Adapters by the name of their corpus.

An adapter is a module with
- ACCESS : `Access`, how one obtains the corpus,
- EXAMPLE : a path as the grammar wants it,
- find(root) -> `Listing`: clips and findings from names and label files,
- arrange(listing, n_folds) -> FOLDS,
and, where the general rules do not fit, examine(root, listing, n_jobs=...) and decide(listing, facts) -> CLIPS;
and votes(root) -> VOTES, where raters have said what they heard and saw.
"""

import importlib
from types import ModuleType

from mien.core.config import CORPORA
from mien.core.errors import ConfigError


def adapter_for(corpus: str) -> ModuleType:
    """Import the adapter of `corpus`; nothing else names these modules, so each has its own code digest."""
    if corpus not in CORPORA:
        raise ConfigError(f"there is no corpus {corpus!r}; known: {', '.join(CORPORA)}")
    return importlib.import_module(f"mien.corpora.{corpus}")
