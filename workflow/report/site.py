"""Hook of MkDocs (`make site`): the pages of the repository, results by chapter, and a reference.

Pages keep their paths, so their links are those of the repository.
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import yaml
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from mien.cli import build_app

ROOT = Path(__file__).parents[2]
PAGES = ("*.md", "*.cff", "LICENSE", "*.yaml", "config/*", "docs/**/*.*", "resources/*/*.md", "results/*.*")
PAGES += ("results/tables/*", "results/figures/*")
PACKAGE = """# mien.{0}

::: mien.{0}
    options: {{show_submodules: true, filters: ["!^_", "!^python$"]}}
"""
TITLES = yaml.safe_load((ROOT / "workflow/report/titles.yaml").read_text())


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put what PAGES names in the place of the files below docs_dir, and add what is generated."""
    found = {path.relative_to(ROOT).as_posix() for pattern in PAGES for path in ROOT.glob(pattern)}
    chapters = enumerate(write_chapters(found), 1)
    made = {f"results/chapter{number}.md": "\n\n".join(parts) for number, parts in chapters}
    made["reference/commands.md"] = build_app().generate_docs(output_format="markdown")
    made["reference/mien.md"] = "# mien\n\n::: mien.apps.python\n"
    for package in sorted(path.parent.name for path in ROOT.glob("src/mien/*/__init__.py")):
        made[f"reference/mien.{package}.md"] = PACKAGE.format(package)
    config.nav = [
        {"Home": "README.md"},
        {"Use": [*(f"docs/{name}.md" for name in ("howto", "outputs", "python")), "config/README.md"]},
        {"Results": ["docs/results.md", *(path for path in made if "/chapter" in path), "docs/study/README.md"]},
        {"On people": sorted(path for path in found if re.fullmatch(r"docs/people/\w+\.md", path))},
        {"Models": sorted(path for path in found if path.startswith("docs/models/"))},
        {"Reference": [{Path(path).stem: path} for path in made if path.startswith("reference/")]},
        {"Project": ["docs/design.md", "CONTRIBUTING.md", "CHANGELOG.md"]},
    ]
    kept = [File(path, str(ROOT), config.site_dir, config.use_directory_urls) for path in sorted(found)]
    kept += [file for file in files if file.src_dir != config.docs_dir]  # of the theme
    return Files([*kept, *(File.generated(config, path, content=text) for path, text in made.items())])


def write_chapters(found: set[str]) -> Iterator[list[str]]:
    """Give the parts of each chapter of the results: captions of Snakemake's report, links to tables, figures."""
    left = [path.removeprefix("results/") for path in sorted(found) if path.startswith("results/")]
    for chapter, captions in TITLES.items():
        parts = [f"# {chapter}"]
        for caption, titles in captions.items():
            tables, figures = [], []
            for pattern, title in titles.items():
                for path in [path for path in left if fnmatch(path.rpartition(".")[0], pattern)]:
                    left.remove(path)  # the first that fits a file counts
                    name, suffix = Path(path).stem, Path(path).suffix
                    number = f" {name}" if name[0].isdigit() else ""
                    if suffix == ".md":
                        tables.append(f"[Table{number}: {title}]({path})" if number else f"[{title}]({path})")
                    elif suffix == ".png" or (suffix == ".svg" and f"results/figures/{name}.png" not in found):
                        figures.append(f"## {title}\n\n![{title}]({path})\n\nFigure{number or f' {name}'}")
            if tables or figures:
                parts += [(ROOT / f"workflow/report/{caption}.rst").read_text(), *tables, *figures]
        if parts[1:]:
            yield parts
