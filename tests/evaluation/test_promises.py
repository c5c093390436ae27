"""What is promised of conclusions holds in worlds whose truth is known; `make simulate` tries many more."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.simulations.__main__ import PAGE
from benchmarks.simulations.properties import EXPERIMENTS, PROMISES
from benchmarks.simulations.running import Share, run
from benchmarks.simulations.tables import BEGIN, END, HEADINGS, tables, written
from benchmarks.simulations.worlds import SHAPES, generator, silent_on_errors, worse
from llmflowlab.statistics.paired import differences_of

# Name, questions, evaluations.
CELLS = [
    ("skewed difficulty", 20, 150),
    ("correlated candidates", 200, 100),
    ("ceiling, 98 % right", 10, 150),
    ("grades, 85 % equal", 20, 100),
    ("grades, few bad", 10, 150),
    ("overlap, 40 % full", 20, 60),
    ("repeated questions", 20, 60),
    ("3 trials, 4 % failed", 20, 60),
    ("correlated candidates, 8 candidates", 20, 200),
    ("correlated candidates, 3 of 6 worse by 10 points", 50, 200),
    ("skewed difficulty, 10 points in rare losses", 50, 200),
    ("grades, 85 % equal, 10 points in rare losses", 20, 160),
    ("skewed difficulty, silent on 15 % of its errors", 50, 100),
    ("skewed difficulty, silent on 80 % of its errors", 20, 100),
    ("3 trials, 4 % failed, silent on 15 % of its errors", 20, 60),
    ("ceiling, 98 % right, silent on 15 % of its errors", 1000, 400),
]


@pytest.mark.parametrize(("name", "questions", "runs"), CELLS)
def test_a_promise_is_kept(name, questions, runs):
    chosen = [e for e in EXPERIMENTS if (e.name, e.questions) == (name, questions)]
    assert chosen
    for experiment in chosen:
        broken = [share for share in run(experiment, runs) if share.broken]
        assert broken == []


def test_a_promise_that_is_broken_is_found():
    # As if no interval held the truth, and somebody were always called better.
    [experiment] = [e for e in EXPERIMENTS if (e.name, e.questions) == ("skewed difficulty", 200)]

    def unequal(source, questions):
        return {promise: float(promise == "better") for promise in experiment.promises}

    shares = run(replace(experiment, look=unequal), 40)
    assert {share.promise for share in shares if share.broken} == {"mean", "difference", "better"}


@pytest.mark.parametrize("name", SHAPES)
def test_a_worlds_truth_is_what_its_many_rows_come_to(name):
    shape, source = SHAPES[name], generator(1)
    world = shape.world(source, 3, 15_000)
    for values in world.values:
        # Those who failed on every trial of a question left no mean of it.
        means = np.array(
            [v[~np.isnan(v)].mean() if (~np.isnan(v)).any() else np.nan for v in values]
        )
        kept = ~np.isnan(means)
        asked = np.asarray(world.questions)[kept]
        counts = np.bincount(asked)
        by_question = np.bincount(asked, weights=means[kept])[counts > 0] / counts[counts > 0]
        assert by_question.mean() == pytest.approx(shape.mean, abs=0.02)
    lost = worse(source, world, range(2, 3), 0.1)
    assert np.nanmean(lost.values[2]) == pytest.approx(np.nanmean(world.values[2]) - 0.1, abs=0.02)
    assert list(lost.means) == pytest.approx([shape.mean, shape.mean, shape.mean - 0.1])


def test_failing_on_would_be_errors_flatters_whoever_does_it():
    world = SHAPES["skewed difficulty"].world(generator(2), 2, 5_000)
    values = silent_on_errors(generator(3), world, 0.5).values
    assert np.nanmean(values[0]) > np.nanmean(values[1]) + 0.05
    assert not np.isnan(values[1]).any()


def test_shares_of_equal_grades_are_those_that_the_name_says():
    world = SHAPES["grades, 85 % equal"].world(generator(4), 2, 20_000)
    equal = np.mean(differences_of(*world.values[:, :, 0]) == 0)
    assert 0.85 <= equal <= 0.91


# The tables


def test_tables_have_a_row_for_each_world_and_mark_what_is_broken():
    shares = [
        Share(promise="better", name="skewed difficulty", questions=20, share=0.031, error=0.004),
        Share(promise="better", name="skewed difficulty", questions=50, share=0.2, error=0.01),
        Share(promise="gain", name="skewed difficulty", questions=20, share=0.0, error=0.01),
    ]
    text = tables(shares, 400)
    assert "| skewed difficulty |  | 3.1 ± 0.4 | **!** 20.0 ± 1.0 |  |  |" in text
    assert text.count(PROMISES["better"].title) == 1
    assert PROMISES["rank"].title not in text
    page = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    assert written(page, text) == f"before\n{BEGIN}\n\n{text}\n\n{END}\nafter\n"
    assert written(written(page, "x"), text) == written(page, text)


def test_the_page_has_what_the_program_writes():
    block = PAGE.read_text("utf-8").split(BEGIN)[1].split(END)[0]
    for promise in PROMISES.values():
        assert f"{promise.title}: promised {promise.side} {100 * promise.bound:g} %." in block
    assert block.count("| " + " | ".join(HEADINGS) + " |") == len(PROMISES)
    rows = [line for line in block.splitlines() if re.match(r"\| (?!scores|---)", line)]
    names = {experiment.name for experiment in EXPERIMENTS}
    assert {row.split(" | ")[0].removeprefix("| ") for row in rows} == names
    cell = re.compile(r"((\*\*!\*\* )?\d+\.\d ± \d+\.\d)?")
    for row in rows:
        cells = row.removeprefix("| ").removesuffix(" |").split(" | ")[1:]
        assert len(cells) == len(HEADINGS) - 1
        assert all(cell.fullmatch(text.strip()) for text in cells)
