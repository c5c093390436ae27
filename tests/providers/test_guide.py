"""The offline guide: finds, names its source, and says where it does not know."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from llmflowlab.asking.calling import CallPolicy, call
from llmflowlab.data.dataset import load_dataset
from llmflowlab.errors import ConfigurationError, UnknownModel
from llmflowlab.evaluation.scorers.deterministic import contains
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import Finished, TextDelta
from llmflowlab.providers.factory import build, parse_reference
from llmflowlab.providers.guide import pages as guide_pages
from llmflowlab.providers.guide import provider as guide
from llmflowlab.providers.guide.introduction import INTRODUCTIONS
from llmflowlab.providers.guide.pages import corpus_digest, load_passages, parse_page
from llmflowlab.providers.guide.provider import DOES_NOT_KNOW, GuideProvider
from llmflowlab.providers.guide.search import words
from llmflowlab.settings import Settings
from llmflowlab.text.normalise import tokenise

ROOT = Path(__file__).parents[2]


def forget() -> None:
    for cache in (guide._passages, guide._built_index, guide._version):
        cache.cache_clear()


@pytest.fixture(autouse=True, scope="module")
def packaged_pages_only() -> Iterator[None]:
    """What is tested must not change with the documentation in the checkout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guide_pages, "_checkout_docs", lambda: None)
        forget()
        yield
    forget()


def ask(settings: Settings, *conversation: str, **options: object) -> str:
    roles: tuple[Literal["user", "assistant"], ...] = ("user", "assistant")
    messages = tuple(Message(roles[i % 2], text) for i, text in enumerate(conversation))
    request = Request(messages=messages, **options)  # type: ignore[arg-type]
    events = GuideProvider("docs", settings).stream(request)
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize(
    ("question", "source", "said"),
    [
        ("What is perplexity?", "glossary, perplexity", "exponential of the mean cross-entropy"),
        ("explain top-p", "glossary, top-p", "nucleus"),
        ("temperature", "glossary, temperature", "divides the logits"),
        ("What does RAG stand for?", "glossary, RAG", "Retrieval-augmented"),
        ("Was ist ein Kontextfenster?", "glossary, context window", "number of tokens"),
        ("Qu'est-ce qu'une hallucination ?", "glossary, hallucination", "false"),
        ("¿Qué es la perplejidad?", "glossary, perplexity", "exponential"),
        ("Che cos'è un intervallo di confidenza?", "glossary, confidence interval", "95 %"),
        ("How do I rate an answer?", "lab, Rate an answer", "/rate"),
        ("Which key does Gemini need?", "lab, Gemini", "GEMINI_API_KEY"),
        ("How do I limit the cost of an evaluation?", "lab, Limit the cost", "--budget"),
        ("What does exit code 5 mean for a gate?", "lab, Exit code of a failed gate", "5"),
        ("hello", "lab, What the guide is", "not a language model"),
        ("who are you?", "lab, What the guide is", "not a language model"),
        ("Hello, what is perplexity?", "glossary, perplexity", "cross-entropy"),
        ("Guten Tag! Wer bist du?", "lab, What the guide is", "kein Sprachmodell"),
        ("Qui êtes-vous ?", "lab, What the guide is", "pas un modèle de langage"),
        ("¡Hola!", "lab, What the guide is", "no soy un modelo"),
        ("Buongiorno, chi sei?", "lab, What the guide is", "non sono un modello"),
        ("Olá, quem é você?", "lab, What the guide is", "não sou um modelo"),
        ("O que é alucinação?", "glossary, hallucination", "false"),
        ("My run was killed, how do I resume it?", "lab, After a crash", "next start"),
        ("Wie beende ich den Chat?", "lab, End a chat", "/exit"),
    ],
)
def test_questions_about_the_lab_and_its_terms_are_answered_with_their_source(
    settings: Settings, question: str, source: str, said: str
) -> None:
    answer = ask(settings, question)
    assert answer.endswith(f"\n\nFrom: {source}")
    assert said in answer


@pytest.mark.parametrize(
    "question",
    [
        "What is the capital of France?",
        "Who wrote Hamlet?",
        "What is 17 times 23?",
        "Write a poem about the sea",
        "Wie hoch ist der Mont Blanc?",
        "Quelle heure est-il à Tokyo ?",
        "How many seconds are there in an hour?",
        "what time is it",
        "How many people live in China?",
        "write a python function that sorts a list",
        "how old are you",
        "what is the price of gold",
        "Erzähl mir einen Witz",
        "Écris un poème sur la mer",
        "cuéntame un chiste",
        "raccontami una barzelletta",
        "Escreva um poema",
        "asdf",
        "你好",
        "",
        "???",
        "the of and",
        "\ud800\0",
    ],
)
def test_it_says_plainly_when_it_does_not_know(settings: Settings, question: str) -> None:
    assert ask(settings, question) == DOES_NOT_KNOW


