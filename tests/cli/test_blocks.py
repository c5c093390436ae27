from __future__ import annotations

import pytest

from llmflowlab.cli.chat.blocks import BlockSplitter, PieceCleaner

CASES = [
    pytest.param("one\ntwo\n\nthree\n", ["one\ntwo"], "three\n", id="paragraphs"),
    pytest.param("```\na\n\nb\n```\nafter", ["```\na\n\nb\n```"], "after", id="fence-with-a-gap"),
    pytest.param("text\n```py\nx\n```\n", ["text", "```py\nx\n```"], "", id="fence-after-text"),
    pytest.param("````\n```\n````\nz", ["````\n```\n````"], "z", id="longer-fence-holds-a-shorter"),
    pytest.param("1. a\n\n2. b\n\n   more\n", [], "1. a\n\n2. b\n\n   more\n", id="loose-list"),
    pytest.param(
        "- a\n  ```\n  x\n  ```\n- b\n\nend\n",
        ["- a\n  ```\n  x\n  ```\n- b"],
        "end\n",
        id="fence-in-a-list-stays-in-it",
    ),
    pytest.param("\n\n\n# T\n\n\n\ntext\n", ["# T"], "text\n", id="many-blank-lines"),
    pytest.param("```\nnever closed\n\nx", [], "```\nnever closed\n\nx", id="open-fence"),
]


@pytest.mark.parametrize(("text", "blocks", "tail"), CASES)
@pytest.mark.parametrize("size", [1, 3, 1000], ids=["by-character", "by-three", "at-once"])
def test_blocks_are_the_same_however_the_text_is_cut(
    text: str, blocks: list[str], tail: str, size: int
) -> None:
    splitter = BlockSplitter()
    done: list[str] = []
    for start in range(0, len(text), size):
        done += splitter.feed(text[start : start + size])
    assert done == blocks
    assert splitter.close() == tail
    assert splitter.tail == ""


def test_escape_sequences_are_made_visible_even_when_cut_in_two() -> None:
    cleaner = PieceCleaner()
    cleaned = cleaner.clean("a\x1b") + cleaner.clean("]0;title\x07b\x9b2J")
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in cleaned)
    assert cleaned.startswith("a")


def test_a_line_end_cut_in_two_is_one_line_end() -> None:
    cleaner = PieceCleaner()
    assert cleaner.clean("a\r") + cleaner.clean("\nb\r") + cleaner.clean("c") == "a\nb\nc"
