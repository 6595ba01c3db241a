"""Where the store is, as the configuration says it."""

from pathlib import Path

import pytest

from router.config import Config, DatabaseUrl, StoreConfig
from router.places import store_location
from tests.unit.written_config import load, refuse

URL = "postgresql://syze:hunter2@db.example/syze"


def test_a_store_is_a_file_unless_a_url_is_given(tmp_path: Path) -> None:
    assert store_location(load(tmp_path, "[store]\npath = 'a.db'")) == str(tmp_path / "a.db")
    found = load(tmp_path, "[store]\nurl = 'env:DATABASE_URL'", DATABASE_URL=URL)
    assert found.store == StoreConfig(url=DatabaseUrl(URL))
    assert store_location(found) == URL


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_usual_schemes_are_taken(tmp_path: Path, scheme: str) -> None:
    load(tmp_path, "[store]\nurl = 'env:DATABASE_URL'", DATABASE_URL=f"{scheme}://u@h/db")


@pytest.mark.parametrize(
    ("text", "value", "part"),
    [
        ("url = 'env:DATABASE_URL'", "mysql://u:hunter2@h/db", "postgresql://USER"),
        ("url = 'env:DATABASE_URL'", "hunter2.db", "named by `path`"),
        (f"url = '{URL}'", "x", "never as the value itself"),
        ("url = 'env:DATABASE_URL'\npath = 'a.db'", URL, "`path` is set as well"),
    ],
)
def test_i12_a_store_that_cannot_be_meant_is_refused_without_its_password(
    tmp_path: Path, text: str, value: str, part: str
) -> None:
    error = refuse(tmp_path, f"[store]\n{text}", DATABASE_URL=value)
    [problem] = error.problems
    assert problem.path == "store.url"
    assert part in problem.message
    assert "hunter2" not in f"{error}{error!r}"


def test_i12_the_url_of_a_store_is_not_shown(tmp_path: Path) -> None:
    config: Config = load(tmp_path, "[store]\nurl = 'env:DATABASE_URL'", DATABASE_URL=URL)
    assert "hunter2" not in f"{config!r}{config.store.url}"