@pytest.mark.parametrize(
    "example", [each for known in INTRODUCTIONS.values() for each in known.examples]
)
def test_what_it_proposes_to_ask_is_answered(settings: Settings, example: str) -> None:
    assert "\n\nFrom: " in ask(settings, example)


@pytest.mark.parametrize("language", INTRODUCTIONS)
def test_every_greeting_and_question_about_itself_is_answered_in_its_language(
    settings: Settings, language: str
) -> None:
    known = INTRODUCTIONS[language]
    for said in [*known.greetings.split(","), *known.questions.split(",")]:
        assert ask(settings, said.capitalize() + "!").startswith(known.text), said


def test_not_knowing_names_three_things_to_ask() -> None:
    assert all(example in DOES_NOT_KNOW for example in INTRODUCTIONS["en"].examples)


def test_without_a_question_it_does_not_know(settings: Settings) -> None:
    assert ask(settings) == DOES_NOT_KNOW


def test_a_short_follow_up_leans_on_the_question_before(settings: Settings) -> None:
    first = "How do I set the key for Gemini?"
    assert "From: lab, Claude" in ask(settings, first, "…", "and for Claude?")
    assert "From: lab, Azure OpenAI" in ask(settings, first, "…", "und für Azure?")


def test_a_new_question_does_not_lean_on_the_one_before(settings: Settings) -> None:
    answer = ask(settings, "How do I set the key for Gemini?", "…", "perplexity")
    assert answer.endswith("From: glossary, perplexity")


def test_a_very_long_question_is_answered_in_bounded_work(settings: Settings) -> None:
    assert ask(settings, "x y " * 100_000 + "what is perplexity?") == DOES_NOT_KNOW


def test_system_prompt_and_parameters_change_nothing(settings: Settings) -> None:
    plain = ask(settings, "What is a token?")
    steered = ask(
        settings,
        "What is a token?",
        system="Answer in German.",
        parameters=Parameters(temperature=2.0, max_tokens=1),
    )
    assert steered == plain


def test_it_streams_words_and_ends_with_its_version(settings: Settings) -> None:
    request = Request(messages=(Message("user", "What is perplexity?"),))
    *pieces, last = GuideProvider("docs", settings).stream(request)
    assert len(pieces) > 20
    assert all(isinstance(piece, TextDelta) and len(piece.text.split()) == 1 for piece in pieces)
    assert last == Finished("stop", f"docs-{corpus_digest(load_passages())}")


def test_it_reports_no_usage_and_works_where_requests_are_switched_off(settings: Settings) -> None:
    provider = build(parse_reference("guide"), settings)
    request = Request(messages=(Message("user", "What is perplexity?"),))
    answer = call(provider, request, policy=CallPolicy())
    assert answer.state == "complete"
    assert answer.usage.prompt_tokens is None
    assert answer.finish_reason == "stop"


def test_it_says_of_itself_what_it_is(settings: Settings) -> None:
    provider = GuideProvider("docs", settings)
    assert (provider.reference, provider.display_name) == ("guide:docs", "Guide")
    assert (provider.free, provider.reports_usage, provider.is_language_model) == (
        True,
        False,
        False,
    )
    ready = GuideProvider.readiness(settings, 1.0)
    assert ready.ready
    assert "no language model" in ready.text
    assert [model.name for model in provider.list_models()] == ["docs"]
    assert "not a language model" in ask(settings, "what is the guide")


def test_another_model_of_the_guide_is_unknown(settings: Settings) -> None:
    with pytest.raises(UnknownModel, match="use guide:docs"):
        list(GuideProvider("gpt", settings).stream(Request(messages=())))


def test_it_downloads_nothing(settings: Settings) -> None:
    with pytest.raises(ConfigurationError):
        list(GuideProvider("docs", settings).pull())


