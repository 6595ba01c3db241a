"""Results as they are kept: one JSON file each, whatever was measured."""

from pathlib import Path

import msgspec

from bench.crosscheck_record import Crosscheck
from bench.flat_record import Flat
from bench.micro_record import Micro
from bench.money_record import Money
from bench.race_record import Agreement, Stragglers
from bench.record import Endurance, Figures
from bench.workers_record import Workers

AnyJudged = Endurance | Stragglers | Agreement | Micro | Money | Flat | Crosscheck | Workers
Result = Figures | AnyJudged


def save(result: Result, folder: Path) -> Path:
    """Write a result as `NAME.json` and return where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{result.origin.name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(result), indent=1) + b"\n")
    return path


def load_all(folder: Path) -> list[Result]:
    """Read every result of a folder, by name. Raises msgspec.DecodeError for a file that is none."""
    return [
        msgspec.json.decode(path.read_bytes(), type=Result)
        for path in sorted(folder.glob("*.json"))
    ]
