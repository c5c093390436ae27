import json

import pytest

from llmflowlab.data.dataset import load_dataset
from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.table import plan_traits
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.scorer_choice import check_scorers
from llmflowlab.evaluation.scorers.base import CorpusScorer, ScorerSpec, TextScorer, parse_scorer
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS, build_text_scorer
from llmflowlab.evaluation.scorers.ranking import says_right
from llmflowlab.evaluation.scorers.traits import traits_of
from tests.evaluation.helpers import answer, dataset, plan

OPTIONS = {"regex": "pattern=x", "length": "max=3", "json_schema": 'schema="{}"'}


def example(kind):
    return parse_scorer(f"{kind}:{OPTIONS[kind]}" if kind in OPTIONS else kind)


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        pytest.param("bleu", ScorerSpec("bleu", "bleu"), id="kind"),
        pytest.param("b=bleu", ScorerSpec("b", "bleu"), id="name"),
        pytest.param(
            "length:min=2,max=5",
            ScorerSpec("length", "length", {"min": "2", "max": "5"}),
            id="options",
        ),
        pytest.param(
            'x=regex:pattern="a{1,2}=""b""",mode=search',
            ScorerSpec("x", "regex", {"pattern": 'a{1,2}="b"', "mode": "search"}),
            id="quotes",
        ),
        pytest.param(
            "regex:pattern=\\d+:x=y",
            ScorerSpec("regex", "regex", {"pattern": "\\d+:x=y"}),
            id="colon",
        ),
        pytest.param(
            "rouge_1:stemmer", ScorerSpec("rouge_1", "rouge_1", {"stemmer": True}), id="flag"
        ),
        pytest.param(
            "mine=judge:file=C:\\judges\\a.txt",
            ScorerSpec("mine", "judge", {"file": "C:\\judges\\a.txt"}),
            id="own-judge",
        ),
    ],
)
def test_a_scorer_is_read_as_it_is_written(text, spec):
    assert parse_scorer(text) == spec
    assert ScorerSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "names no scorer", id="empty"),
        pytest.param("a b", "names no scorer", id="space"),
        pytest.param("=bleu", "names no scorer", id="no-name"),
        pytest.param("a/b=bleu", "cannot be called", id="slash"),
        pytest.param("latency=bleu", "cannot be called", id="other-metric"),
        pytest.param("x.y=bleu", "cannot be called", id="point"),
        pytest.param("regex:pattern=a{1,2}", "into quotes", id="comma"),
        pytest.param('regex:pattern="a', "does not end", id="open-quote"),
        pytest.param("length:min=1,min=2", "twice", id="twice"),
    ],
)
def test_a_malformed_scorer_is_refused_in_one_sentence(text, said):
    with pytest.raises(InputError, match=said):
        parse_scorer(text)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        pytest.param(["nonsense"], "is no scorer", id="unknown"),
        pytest.param(["contains=length:max=3"], "is a scorer already", id="name-of-another"),
        pytest.param(
            ["length:max=1", "length:max=2"], "Two scorers are called", id="two-of-a-kind"
        ),
    ],
)
def test_scorers_that_cannot_stand_together_are_refused(texts, said):
    with pytest.raises(InputError, match=said):
        check_scorers(texts)


@pytest.mark.parametrize(
    "text",
    [
        "exact_match:nonsense=1",
        "exact_match:case=upper",
        "numeric_match:absolute=-1",
        "numeric_match:relative=nan",
        "numeric_match:which=first",
        "regex",
        "regex:pattern=(",
        'regex:pattern="x{2,1}"',
        "length",
        "length:min=5,max=2",
        "length:max=two",
        "bleu:tokenize=13b",
        "chrf:words=9",
        "rouge_1:stemmer=maybe",
        "json_schema",
        "json_schema:file=/does/not/exist.json",
        'json_schema:schema="{"',
        'json_schema:schema="[1]"',
        'json_schema:schema=\'{"type": "nothing"}\'',
        'json_schema:schema=\'{"$ref": "#/$defs/gone"}\'',
        'json_schema:schema=\'{"$ref": "http://example.org/s.json"}\'',
    ],
)
def test_an_option_that_cannot_be_used_is_one_sentence_that_names_the_scorer(text):
    with pytest.raises(InputError) as caught:
        build_text_scorer(parse_scorer(text))
    assert caught.value.message.startswith(f"Scorer {text.partition(':')[0]}: ")
    assert "\n" not in caught.value.message.strip()


