"""Errors a user can cause and mend; the command line prints them without a traceback."""


class MienError(Exception):
    """Say which file or value, what was found, and what to do."""


class ConfigError(MienError):
    """A value of params.yaml or of the command line is unusable."""


class CorpusError(MienError):
    """A corpus, its archive or its label file is not what its grammar promises."""


class MediaError(MienError):
    """A video, image or sound file cannot be decoded."""


class ModelError(MienError):
    """A checkpoint is missing, unreadable or made for another network."""


class TableError(MienError):
    """A table or shard between two stages is missing or breaks its contract."""


class NotJudgedError(MienError):
    """Some of the files that were named could not be judged; the others were."""
