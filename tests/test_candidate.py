"""One candidate in every room, with the digests that 0.1.0 gave it."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from llmflowlab.candidate import Candidate
from llmflowlab.messages import Message, Parameters, Request

CANDIDATE = Candidate(
    model="ollama:llama3.2:3b",
    display_name="Ollama",
    supplier="Ollama",
    system="Antworte knapp: „ja“ oder „nein“.",
    prompt="tone@2",
    parameters=Parameters(temperature=0.2, seed=7),
    variant="temperature 0.2",
)


def test_its_digests_are_those_of_the_first_release() -> None:
    # An answer that was paid for lies under the first, a registered version under the second.
    assert CANDIDATE.digest == "ab2c22a4e0afb02e317a2b4c8a1c37aa919bca55696ef65770b47a22f9ad0119"
    assert (
        CANDIDATE.version_digest
        == "86a8b4fb1786cfc38894b6f844bd87736fd7d95a8fea5d9a0a90de48c4d97766"
    )


@pytest.mark.parametrize(
    ("changed", "answers", "versions"),
    [
        pytest.param({"variant": None}, False, False, id="a word for the table"),
        pytest.param({"display_name": "Other"}, False, False, id="a name"),
        pytest.param({"prompt": None}, False, True, id="where the prompt came from"),
        pytest.param({"system": "Be brief."}, True, True, id="the system prompt"),
        pytest.param({"parameters": Parameters(seed=7)}, True, True, id="a parameter"),
        pytest.param({"model": "ollama:llama3.2:1b"}, True, True, id="the model"),
        pytest.param({"weights": {"file": "a", "sha256": "b"}}, True, True, id="the model's file"),
    ],
)
def test_what_changes_its_answers_and_what_its_version(
    changed: dict[str, object], answers: bool, versions: bool
) -> None:
    values = {name: getattr(CANDIDATE, name) for name in Candidate.__dataclass_fields__}
    other = Candidate(**{**values, **changed})
    assert (other.digest != CANDIDATE.digest) == answers
    assert (other.version_digest != CANDIDATE.version_digest) == versions


def test_the_file_of_a_model_is_part_of_what_is_kept_of_it() -> None:
    found = replace(CANDIDATE, weights={"file": "a.gguf", "sha256": "b"})
    assert found.model_config()["weights"] == {"file": "a.gguf", "sha256": "b"}
    assert Candidate.from_record(found.to_record()).weights == found.weights
    assert Candidate.from_json(asdict(found)) == found


def test_a_journal_keeps_it_flat_as_the_first_release_did() -> None:
    record = CANDIDATE.to_record()
    assert record == {
        "provider": "ollama",
        "model_name": "Ollama",
        "supplier": "Ollama",
        "model_id": "llama3.2:3b",
        "system_prompt": "Antworte knapp: „ja“ oder „nein“.",
        "prompt_version": "tone@2",
        "temperature": 0.2,
        "top_p": None,
        "max_tokens": None,
        "seed": 7,
    }
    again = Candidate.from_record({**record, "of_a_later_version": 1})
    assert (again.digest, again.prompt) == (CANDIDATE.digest, CANDIDATE.prompt)


def test_messages_and_parameters_are_spelled_in_one_way() -> None:
    request = Request(messages=(Message("user", "Hi"),), system="Be brief.")
    assert request.openai_messages() == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]
    assert Request(messages=request.messages).openai_messages() == request.openai_messages()[1:]
    assert Parameters(seed=0, top_p=0.0).given() == {"top_p": 0.0, "seed": 0}
