"""Audio-video emotion recognition, reproducible from download to table.

In Python, ``mien.predict("clip.mp4")`` returns a table; docs/python.md shows the rest. What it needs is imported when
it is first used: ``import mien`` costs nothing.
"""

from typing import TYPE_CHECKING, Any

from mien import kernels

if TYPE_CHECKING:
    from mien.apps.python import Models, Stream, load_models, predict

kernels.pin()

__all__ = ["Models", "Stream", "load_models", "predict"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'mien' has no attribute {name!r}; it has {', '.join(__all__)}")
    from mien.apps import python

    return getattr(python, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
