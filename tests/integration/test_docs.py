"""The pages of ``docs/`` and the README: blocks run, outputs are those shown, links lead somewhere."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

# No line is run here alone, and coverage takes half as long again.
pytestmark = [pytest.mark.above_backends, pytest.mark.no_cover, pytest.mark.long]

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def _module(path):
    spec = importlib.util.spec_from_file_location("docs_make", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


make = _module(ROOT / "docs/make.py")


def _cases(slow):
    """Every page that has blocks to run; a page with one slow block is slow as a whole, for blocks share a folder."""
    for page in make.pages():
        if any(block.slow for block in make.blocks(page)) == slow:
            yield pytest.param(page, id=page.stem)


@pytest.mark.parametrize("page", list(_cases(slow=False)))
def test_a_page_prints_what_it_shows(page):
    assert make.make(page, check=True) == []


@pytest.mark.slow
@pytest.mark.parametrize("page", list(_cases(slow=True)))
def test_a_slow_page_prints_what_it_shows(page):
    assert make.make(page, check=True) == []


def _anchors(page):
    """Anchors of headings as GitHub and MyST write them."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    titles = [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title).lower()).replace(" ", "-") for title in titles}


def _links(page):
    """Targets of links and pictures, those of other sites left out."""
    tokens = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    for token in tokens:
        for child in token.children or ():
            target = child.attrs.get("href") or child.attrs.get("src")
            if target and not re.match(r"\w+:", target):
                yield target


def _broken(page):
    for target in _links(page):
        name, _, anchor = target.partition("#")
        found = (page.parent / name).resolve() if name else page
        if not found.exists() or (anchor and anchor not in _anchors(found)):
            yield target


@pytest.mark.parametrize("page", [pytest.param(page, id=page.stem) for page in PAGES])
def test_links_lead_to_files_and_headings(page):
    assert list(_broken(page)) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A title: `x`\n[a](#a-title-x) [b](#b) [c](gone.md) [d](https://example.org) ![e](e.png)\n")
    assert list(_broken(page)) == ["#b", "gone.md", "e.png"]


def test_every_question_is_two_clicks_from_the_readme():
    """README, list of questions, question: 25 of them, each under a heading of its own with an answer that is run.

    Each answer has a picture that one of its blocks makes.
    """
    assert "docs/questions.md" in set(_links(README))
    listed = [target for target in _links(ROOT / "docs/questions.md") if target.startswith("questions/")]
    assert len(listed) == len(set(listed)) == 25
    for target in listed:
        name, _, anchor = target.partition("#")
        page = ROOT / "docs" / name
        parts = re.split(r"(?m)^## (.+)\n", page.read_text(encoding="utf-8"))
        (answer,) = (
            text
            for title, text in zip(parts[1::2], parts[2::2], strict=True)
            if re.sub(r"[^\w\- ]", "", title.replace("`", "").lower()).replace(" ", "-") == anchor
        )
        assert "```console\n$ kseq" in answer or "```python\n" in answer, target
        assert re.findall(r"\]\(\.\./pictures/(.+?)\)", answer) == _made(answer) != [], target


def _made(text):
    """Names of the pictures that the blocks of a text make."""
    pairs = [words.split() for words in re.findall(r"(?m)^picture: (.+)$", text)]
    return [name for words in pairs for name in words[1::2]]


def test_every_picture_is_made_by_a_block():
    pictures = [name for page in PAGES for name in _made(page.read_text(encoding="utf-8"))]
    assert sorted(pictures) == sorted(path.name for path in (ROOT / "docs/pictures").iterdir())


def test_every_page_is_reached_from_the_index():
    entries = re.findall(r"(?m)^[\w/-]+$", "\n".join(re.findall(r"```\{toctree\}(.*?)```", _every(), flags=re.DOTALL)))
    pages = {page.relative_to(ROOT / "docs").with_suffix("").as_posix() for page in PAGES if page.parent != ROOT}
    assert pages - {"index"} <= {entry.removeprefix("/") for entry in entries}


def _every():
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES if page.parent != ROOT)


def test_outputs_agree_but_for_times_and_last_digits():
    old = "model  MAE  ms/epoch/seed\n─────\nGRU  0.371 ± 0.002  3.1\n\nGRU trains in 2.4 s a seed.\n"
    assert make.differences(old, old.replace("3.1", "9.7").replace("2.4 s", "0.8 s").replace("0.371", "0.372")) == []
    assert make.differences(old, old.replace("0.371", "0.471"))
    assert make.differences(old, old.replace("GRU trains", "LSTM trains"))
    assert make.differences(old, old + "Beware\n")
    assert make.differences(old, old.replace("0.371", "0.471"), loose=True) == []
    assert make.differences(old, old.replace("GRU trains", "LSTM trains"), loose=True)
    timed = "training speed  GRU  0.31 ± 0.02 ms a step  yes\n"
    assert make.differences(timed, timed.replace("0.31 ± 0.02", "0.9 ± 0.4").replace("yes", "no difference seen")) == []
    assert make.differences(timed, timed.replace("GRU", "LSTM"))
    solved = "copies over 30 (30 to 100) steps\n"
    assert make.differences(solved, solved.replace(" (30 to 100)", "")) == []
    assert make.differences(solved, "copies over 100 (30 to 100) steps\n")


def test_lines_that_a_page_leaves_out_stand_as_dots():
    output = "model\nGRU\nLSTM\n\nVerdict\n  - A tie of the two\n    that goes on.\n  - Use GRU.\n"
    assert make.shown(output, "^model|tie") == "model\n...\n  - A tie of the two\n    that goes on.\n...\n"
    assert make.shown(output, None) == output


def test_a_page_is_written_anew(tmp_path):
    page = tmp_path / "page.md"
    text = "# Page\n\n```python\nprint(2)\n```\n\n```text\n1\n```\n\n```console\n$ kseq --version\nold\n```\n"
    page.write_text(text, encoding="utf-8")
    assert make.make(page, check=True)
    assert page.read_text(encoding="utf-8") == text
    assert make.make(page)
    written = page.read_text(encoding="utf-8")
    assert "```text\n2\n```" in written
    assert re.search(r"\$ kseq --version\nkseq, version [\d.]+\n```", written)
    assert make.make(page, check=True) == []


def test_a_command_that_fails_otherwise_than_a_page_says_is_an_error(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```console\n$ kseq compare --epochs none\n```\n", encoding="utf-8")
    (failed,) = make.make(page)
    assert "status 2, expected 0" in failed
    page.write_text("<!-- block\nstatus: 2\n-->\n" + page.read_text(encoding="utf-8"), encoding="utf-8")
    make.make(page)
    assert "kseq: " in page.read_text(encoding="utf-8")


def test_an_unknown_directive_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- block\nshw: a\n-->\n```python\n1\n```\n", encoding="utf-8")
    with pytest.raises(ValueError, match="received shw; expected loose, picture, show, slow, status"):
        make.blocks(page)
