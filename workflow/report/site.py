"""Hook of MkDocs (`make site`): the pages of the repository, results by chapter, and a reference.

Pages keep their paths, so their links are those of the repository.
"""

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from mien.cli import build_app
from mien.report.titles import find_entries

ROOT = Path(__file__).parents[2]
PAGES = ("*.md", "*.cff", "LICENSE", "*.yaml", "config/*", "docs/**/*.*", "resources/*/*.md", "results/*.*")
PAGES += ("results/tables/*", "results/figures/*")
PACKAGE = """# mien.{0}

::: mien.{0}
    options: {{show_submodules: true, filters: ["!^_", "!^python$"]}}
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put what PAGES names in the place of the files below docs_dir, and add what is generated."""
    found = {path.relative_to(ROOT).as_posix() for pattern in PAGES for path in ROOT.glob(pattern)}
    made = {f"results/chapter{number}.md": text for number, text in enumerate(write_chapters(found), 1)}
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


def write_chapters(found: set[str]) -> Iterator[str]:
    """Write a page per chapter of the results: captions of Snakemake's report, links to tables, figures."""
    shown = {
        str(path.relative_to("results").with_suffix("")): path
        for path in map(Path, sorted(path for path in found if path.startswith("results/")))
        if path.suffix in (".md", ".png") or (path.suffix == ".svg" and str(path.with_suffix(".png")) not in found)
    }
    entries = find_entries(shown, ROOT / "workflow/report/titles.yaml")
    ordered = sorted(entries, key=lambda key: (entries[key].number, key))
    for chapter, keys in groupby(ordered, key=lambda key: entries[key].chapter):
        parts = [f"# {chapter}"]
        for caption, keys_of_it in groupby(keys, key=lambda key: entries[key].caption):
            parts.append((ROOT / f"workflow/report/{caption}.rst").read_text())
            for key in sorted(keys_of_it, key=lambda key: shown[key].suffix):  # .md first
                name, title, path = shown[key].stem, entries[key].title, shown[key].relative_to("results")
                if path.suffix == ".md":
                    parts.append(f"[{f'Table {name}: ' * name[0].isdigit()}{title}]({path})")
                else:
                    parts.append(f"## {title}\n\n![{title}]({path})\n\nFigure {name}")
        yield "\n\n".join(parts)
