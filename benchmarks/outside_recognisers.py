"""`python -m benchmarks.outside_recognisers FOLDER`: the rules over the cases of other people's recognisers.

The folder holds, as their repositories have them: `test_{phone,iban,credit_card,email,us_ssn}_recognizer.py`
(microsoft/presidio, `presidio-analyzer/tests/`) and in `detect_secrets/` the `*_test.py` of
Yelp/detect-secrets (`tests/plugins/`). They are read and never run. `--misses` prints what is judged otherwise.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from llmflowlab.guardrails.policy import DEFAULT
from llmflowlab.guardrails.scanning import scan

_PRESIDIO = {
    "phone": "phones",
    "iban": "IBANs",
    "credit_card": "cards",
    "email": "mail",
    "us_ssn": "US social security numbers",
}
_OTHER = ("high_entropy_strings_test", "ip_public_test", "keyword_test")
"""What is about no token: entropy alone, addresses, and code in which a word says what a value is."""
_RULES = {"credit_card": "card", "us_ssn": "ssn"}
"""Names of our rules, where they are others."""


def cases(file: Path) -> Iterator[tuple[str, bool]]:
    """Yield the texts of a file's parametrized tests, and whether something is to be found in each."""
    tree = ast.parse(file.read_text("utf-8"))
    known = {
        node.targets[0].id: text
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and (text := _text(node.value, {})) is not None
    }
    for call in ast.walk(tree):
        if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.parametrize"):
            continue
        alone = "," not in (_text(call.args[0], known) or ",")
        listed = call.args[1].elts if isinstance(call.args[1], ast.List | ast.Tuple) else []
        for element in listed if alone else ():
            # Of texts alone each is to be found.
            if (text := _text(element, known)) is not None:
                yield text, True
        for node in ast.walk(call):
            if not (isinstance(node, ast.Tuple) and len(node.elts) >= 2):
                continue
            text, found = _text(node.elts[0], known), node.elts[1]
            if (
                text is not None
                and isinstance(found, ast.Constant)
                and type(found.value) in {int, bool}
            ):
                yield text, bool(found.value)


def _text(node: ast.expr, known: Mapping[str, str]) -> str | None:
    """Return the text that an expression is; None where it is another one."""
    match node:
        case ast.Constant(value=str() as text):
            return text
        case ast.Name(id=name):
            return known.get(name)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            parts = [_text(left, known), _text(right, known)]
            return None if None in parts else "".join(filter(None, parts))
        case ast.Call(func=ast.Attribute(value=form, attr="format"), args=args, keywords=named):
            values = [_text(arg, known) for arg in args]
            by_name = {each.arg or "": _text(each.value, known) for each in named}
            said = _text(form, known)
            return None if said is None else said.format(*values, **by_name)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--misses", action="store_true")
    arguments = parser.parse_args()
    groups: list[tuple[str, str | None, Path]] = [
        (
            f"Presidio: {name}",
            _RULES.get(kind, kind),
            arguments.folder / f"test_{kind}_recognizer.py",
        )
        for kind, name in _PRESIDIO.items()
    ]
    groups += [
        (f"detect-secrets: {file.stem.removesuffix('_test')}", None, file)
        for file in sorted((arguments.folder / "detect_secrets").glob("*_test.py"))
        if file.stem not in _OTHER
    ]
    print("| recogniser cases | found | let pass |\n| --- | --- | --- |")
    for name, rule, file in groups:
        listed = list(dict.fromkeys(cases(file))) if file.exists() else []
        judged = [(text, wanted, _found(text, rule)) for text, wanted in listed]
        if not judged:
            continue
        right = {
            kind: [found == wanted for _, wanted, found in judged if wanted is kind]
            for kind in (True, False)
        }
        row = [f"{sum(each)} of {len(each)}" if each else "" for each in right.values()]
        print(f"| {name} | {' | '.join(row)} |")
        for text, wanted, found in judged if arguments.misses else ():
            if found != wanted:
                print("   ", "missed" if wanted else "false alarm", repr(text)[:200])


def _found(text: str, rule: str | None) -> bool:
    findings = scan(text, DEFAULT, "in")
    if rule is None:
        return any(finding.category == "secrets" for finding in findings)
    return any(finding.rule == rule for finding in findings)


if __name__ == "__main__":
    main()
