"""Secrets leave every text that a vendor wrote, and nothing else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmflowlab.errors import InputError
from llmflowlab.providers.redact import redact, refuse_secrets
from llmflowlab.settings import Settings, load_settings

ENVIRON = {
    "OPENAI_API_KEY": "my own key of no form/1",
    "GEMINI_API_KEY": "zyxw",
    "MLFLOW_TRACKING_PASSWORD": "correct horse",
    "HTTPS_PROXY": "http://user:hunter22@proxy:3128",
    "KEYBOARD": "us",
    "PWD": "/home/student",
    "DB_PWD": "tiger",
    "SMTP_PASS": 'pa ss&"1',
    "LLMFLOWLAB_TOKEN_TIMEOUT": "60",
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(ENVIRON, cwd=tmp_path, stdin_is_terminal=False)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key my own key of no form/1 refused", "key [hidden] refused"),
        ("?key=my%20own%20key%20of%20no%20form%2F1", "?key=[hidden]"),
        ("zyxw", "[hidden]"),
        ("login scott/tiger@db failed", "login scott/[hidden]@db failed"),
        ("user=me&pass=pa+ss%26%221&x=1", "user=me&pass=[hidden]&x=1"),
        ('{"p": "pa ss&\\"1"}', '{"p": "[hidden]"}'),
        ("pwd=abc12345&x=1", "pwd=[hidden]&x=1"),
        ("key=my+own+key+of+no+form%2F1", "key=[hidden]"),
        ("with correct horse", "with [hidden]"),
        ("proxy said hunter22", "proxy said [hidden]"),
        (
            "Incorrect API key provided: sk-proj-ab12****wxyz.",
            "Incorrect API key provided: [hidden].",
        ),
        ("Incorrect API key provided: mine****wxyz.", "Incorrect API key provided: [hidden]."),
        ("AIzaSyNotARealKey-1234 is bad", "[hidden] is bad"),
        ("Authorization: Bearer abc.def-12345", "Authorization: Bearer [hidden]"),
        ("eyJhbGciOi.eyJzdWIiOi.c2ln in the log", "[hidden] in the log"),
        ("http://me:secret@host/v1", "http://[hidden]@host/v1"),
        ("api-key: 0123456789abcdef", "api-key: [hidden]"),
        ('{"api_key": "value123"}', '{"api_key": "[hidden]"}'),
        ("0123456789abcdef0123456789abcdef", "[hidden]"),
        ("Qx7" * 20, "[hidden]"),
    ],
)
def test_what_is_a_secret_or_looks_like_one_is_hidden(settings: Settings, text: str, shown: str):
    assert redact(text, settings) == shown


@pytest.mark.parametrize(
    "text",
    [
        "The model `gpt-4.1-mini` does not exist",
        "Rate limit reached in organization on requests per min (RPM): Limit 3, Used 3",
        "This model's maximum context length is 128000 tokens",
        "API key not valid. Please pass a valid API key.",
        "us and 60 are no secrets, whatever their variables are called",
        "task-oriented risk-free disk-based",
        "tigers in /home/student",
        "https://platform.openai.com/account/api-keys",
        "größe 世界 🌍",
    ],
)
def test_ordinary_words_stay(settings: Settings, text: str):
    assert redact(text, settings) == text


def test_a_secret_that_is_the_beginning_of_another_leaves_nothing_of_it(tmp_path: Path):
    environ = {"A_API_KEY": "secret-one", "B_API_KEY": "secret-one-and-more"}
    settings = load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)
    assert redact("secret-one-and-more", settings) == "[hidden]"


def test_an_address_that_cannot_be_read_hides_the_rest_all_the_same(tmp_path: Path):
    environ = {"OPENAI_BASE_URL": "http://[broken", "OPENAI_API_KEY": "secret-one"}
    settings = load_settings(environ, cwd=tmp_path, stdin_is_terminal=False)
    assert redact("secret-one", settings) == "[hidden]"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["a" * 200_000, "a-" * 100_000, "key=" * 50_000, "*" * 200_000])
def test_a_long_text_takes_no_more_than_its_length(settings: Settings, text: str):
    # A pattern that starts over at each character would take minutes.
    assert len(redact(text, settings)) <= len(text) + len("[hidden]")


@pytest.mark.parametrize(
    "text",
    [
        "Use my own key of no form/1 please",
        "Log in with sk-proj-ab12CD34ef56GH78ij90.",
        "AIzaSyA1234567890abcdefghijklmnop",
    ],
)
def test_a_text_that_is_to_be_registered_is_refused_with_a_key(settings: Settings, text: str):
    # A system prompt with sk-… in it once became a registered version.
    with pytest.raises(InputError, match=r"The system prompt holds a key.*take it out") as refused:
        refuse_secrets(text, settings, "The system prompt")
    assert text not in refused.value.message


@pytest.mark.parametrize(
    "text", [None, "", "Answer as a risk-averse sk-learn user.", "zyxw", "sk-learn-contrib-package"]
)
def test_an_ordinary_text_is_taken(settings: Settings, text: str | None):
    refuse_secrets(text, settings, "The system prompt")
