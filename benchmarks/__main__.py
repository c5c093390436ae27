"""`make bench`: every measuring program, one after the other; each prints ratios from one run."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import (
    coverage,
    data_check,
    evaluation,
    faults,
    first_token,
    growth,
    info,
    judged,
    long_chat,
    mlflow_evaluate,
    pace,
    resume,
    startup,
)

PROGRAMS: dict[str, Callable[[], None]] = {
    "startup": startup.main,
    "first_token": first_token.main,
    "chat": long_chat.main,
    "info": info.main,
    "evaluation": evaluation.main,
    "judged": judged.main,
    "mlflow": mlflow_evaluate.main,
    "resume": resume.main,
    "pace": pace.main,
    "data_check": data_check.main,
    "faults": faults.main,
    "coverage": coverage.main,
    "growth": growth.main,
}


def main(names: list[str]) -> int:
    for name in names or PROGRAMS:
        if name not in PROGRAMS:
            print(f"{name!r} is no benchmark; choose from {', '.join(PROGRAMS)}.", file=sys.stderr)
            return 2
        PROGRAMS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
