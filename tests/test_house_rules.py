"""The house rules: what every file of the project keeps to, checked over the files themselves.

They keep the code readable (sizes, names), the documentation true to itself (links, numbers) and
the repository free of the machine it was written on (no registry host, no developer's path).
Each check is a plain function over text, tried first on a small text that breaks it.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = ("adapters", "limiter", "router", "bench", "tests")
LONGEST_FILE = 400
LONGEST_FUNCTION = 60

# Spelled in pieces, so that this file does not name them either.
FOREIGN = re.compile(
    "|".join(
        re.escape("".join(pieces))
        for pieces in (
            ("py", "pi.org"),
            ("python", "hosted.org"),
            ("registry.", "npm", "js"),
            ("deb.", "debian.org"),
            ("crates", ".io"),
            ("/", "root/"),
            ("/", "work/"),
        )
    )
    # Nobody's folder is named `someone`, so examples may have it.
    + "|/(home|Users)/(?!someone)",
    re.IGNORECASE,
)
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
HEADING = re.compile(r"^#{1,6} +(.+?)(?: +#+)? *$", re.MULTILINE)
FENCE = re.compile(r"^ *(```|~~~).*?^ *\1 *$", re.MULTILINE | re.DOTALL)


def ignored_names() -> list[str]:
    """The patterns of .gitignore, all of which are plain names, and git's own folder."""
    lines = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    return [".git", *(line.strip("/") for line in lines if line and not line.startswith("#"))]


