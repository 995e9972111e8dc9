"""Which networks the parameters ask for: on how many folds of which corpus a variant is trained."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mien.config.schema import Params


def needed_folds(params: "Params") -> dict[tuple[str, str], int]:
    """Return (corpus, variant) -> the number of folds, from the first on, that tables and studies need it on.

    A variant whose branches or history another one uses is needed wherever that one is.
    """
    needed: dict[tuple[str, str], int] = {}

    def need(corpus: str, variant: str, n_folds: int) -> None:
        needed[corpus, variant] = max(needed.get((corpus, variant), 0), n_folds)
        for other in parts_of(params, variant):
            need(corpus, other, n_folds)

    for table in params.tables.values():
        for variant in table.rows:
            need(table.corpus, variant, table.folds or params.folds[table.corpus])
    for variant, row in params.overview.rows.items():
        for corpus in row.corpora:
            need(corpus, variant, params.overview.folds[corpus])
    for variant in params.intensity.rows:
        need(params.intensity.corpus, variant, params.intensity.folds)
    for variant in params.embeddings.rows.values():
        need(params.embeddings.corpus, variant, max(params.embeddings.folds) + 1)
    return dict(sorted(needed.items()))


def parts_of(params: "Params", variant: str) -> list[str]:
    """Return the variants that `variant` is made from: their branches are kept, or their histories weigh its losses."""
    row = params.variants[variant]
    return sorted({*row.frozen.values(), *row.blend.values()})
