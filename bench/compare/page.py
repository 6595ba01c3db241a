"""The page of all comparisons that are kept, written anew from their JSON files each time."""

from pathlib import Path
from typing import Final

import msgspec

from bench.compare.goals import goals
from bench.compare.record import Comparison
from bench.compare.table import compare_tables
from bench.race_report import Row
from bench.report import found_rows, markdown_table, provenance

PAGE: Final = "README.md"
_INTRODUCTION: Final = """\
# Beside the peers

Written by `python -m bench compare` from the JSON files beside this page, which hold every run. Take ratios
within one table; absolute figures are those of one machine.
"""


def save(result: Comparison, folder: Path) -> Path:
    """Write a comparison as `NAME.json` and return where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.origin.name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    return path


def write_page(folder: Path) -> Path:
    """Write the page of a folder and return where it is. Raises msgspec.DecodeError for other JSON files."""
    kept = [
        msgspec.json.decode(path.read_bytes(), type=Comparison)
        for path in sorted(folder.glob("*.json"))
    ]
    path = folder / PAGE
    path.write_text("\n".join([_INTRODUCTION, *map(_section, kept)]), encoding="utf-8")
    return path


def all_tables(result: Comparison) -> list[list[Row]]:
    """The goals, where there are any, and then the figures."""
    checks = goals(result)
    return [*([found_rows(checks)] if checks else []), *compare_tables(result)]


def _section(result: Comparison) -> str:
    origin = result.origin
    parts = [f"## {origin.name}", *([origin.note] if origin.note else []), provenance(origin)]
    parts += map(markdown_table, all_tables(result))
    parts += ["Method:", "\n".join(f"- {paragraph}" for paragraph in result.method)]
    return "\n\n".join(parts) + "\n"