def walk(folder: Path, ignored: list[str]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if any(fnmatch(path.name, pattern) for pattern in ignored):
            continue
        if path.is_dir():
            yield from walk(path, ignored)
        else:
            yield path


@pytest.fixture(scope="module")
def files() -> list[Path]:
    return list(walk(ROOT, ignored_names()))


@pytest.fixture(scope="module")
def modules(files: list[Path]) -> list[Path]:
    return [
        path for path in files if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in CODE
    ]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def long_functions(source: str) -> list[str]:
    """Name and length of each function over the limit, decorators not counted."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    sizes = [(node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in functions]
    return [f"{function}: {size} lines" for function, size in sizes if size > LONGEST_FUNCTION]


def foreign_lines(text: str) -> list[int]:
    return [number for number, line in enumerate(text.split("\n"), 1) if FOREIGN.search(line)]


def anchors(markdown: str) -> set[str]:
    """The fragment of each heading, made as the usual web views of Markdown make it."""
    slugs: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(FENCE.sub("", markdown)):
        kept = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{kept}-{slugs[kept]}" if slugs[kept] else kept)
        slugs[kept] += 1
    return found


def broken_links(page: Path) -> list[str]:
    """The links of one Markdown page that lead to no file, or to no heading in it."""
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"[a-z][a-z+.-]*:", target):
            continue
        where, _, fragment = target.partition("#")
        file = (page.parent / where).resolve() if where else page
        missing = fragment and file.suffix == ".md" and file.is_file()
        if not file.exists() or (missing and fragment not in anchors(file.read_text("utf-8"))):
            broken.append(target)
    return broken


def test_no_file_outside_the_tests_is_too_long(modules: list[Path]) -> None:
    sizes = {name(path): len(path.read_text("utf-8").splitlines()) for path in modules}
    long = {
        path: size
        for path, size in sizes.items()
        if size > LONGEST_FILE and not path.startswith("tests/")
    }
    assert not long, f"over {LONGEST_FILE} lines, is each still one idea? {long}"


def test_no_function_is_too_long(modules: list[Path]) -> None:
    long = {name(path): found for path in modules if (found := long_functions(path.read_text()))}
    assert not long, f"over {LONGEST_FUNCTION} lines: {long}"


def test_no_module_is_named_after_nothing(modules: list[Path]) -> None:
    vague = {"util", "utils", "helper", "helpers", "misc", "common"}
    found = [name(path) for path in modules if vague & set(path.with_suffix("").parts)]
    assert not found, f"name a module after the one thing it is about: {found}"


def test_no_file_names_a_registry_or_a_developers_machine(files: list[Path]) -> None:
    found = []
    for path in files:
        text = path.read_bytes().decode("utf-8", errors="replace")
        found += [f"{name(path)}:{line}" for line in foreign_lines(text)]
    assert not found, f"these lines only hold on one machine: {found}"


def test_docs_links_resolve(files: list[Path]) -> None:
    pages = [path for path in files if path.suffix == ".md"]
    broken = {name(page): found for page in pages if (found := broken_links(page))}
    assert not broken, f"links that lead nowhere: {broken}"


def test_docs_pages_are_all_reachable_from_the_index() -> None:
    docs = ROOT / "docs"
    index = docs / "README.md"
    seen, to_read = {index}, [index]
    while to_read:
        page = to_read.pop()
        for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
            found = (page.parent / target.partition("#")[0]).resolve()
            if found.suffix == ".md" and found.is_file() and found not in seen:
                seen.add(found)
                to_read.append(found)
    unlinked = {path for path in docs.rglob("*.md") if path not in seen and not is_fragment(path)}
    assert not unlinked, f"nobody finds these pages: {sorted(map(name, unlinked))}"


def is_fragment(path: Path) -> bool:
    return path.parent == ROOT / "docs/news" and path.name != "README.md"


def test_docs_decisions_are_numbered_uniquely_and_without_a_gap() -> None:
    notes = [path.name for path in (ROOT / "docs/decisions").glob("*.md")]
    numbers = sorted(note[:4] for note in notes if note != "README.md")
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)], notes


def test_docs_decisions_have_their_three_parts() -> None:
    for path in (ROOT / "docs/decisions").glob("[0-9]*.md"):
        parts = {"context", "decision", "consequences"} - anchors(path.read_text("utf-8"))
        assert not parts, f"{name(path)} lacks {parts}"


def test_docs_news_fragments_say_what_kind_they_are() -> None:
    shape = re.compile(r"\d+(-[a-z0-9-]+)?\.(added|changed|fixed|removed|security)\.md")
    notes = (ROOT / "docs/news").iterdir()
    wrong = [path.name for path in notes if is_fragment(path) and not shape.fullmatch(path.name)]
    assert not wrong, f"docs/news/README.md says how to name them: {wrong}"


def test_docs_readme_starts_with_the_two_commands() -> None:
    start = (ROOT / "README.md").read_text("utf-8").splitlines()[:30]
    for command in ("make run", "make test"):
        assert any(line.startswith(command) for line in start), f"README lacks `{command}` on top"


@pytest.mark.parametrize(
    "line", ["see https://py" + "pi.org/x", "cd /ho" + "me/me/syze", "/Wo" + "rk/"]
)
def test_a_foreign_line_is_found(line: str) -> None:
    assert foreign_lines(f"fine\n{line}\nfine") == [2]


def test_a_long_function_is_found_wherever_it_stands() -> None:
    body = "        x = 1\n" * LONGEST_FUNCTION
    source = (
        f"class A:\n    @property\n    async def long(self):\n{body}\n    def short(self): ...\n"
    )
    assert long_functions(source) == [f"long: {LONGEST_FUNCTION + 1} lines"]


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text(
        "# One, two: `three`\n\n```\n# not a heading\n```\n# One\n# One\n"
    )
    page = tmp_path / "page.md"
    page.write_text(
        "# Here\n[a](there.md) [b](gone.md) [c](there.md#one-two-three)\n"
        "[d](there.md#not-a-heading) [e](#here) [f](#elsewhere) ![i](gone.png)\n"
        "[g](https://example.test/x) [h](there.md#one-1)\n"
        "```\n[j](also-gone.md)\n```\n"
    )
    assert broken_links(page) == ["gone.md", "there.md#not-a-heading", "#elsewhere", "gone.png"]
