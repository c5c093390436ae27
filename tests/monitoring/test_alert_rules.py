"""Files of rules: what they may say, and that every fault is told with its line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmflowlab.errors import InputError
from llmflowlab.monitoring.alert_kinds import KINDS
from llmflowlab.monitoring.alert_rules import AlertRules, read_rules
from llmflowlab.monitoring.traffic import ChosenAnswers
from llmflowlab.settings import Settings, load_settings

WHOLE = """\
alpha: 0.02
days: 14
deliver:
  webhook: $HOOK
  command: [notify-send, LLMFlowLab, "{text}"]
rules:
  - name: too many errors
    error_rate: {above: 0.05}
    model: openai
    prompt: support@2
    alpha: 0.001
  - violation_rate: {above: 0.02, category: injection, direction: in}
  - latency: {above: 8, quantile: 0.9}
  - cost_per_hour: {above: 5}
  - name: thumbs
    score_drop: {scorer: thumbs_up, mean: 0.9, n: 200}
  - score_drop: {scorer: contains, evaluation: "20261125-1:2", margin: 0.02}
  - language_drift:
  - length_drift: {tolerance: 0.15, baseline: 200}
"""


def read(text: str, tmp_path: Path, **environment: str) -> AlertRules:
    file = tmp_path / "rules.yaml"
    file.write_text(text, "utf-8")
    return read_rules(file, load_settings(environment, cwd=tmp_path))


def test_a_file_of_every_kind_is_understood(tmp_path: Path) -> None:
    found = read(WHOLE, tmp_path, HOOK="https://hooks.example/secret")
    first, second = found.rules[:2]
    assert {rule.kind for rule in found.rules} == set(KINDS)
    assert (first.name, first.alpha, first.days) == ("too many errors", 0.001, 14)
    assert first.chosen == ChosenAnswers(model="openai", prompt="support@2")
    assert (second.name, second.alpha) == ("violation_rate", 0.02)
    assert found.rules[2].options == {"above": 8.0, "quantile": 0.9}
    assert found.rules[6].options == {"tolerance": 0.1, "baseline": 500, "hours": 24.0}
    assert found.deliveries.webhook == "https://hooks.example/secret"
    assert found.deliveries.command == ("notify-send", "LLMFlowLab", "{text}")


def test_a_rule_that_tests_something_else_is_another_one(tmp_path: Path) -> None:
    one = "rules: [{error_rate: {above: 0.05}}]"
    ids = {
        read(text, tmp_path).rules[0].id
        for text in (
            one,
            one.replace("0.05", "0.06"),
            one.replace("}}", "}, model: a}"),
            f"alpha: 0.02\n{one}",
            f"days: 7\n{one}",
        )
    }
    assert len(ids) == 5
    other_way_to_say_it = "rules:\n- error_rate:\n    above: 0.050\n- latency: {above: 1}"
    assert read(other_way_to_say_it, tmp_path).rules[0].id in ids


FAULTS = [
    ("", "line 1: the file is no list of keys with values."),
    ("rules: []", "line 1: rules has no rule; write a list of them."),
    ("rules: {a: b}", "line 1: rules has no rule; write a list of them."),
    ("rules: [\n", "it is no YAML in line 2."),
    ("a: 1\nrule: 2", "line 1: a is no key here; there are rules, deliver, alpha, days."),
    ("alpha: 1\nrules: [a]", "line 1: alpha 1 is not a chance between 0 and 0.5; 1 % is 0.01."),
    ("rules: [a]\nrules: [b]", "line 2: rules stands there twice."),
    ("rules:\n- name: x", "line 2: rules.1 says nothing of what it is about; give it one of "),
    (
        "rules:\n- error_rate: {above: 0.1}\n  latency: {above: 1}",
        "line 2: rules.1 is about several things; give it one of error_rate,",
    ),
    (
        "rules:\n- error_rte: {above: 0.1}",
        "line 2: rules.1.error_rte is no key here; did you mean error_rate?",
    ),
    (
        "rules:\n- error_rate:\n    above: 5",
        "line 3: rules.1.error_rate.above 5 is not a share between 0 and 1; 5 % is 0.05.",
    ),
    ("rules:\n- error_rate: {above: true}", "above True is not a share"),
    ("rules:\n- error_rate: {above: .nan}", "above nan is not a share"),
    ("rules:\n- error_rate: {above: '0.1'}", "above '0.1' is not a share"),
    ("rules:\n- error_rate:", "line 2: rules.1.error_rate lacks above: a share between 0 and 1"),
    ("rules:\n- latency: {above: 0}", "latency.above 0 is not a number above 0."),
    (
        "rules:\n- score_drop: {scorer: a, mean: 0.5}",
        "needs a baseline: either evaluation, or mean and n (of how many answers).",
    ),
    (
        "rules:\n- score_drop: {scorer: a, evaluation: b, n: 20, mean: 0.5}",
        "needs a baseline: either evaluation, or mean and n",
    ),
    ("rules:\n- score_drop: {scorer: a, mean: 1.5, n: 20}", "mean 1.5 is not a mean from 0 to 1."),
    ("rules:\n- score_drop: {scorer: a, mean: 1, n: 20.5}", "n 20.5 is not a whole number"),
    (
        "rules:\n- language_drift: {baseline: 10}",
        "baseline 10 is not a whole number of answers from 50 on.",
    ),
    (
        "rules:\n- error_rate: {above: 0.1}\n- error_rate: {above: 0.2}",
        "line 3: rules.2 is a second rule named 'error_rate'; name it.",
    ),
    (
        "deliver: {webhook: $NO}\nrules:\n- error_rate: {above: 0.1}",
        "line 1: deliver.webhook names the variable NO, which is not set.",
    ),
    (
        "deliver: {webhook: ftp://x}\nrules:\n- error_rate: {above: 0.1}",
        "line 1: deliver.webhook is no address that begins with https:// or http://.",
    ),
    (
        "deliver: {command: notify-send}\nrules:\n- error_rate: {above: 0.1}",
        "line 1: deliver.command is no list of texts; write [notify-send, LLMFlowLab, '{text}'].",
    ),
    ("deliver: {mail: a}\nrules:\n- error_rate: {above: 0.1}", "deliver.mail is no key here;"),
    ("&a rules: &b [*b]", "line 1: rules.1 is no list of keys with values."),
]


@pytest.mark.parametrize(("text", "said"), FAULTS)
def test_a_fault_is_one_sentence_with_line_and_key(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        read(text, tmp_path)
    assert raised.value.message.startswith(f"{tmp_path / 'rules.yaml'}: ")
    assert said in raised.value.message
    assert "\n" not in raised.value.message


def test_an_address_that_may_be_a_secret_is_in_no_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        read("deliver: {webhook: $H}\nrules: [{}]", tmp_path, H="s3cret://key")
    assert "s3cret" not in raised.value.message


@pytest.mark.parametrize("name", ["nowhere.yaml", "."])
def test_a_file_that_is_not_there_is_said(name: str, tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_rules(tmp_path / name, settings)


def test_bombs_of_names_are_read_in_no_time(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    with pytest.raises(InputError, match="a0 is no key here"):
        read("\n".join(lines), tmp_path)
