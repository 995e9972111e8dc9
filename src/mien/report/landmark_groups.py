"""The groups of the 68 landmarks (thesis, figure 4.4) and the lines that join them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """`lines`: landmarks in the order in which they are joined; a closed line ends where it began."""

    name: str
    colour: str  # of Paul Tol's bright scheme
    lines: tuple[tuple[int, ...], ...]

    @property
    def landmarks(self) -> tuple[int, ...]:
        """Return the landmarks of the group, each once."""
        return tuple(sorted({landmark for line in self.lines for landmark in line}))


def _run(first: int, last: int, *, closed: bool = False) -> tuple[int, ...]:
    return (*range(first, last + 1), *([first] if closed else []))


GROUPS = (
    Group("jaw", "#7f7f7f", (_run(0, 16),)),
    Group("brows", "#ccaa22", (_run(17, 21), _run(22, 26))),
    Group("nose", "#228833", (_run(27, 30), _run(31, 35))),
    Group("eyes", "#4477aa", (_run(36, 41, closed=True), _run(42, 47, closed=True))),
    Group("lips", "#ee6677", (_run(48, 59, closed=True), _run(60, 67, closed=True))),
)
COLOUR_OF = {landmark: group.colour for group in GROUPS for landmark in group.landmarks}
