"""What calls cost: exact, from the right list, and unknown where nobody can say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.errors import InputError
from llmflowlab.providers.factory import is_free
from llmflowlab.settings import Settings, load_settings
from llmflowlab.text.cost import Prices

WHEN = datetime(2025, 9, 1, tzinfo=timezone.utc)


def with_prices(tmp_path: Path, content: Any) -> Prices:
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "prices.json").write_text(text, encoding="utf-8")
    settings = load_settings({}, cwd=tmp_path, stdin_is_terminal=False)
    return Prices(settings, is_free=is_free)


OWN = {"input_per_million": "0.15", "output_per_million": "0.60"}


@pytest.mark.parametrize("provider", ["ollama", "guide"])
def test_local_models_cost_nothing_even_without_counts(settings: Settings, provider: str) -> None:
    cost = Prices(settings, is_free=is_free).cost(provider, "anything", None, None)
    assert cost == Decimal(0)
    assert isinstance(cost, Decimal)


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        pytest.param("openai", "gpt-4.1-mini", id="openai"),
        pytest.param("openai", "gpt-4.1-mini-2025-04-14", id="dated-version"),
        pytest.param("azure", "gpt-4.1-mini", id="azure-deployment-named-like-the-model"),
        pytest.param("azure", "gpt-4.1-mini-2025-04-14", id="azure-served-version"),
    ],
)
def test_listed_models_are_priced_exactly(settings: Settings, provider: str, model: str) -> None:
    # 0.40 and 1.60 USD per million tokens.
    assert Prices(settings).cost(provider, model, 1000, 500, at=WHEN) == Decimal("0.0012")


def test_gemini_is_priced_by_googles_list(settings: Settings) -> None:
    prices = Prices(settings)
    plain = prices.cost("gemini", "gemini-2.5-flash", 1_000_000, 1_000_000, at=WHEN)
    assert plain == Decimal("2.8")
    assert prices.cost("gemini", "models/gemini-2.5-flash", 1_000_000, 1_000_000, at=WHEN) == plain


def test_cached_tokens_are_part_of_the_prompt_and_cheaper(settings: Settings) -> None:
    prices = Prices(settings)
    # 900 at 0.40, 100 at 0.10 USD per million.
    cost = prices.cost("openai", "gpt-4.1-mini", 1000, 0, cached=100, at=WHEN)
    assert cost == Decimal("0.00037")


def test_more_cached_than_prompt_tokens_count_as_all_cached(settings: Settings) -> None:
    prices = Prices(settings)
    assert prices.cost("openai", "gpt-4.1-mini", 10, 0, cached=20, at=WHEN) == prices.cost(
        "openai", "gpt-4.1-mini", 10, 0, cached=10, at=WHEN
    )


@pytest.mark.parametrize(
    ("provider", "model", "prompt", "completion"),
    [
        pytest.param("openai", "my-own-model", 10, 10, id="unknown-model"),
        pytest.param("azure", "prod-deployment", 10, 10, id="azure-deployment-of-any-name"),
        pytest.param("nobody", "gpt-4.1-mini", 10, 10, id="unknown-provider"),
        pytest.param("openai", "gpt-4.1-mini", None, 10, id="unknown-prompt-tokens"),
        pytest.param("openai", "gpt-4.1-mini", 10, None, id="unknown-completion-tokens"),
        pytest.param("openai", "", 10, 10, id="no-model"),
    ],
)
def test_what_is_not_known_is_none_and_never_0(
    settings: Settings, provider: str, model: str, prompt: int | None, completion: int | None
) -> None:
    assert Prices(settings).cost(provider, model, prompt, completion) is None


def test_a_listed_model_without_token_prices_is_unknown_not_free(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import genai_prices
    from genai_prices.types import ModelPrice

    real = genai_prices.calc_price

    def without_prices(*args: Any, **kwargs: Any) -> Any:
        found = real(*args, **kwargs)
        found.model_price = ModelPrice()
        return found

    monkeypatch.setattr(genai_prices, "calc_price", without_prices)
    prices = Prices(settings)
    assert prices.cost("openai", "gpt-4.1-mini", 10, 10) is None
    assert prices.rates("openai", "gpt-4.1-mini") is None


def test_the_served_version_prices_a_deployment_of_any_name(settings: Settings) -> None:
    prices = Prices(settings)
    cost = prices.cost("azure", "prod-chat", 1000, 500, served="gpt-4.1-mini-2025-04-14", at=WHEN)
    assert cost == Decimal("0.0012")


def test_a_naive_time_is_taken_as_local_time(settings: Settings) -> None:
    at = WHEN.replace(tzinfo=None)
    assert Prices(settings).cost("openai", "gpt-4.1-mini", 1000, 500, at=at) == Decimal("0.0012")


def test_own_prices_extend_the_list(tmp_path: Path) -> None:
    prices = with_prices(tmp_path, {"openai:my-model": OWN})
    assert prices.cost("openai", "my-model", 1_000_000, 500_000) == Decimal("0.45")


def test_own_prices_win_over_the_list_and_over_the_served_version(tmp_path: Path) -> None:
    prices = with_prices(tmp_path, {"azure:prod": OWN, "openai:gpt-4.1-mini": OWN})
    assert prices.cost("openai", "gpt-4.1-mini", 1_000_000, 0) == Decimal("0.15")
    served = prices.cost("azure", "prod", 1_000_000, 0, served="gpt-4.1-mini-2025-04-14")
    assert served == Decimal("0.15")


def test_own_prices_may_name_the_served_version(tmp_path: Path) -> None:
    prices = with_prices(tmp_path, {"azure:gpt-9": OWN})
    assert prices.cost("azure", "prod", 1_000_000, 0, served="gpt-9") == Decimal("0.15")


def test_own_cached_price_is_used_and_otherwise_that_of_input(tmp_path: Path) -> None:
    cached = {**OWN, "cached_input_per_million": 0.075}
    prices = with_prices(tmp_path, {"openai:a": cached, "openai:b": OWN})
    assert prices.cost("openai", "a", 1_000_000, 0, cached=1_000_000) == Decimal("0.075")
    assert prices.cost("openai", "b", 1_000_000, 0, cached=1_000_000) == Decimal("0.15")


def test_rates_say_what_a_million_tokens_cost_and_who_says_so(tmp_path: Path) -> None:
    prices = with_prices(tmp_path, {"openai:mine": {**OWN, "cached_input_per_million": "0.01"}})
    listed = prices.rates("openai", "gpt-4.1-mini")
    assert listed is not None
    assert (listed.input_per_million, listed.output_per_million) == (Decimal("0.4"), Decimal("1.6"))
    assert (listed.cached_input_per_million, listed.source) == (Decimal("0.1"), "genai-prices")
    own = prices.rates("openai", "mine")
    assert own is not None
    assert (own.input_per_million, own.source) == (Decimal("0.15"), "prices.json")
    free = prices.rates("guide", "docs")
    assert free is not None
    assert (free.output_per_million, free.source) == (Decimal(0), "free")
    assert prices.rates("openai", "nobody-knows") is None


def test_an_unknown_address_with_the_vendors_model_is_taken_for_a_gateway(tmp_path: Path) -> None:
    settings = load_settings(
        {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}, cwd=tmp_path, stdin_is_terminal=False
    )
    prices = Prices(settings)
    assert prices.cost("openai", "gpt-4.1-mini", 1000, 500, at=WHEN) == Decimal("0.0012")
    assert prices.cost("openai", "qwen-local", 1000, 500) is None


def test_another_companys_address_is_priced_by_its_own_list(tmp_path: Path) -> None:
    settings = load_settings(
        {"OPENAI_BASE_URL": "https://api.groq.com/openai/v1"}, cwd=tmp_path, stdin_is_terminal=False
    )
    assert Prices(settings).rates("openai", "llama-3.1-8b-instant") is not None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("{", "not valid JSON", id="broken-json"),
        pytest.param([], "must hold an object", id="no-object"),
        pytest.param({"gpt": OWN}, "write provider:model", id="no-provider"),
        pytest.param({"openai:": OWN}, "write provider:model", id="no-model"),
        pytest.param({"openai:a": 1}, "an object with input_per_million", id="no-prices"),
        pytest.param({"openai:a": {**OWN, "x": 1}}, "'x'", id="unknown-field"),
        pytest.param({"openai:a": {"input_per_million": 1}}, "output_per_million", id="missing"),
        pytest.param(
            {"openai:a": {**OWN, "input_per_million": "cheap"}}, "number of USD", id="text"
        ),
        pytest.param({"openai:a": {**OWN, "input_per_million": -1}}, "from 0 up", id="negative"),
        pytest.param({"openai:a": {**OWN, "input_per_million": True}}, "number", id="true"),
        pytest.param('{"openai:a": {"input_per_million": NaN}}', "number", id="nan"),
        pytest.param('{"openai:a": {"input_per_million": "Infinity"}}', "number", id="infinity"),
    ],
)
def test_a_bad_price_file_is_one_clear_sentence(tmp_path: Path, content: Any, said: str) -> None:
    with pytest.raises(InputError) as caught:
        with_prices(tmp_path, content)
    assert said in caught.value.message
    assert str(tmp_path / "prices.json") in caught.value.message
    assert "\n" not in caught.value.message


def test_a_price_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    settings = load_settings(
        {"LLMFLOWLAB_PRICES": str(tmp_path / "gone.json")}, cwd=tmp_path, stdin_is_terminal=False
    )
    with pytest.raises(InputError, match="cannot be read"):
        Prices(settings)


def test_a_price_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    prices = with_prices(tmp_path, "\ufeff" + json.dumps({"OpenAI:Mine": OWN}))
    assert prices.cost("openai", "mine", 1_000_000, 0) == Decimal("0.15")


def test_making_prices_imports_no_price_list() -> None:
    # The menu opens while prices are being set up; the list takes half a second.
    code = (
        "import sys; from pathlib import Path; from llmflowlab.settings import load_settings;"
        "from llmflowlab.text.cost import Prices; from llmflowlab.text.tokens import TokenCounter;"
        "from llmflowlab.text.language import LanguageDetector;"
        "Prices(load_settings({})); TokenCounter().count('hello'); LanguageDetector(Path('.'));"
        "heavy = {'genai_prices', 'pydantic', 'tiktoken', 'fasttext', 'requests', 'numpy'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    root = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_list_can_be_loaded_beforehand(settings: Settings) -> None:
    import threading

    Prices(settings).preload()
    for thread in threading.enumerate():
        if thread.name == "prices-load":
            thread.join(30)
            assert not thread.is_alive()
    assert "genai_prices.data" in sys.modules


IMPORTED_TWICE = """
import sys, threading
from llmflowlab.text.cost import _import_catalog

def other():
    from genai_prices import Usage

failures = []
def run(function):
    try:
        function()
    except BaseException as exc:
        failures.append(repr(exc))

sys.setswitchinterval(1e-5)
threads = [threading.Thread(target=run, args=(f,)) for f in (_import_catalog, other, other)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(failures)
"""


def test_loading_prices_in_two_threads_does_not_deadlock():
    # Pins: the preload imported a module of genai-prices before the package, and a call priced at
    # that moment ended in importlib's _DeadlockError.
    root = str(Path(__file__).parents[2])
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", IMPORTED_TWICE],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": root},
        )
        assert done.stdout.strip() == "[]"