@pytest.mark.parametrize("kind", [k for k in TEXT_KINDS if not TEXT_KINDS[k].asks_model])
def test_every_kind_is_built_as_its_table_says(kind):
    scorer = build_text_scorer(example(kind))
    assert isinstance(scorer, TextScorer)
    assert (scorer.name, scorer.binary) == (kind, TEXT_KINDS[kind].binary)
    assert not scorer.needs_judge
    assert isinstance(scorer, CorpusScorer) == (kind in {"bleu", "chrf"})


@pytest.mark.parametrize("kind", [k for k in TEXT_KINDS if not TEXT_KINDS[k].asks_model])
def test_a_dataset_without_answers_is_refused_by_scorers_that_would_score_none_of_it(
    tmp_path, kind
):
    data = dataset(tmp_path, "question\nWhat is the time?\n")
    scorer = build_text_scorer(example(kind))
    score = scorer.score(data.rows[0], answer("It is late."))
    assert (scorer.lacks(data) is None) == (score.not_scored != "no_expected_answer")


def test_a_plan_keeps_its_scorers_options(tmp_path):
    specs = (ScorerSpec("short", "length", {"max": "5"}),)
    first = plan(dataset(tmp_path), scorers=("exact_match", "short"), scorer_specs=specs)
    ledger = Ledger(tmp_path / "l.db")
    ledger.begin(first, "2026-01-01 00:00:00")
    again = ledger.plan(first.evaluation_id)
    ledger.close()
    assert again.spec("short") == specs[0]
    assert again.spec("exact_match") == ScorerSpec.plain("exact_match")
    kinds = {name: traits.kind for name, traits in plan_traits(again).items()}
    assert kinds == {"exact_match": "yes_no", "short": "yes_no"}


def test_a_plan_of_an_older_ledger_has_scorers_that_are_their_own_kind(tmp_path):
    first = plan(dataset(tmp_path))
    described = first.describe()
    del described["scorer_specs"]
    assert EvaluationPlan.from_json(described, first.dataset).spec("contains").kind == "contains"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("d.jsonl", '{"question": "Capital of Austria?", "answer": ["Vienna", "Wien", "Wien"]}\n'),
        ("d.csv", "question,answer,Answer 2\nCapital of Austria?,Vienna,Wien\n"),
        ("d.csv", "question,answer,answer_2,answer_3\nCapital of Austria?,Vienna,,Wien\n"),
    ],
)
def test_a_row_may_accept_several_answers(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    row = load_dataset(file).rows[0]
    assert (row.expected, row.alternatives) == ("Vienna", ("Wien",))


def test_alternatives_outlive_the_ledger_and_change_the_digest(tmp_path):
    one = dataset(tmp_path, "question,answer\nQ,Vienna\n", "a.csv")
    two = dataset(tmp_path, "question,answer,answer_2\nQ,Vienna,Wien\n", "a.csv")
    assert one.digest != two.digest
    ledger = Ledger(tmp_path / "l.db")
    ledger.begin(plan(two), "2026-01-01 00:00:00")
    assert ledger.plan("20260101-000000-abcd").dataset.rows == two.rows
    ledger.close()


@pytest.mark.parametrize(
    ("kind", "right", "higher"),
    [
        pytest.param("contains", True, True, id="contains"),
        pytest.param("token_f1", False, True, id="nearness"),
        # It was missing from a list of names that stood in another file.
        pytest.param("squad_exact", True, True, id="squad_exact"),
        pytest.param("refusal", False, False, id="refusal"),
        pytest.param("correctness", True, True, id="judge"),
        pytest.param("fluency", False, True, id="judge of manner"),
    ],
)
def test_a_kind_says_itself_whether_it_calls_answers_right_and_which_way_is_up(kind, right, higher):
    assert says_right(kind) is right
    assert traits_of(ScorerSpec.plain(kind)).higher_is_better is higher


def test_accuracy_is_a_name_for_exact_match():
    spec = parse_scorer("accuracy:case=keep")
    assert (spec.name, spec.kind) == ("accuracy", "exact_match")
    assert parse_scorer("exact=accuracy").kind == "exact_match"