def test_many_threads_get_the_same_answer_from_one_index(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []
    real = guide.Index  # type: ignore[attr-defined]  # what it imports is replaced

    def counted(passages: object) -> object:
        built.append(1)
        return real(passages)  # type: ignore[arg-type]

    monkeypatch.setattr(guide, "Index", counted)
    forget()
    answers: list[str] = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(settings, "What is recall?")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 8
    assert len(set(answers)) == 1
    assert len(built) == 1


def test_prepare_builds_the_index_beforehand(settings: Settings) -> None:
    forget()
    GuideProvider("docs", settings).prepare()
    assert guide._built_index.cache_info().currsize == 1


def test_using_the_guide_imports_no_library() -> None:
    code = (
        "import sys; from llmflowlab.providers.guide.provider import GuideProvider as G;"
        "from llmflowlab.settings import load_settings; s = load_settings({});"
        "G.readiness(s, 1.0); G('docs', s).list_models(); G('docs', s).prepare();"
        "print(sorted({'sklearn', 'numpy', 'scipy', 'mlflow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_on_the_benchmark_it_is_right_on_the_lab_and_does_not_know_the_rest(
    settings: Settings,
) -> None:
    right = dict.fromkeys(("lab", "rest"), 0)
    unknown = dict.fromkeys(("lab", "rest"), 0)
    total = dict.fromkeys(("lab", "rest"), 0)
    for row in load_dataset(ROOT / "benchmark.csv").rows:
        group = "lab" if row.category == "lab" else "rest"
        text = f"Context:\n{row.context}\n\nQuestion: {row.question}"
        answer = ask(settings, text if row.context else row.question)
        found = contains(
            tokenise(answer, language=row.language),
            tokenise(row.expected or "", language=row.language),
        )
        total[group] += 1
        right[group] += int(found)
        unknown[group] += answer == DOES_NOT_KNOW
    assert right["lab"] >= 8
    assert right["lab"] < total["lab"]
    assert unknown["rest"] >= 0.95 * total["rest"]
    assert right["rest"] == 0


def test_the_glossary_is_large_and_its_entries_short() -> None:
    glossary = [passage for passage in load_passages() if passage.page == "glossary"]
    assert len(glossary) >= 120
    assert len({passage.heading.lower() for passage in glossary}) == len(glossary)
    for passage in glossary:
        assert 30 < len(passage.text) < 500, passage.heading
        assert passage.text.endswith("."), passage.heading
        assert 1 <= len(guide._sentences(passage.text)) <= 3, passage.heading


@pytest.mark.parametrize("term", [p.heading for p in load_passages() if p.page == "glossary"])
def test_every_term_of_the_glossary_is_found_by_its_name(settings: Settings, term: str) -> None:
    assert ask(settings, f"What is {term}?").endswith(f"From: glossary, {term}")


def test_pages_of_the_checkout_are_added(tmp_path: Path) -> None:
    (tmp_path / "extra.md").write_text("# Extra\n\nAbout walruses.\n", encoding="utf-8")
    (tmp_path / "glossary.md").write_text("# No\n\nMust not win.\n", encoding="utf-8")
    passages = load_passages(tmp_path)
    assert "extra, Extra" in [passage.source for passage in passages]
    assert "Must not win." not in [passage.text for passage in passages]
    assert corpus_digest(passages) != corpus_digest(load_passages())


def test_pages_are_cut_at_headings_but_not_in_code() -> None:
    page = (
        "# Title\n\nIntro.\n\n## One\nAlso: uno, eins\n\nText `a`.\n\n```\n# no heading\n```\n\n"
        "## Empty\n\n## `Two` ##\nMore.\n"
    )
    found = parse_page("page", page)
    assert [(p.heading, p.aliases) for p in found] == [
        ("Title", ()),
        ("One", ("uno", "eins")),
        ("Two", ()),
    ]
    assert "# no heading" in found[1].text


def test_long_passages_are_cut_to_the_sentences_that_matter() -> None:
    text = "Alpha is first. Beta is second.\n\n- Gamma is third\n- Delta is fourth\n\n| a | b |\n|---|---|\n| Epsilon | fifth |\n"
    assert guide._sentences(text) == [
        "Alpha is first.",
        "Beta is second.",
        "- Gamma is third",
        "- Delta is fourth",
        "| a | b |",
        "| Epsilon | fifth |",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("Perplexité", ["perplexit"], id="accents"),
        pytest.param("What is the judge?", ["judg"], id="stop-words"),
        pytest.param("judges judged", ["judg", "judg"], id="endings"),
        pytest.param("GEMINI_API_KEY", ["gemini_api_key", "gemini", "api", "key"], id="identifier"),
        pytest.param("qu'est-ce que", [], id="only-stop-words"),
        pytest.param("p95 F1", ["p95", "f1"], id="short-terms"),
    ],
)
def test_words_meet_across_spellings(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_the_pages_ship_with_the_package(tmp_path: Path) -> None:
    # A wheel has no docs/ beside the package; what it has must be enough.
    import shutil

    shutil.copytree(
        ROOT / "llmflowlab", tmp_path / "llmflowlab", ignore=shutil.ignore_patterns("__pycache__")
    )
    code = (
        "import json; from llmflowlab.providers.guide.pages import load_passages, _checkout_docs;"
        "print(json.dumps([_checkout_docs() is None, sorted({p.page for p in load_passages()})]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [True, ["glossary", "lab"]]
