"""From a model reference to a provider."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import llmflowlab
from llmflowlab.agents.live import key_variable
from llmflowlab.agents.package import package
from llmflowlab.errors import InputError, NotConfigured
from llmflowlab.providers.base import Provider
from llmflowlab.providers.factory import (
    PROVIDERS,
    ModelReference,
    build,
    default_model,
    is_free,
    parse_reference,
    provider_class,
)
from llmflowlab.settings import Settings, load_settings
from llmflowlab.text.cost import Prices
from tests.patience import PATIENCE


@pytest.mark.parametrize(
    ("text", "provider", "model"),
    [
        pytest.param("gemini:gemini-2.5-flash", "gemini", "gemini-2.5-flash", id="plain"),
        pytest.param("openai:/gpt-4.1-mini", "openai", "gpt-4.1-mini", id="MLflow's form"),
        pytest.param("ollama:llama3.2:1b", "ollama", "llama3.2:1b", id="a tag after a colon"),
        pytest.param("ollama:hf.co/a/b:Q4", "ollama", "hf.co/a/b:Q4", id="slashes of its own"),
        pytest.param("ollama", "ollama", None, id="bare"),
        pytest.param(" Gemini : gemini-2.5-pro ", "gemini", "gemini-2.5-pro", id="blanks, capital"),
        pytest.param("claude:claude-haiku-4-5", "anthropic", "claude-haiku-4-5", id="Claude"),
        pytest.param("google:gemini-2.5-pro", "gemini", "gemini-2.5-pro", id="Google"),
        pytest.param("guide:docs", "guide", "docs", id="guide"),
    ],
)
def test_a_reference_is_read(text: str, provider: str, model: str | None):
    parsed = parse_reference(text)
    assert parsed == ModelReference(provider, model)
    assert parse_reference(str(parsed)) == parsed


@pytest.mark.parametrize("text", ["", "gpt-4.1-mini", "mistral:large", ":x", "/gemini"])
def test_a_reference_without_a_known_provider_is_refused_with_an_example(text: str):
    with pytest.raises(InputError, match=r"for example gemini:gemini-2\.5-flash"):
        parse_reference(text)


@pytest.mark.parametrize("text", ["gemini:", "gemini: ", "openai:/"])
def test_a_colon_without_a_model_is_refused(text: str):
    with pytest.raises(InputError, match="names no model after the colon"):
        parse_reference(text)


def test_an_unknown_provider_is_refused_by_name():
    with pytest.raises(InputError, match="'mistral' is no provider"):
        provider_class("mistral")


@pytest.mark.parametrize("name", PROVIDERS)
def test_every_provider_says_who_it_is(name: str):
    cls = provider_class(name)
    assert issubclass(cls, Provider)
    assert (cls.name, bool(cls.display_name), bool(cls.supplier)) == (name, True, True)


@pytest.mark.parametrize("name", PROVIDERS)
def test_readiness_never_raises_and_is_one_line(name: str, tmp_path: Path):
    # A dead address, so that Ollama's look ends at once.
    settings = load_settings({"OLLAMA_HOST": "127.0.0.1:9"}, cwd=tmp_path)
    found = provider_class(name).readiness(settings, 1.0)
    assert found.text
    assert "\n" not in found.text


def test_names_shown_in_runs_are_the_promised_ones():
    promised = {
        "gemini": ("Gemini", "Google"),
        "ollama": ("Ollama", "Ollama"),
        "openai": ("OpenAI", "OpenAI"),
        "azure": ("Azure", "Microsoft"),
        "anthropic": ("Claude", "Anthropic"),
        "guide": ("Guide", "LLMFlowLab"),
        "mlflow": ("MLflow", "MLflow"),
    }
    said = {name: (c.display_name, c.supplier) for name, c in classes().items()}
    # Beside them another provider may stand; these names are in people's runs.
    assert {name: said[name] for name in promised} == promised


def classes() -> dict[str, type[Provider]]:
    return {name: provider_class(name) for name in PROVIDERS}


def test_a_model_set_for_a_provider_beats_its_own_default(tmp_path: Path):
    settings = load_settings({"LLMFLOWLAB_GEMINI_MODEL": "gemini-2.5-pro"}, cwd=tmp_path)
    assert default_model(provider_class("gemini"), settings) == "gemini-2.5-pro"
    assert default_model(provider_class("ollama"), settings) == "llama3.2"


def test_a_bare_name_without_a_default_says_how_to_name_a_model(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(provider_class("ollama"), "default_model", None)
    with pytest.raises(InputError, match="Ollama has no default model; write ollama:MODEL"):
        build("ollama", settings)


def test_a_built_provider_knows_its_reference(settings: Settings):
    assert build("ollama:qwen3:4b", settings).reference == "ollama:qwen3:4b"
    assert build(ModelReference("ollama", None), settings).reference == "ollama:llama3.2"


def test_a_provider_without_its_key_is_not_built(settings: Settings):
    with pytest.raises(NotConfigured, match="set GEMINI_API_KEY"):
        build("gemini", settings)


def test_naming_providers_imports_none_of_them():
    program = (
        "import sys; from llmflowlab.providers.factory import parse_reference;"
        "parse_reference('gemini:x');"
        "print(sorted(m for m in sys.modules if m.startswith('llmflowlab.providers.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        cwd=Path(__file__).parents[2],
    )
    expected = ["llmflowlab.providers.base", "llmflowlab.providers.factory"]
    assert (done.stdout.strip(), done.stderr) == (str(expected), "")


def test_the_line_that_registers_a_provider_agrees_with_its_class():
    assert {name: line.display_name for name, line in PROVIDERS.items()} == {
        name: cls.display_name for name, cls in classes().items()
    }


def test_what_a_provider_says_of_itself_is_what_every_room_reads(tmp_path: Path):
    # Adding one must not mean to find tables in other rooms.
    needed = package().provider_requirements
    own = {name: cls.requirements for name, cls in classes().items()}
    # A guarded candidate needs something more, whatever its provider.
    assert needed == {**own, "guardrails": needed["guardrails"]}
    assert needed["azure"] == needed["openai"] == ("openai",)
    keys = {
        "gemini": "GEMINI_API_KEY",
        "ollama": "OLLAMA_API_KEY",
        "openai": "OPENAI_API_KEY",
        "azure": "AZURE_OPENAI_API_KEY",
        "anthropic": "ANTHROPIC_API_KEY",
        "guide": None,
        "mlflow": None,
    }
    assert {name: key_variable(name) for name in keys} == keys
    prices = Prices(load_settings({}, cwd=tmp_path), is_free=is_free)
    free = {name for name in PROVIDERS if prices.cost(name, "unheard-of", 10, 10) == 0}
    assert free == {name for name, cls in classes().items() if cls.free}


def test_every_family_s_folder_is_registered():
    room = Path(llmflowlab.__file__).parent
    families = {
        path.name for path in (room / "providers").iterdir() if (path / "__init__.py").exists()
    }
    told = {
        line.at.removeprefix("llmflowlab.providers.").partition(".")[0]
        for line in PROVIDERS.values()
    }
    assert families == {name for name in told if (room / "providers" / name).is_dir()}
