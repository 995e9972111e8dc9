"""How a corpus is obtained."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Access:
    """Address, terms and files of a corpus; `open` ones can be fetched without an agreement or a login."""

    address: str
    terms: str
    files: str  # what to fetch
    open: bool = False
