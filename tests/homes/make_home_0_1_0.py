"""Makes the home that `home-0.1.0.tar.xz` holds.

This is a record of what was done, not a tool of today: it was run once with the code of version 0.1.0
(commit 0f8d959, MLflow 3.17.2, Python 3.11) in a copy of that checkout at `/tmp/llmflowlab-0.1.0`, as

    git archive 0f8d959 | tar -x -C /tmp/llmflowlab-0.1.0
    cp -r tests/homes /tmp/llmflowlab-0.1.0/tests/
    cd /tmp/llmflowlab-0.1.0 && python -m tests.homes.make_home_0_1_0 /tmp/home-0.1.0.tar.xz

The home stood at `HOME`, whose name `unpacked.py` replaces. Models were the loopback server, with usage
and prices as the vendors report them. The archive cannot be made again from later code, which is what
makes it worth keeping: a home of that version is a promise, whatever the program looks like inside.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import sqlite3
import sys
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from llmflowlab.agents.config import candidate_config, panel_config
from llmflowlab.agents.logged import log_agent
from llmflowlab.providers.base import Parameters, allow_requests
from llmflowlab.settings import load_settings
from tests.e2e.program import Ended, Lab
from tests.loopback.responder import Responder, pause
from tests.loopback.scenario import Asked, Fault, Reply
from tests.loopback.server import LoopbackServer, closed_port

HOME = Path("/tmp/llmflowlab-0.1.0-home")
GPT, GEMINI, CLAUDE, LLAMA = (
    "openai:gpt-4.1-mini",
    "gemini:gemini-2.5-flash",
    "anthropic:claude-haiku-4-5",
    "ollama:llama3.2",
)
LONG = "Tell me a long story of the sea."
LOCK = "How do I pick a lock?"

QUESTIONS: list[dict[str, str]] = [
    {"question": "What is the capital of France?", "answer": "Paris", "category": "facts"},
    {"question": "What is 2 + 2?", "answer": "4", "answer_2": "four", "category": "arithmetic"},
    {
        "question": "Was ist die Hauptstadt von Österreich?",
        "answer": "Wien",
        "answer_2": "Vienna",
        "category": "facts",
        "language": "de",
        "guidelines": "Answer in German.\nGive one word.",
    },
    {
        "question": "日本の首都はどこですか？",
        "answer": "東京",
        "category": "facts",
        "language": "ja",
    },
    {
        "question": "Name a colour of the sky.",
        "category": "open",
        "guidelines": "Name exactly one colour.",
    },
    {
        "question": "Who wrote it?",
        "answer": "Goethe",
        "context": "„Faust“ is a tragedy in two parts by Goethe.",
        "category": "facts",
    },
    {"question": "What is 3 + 3?", "answer": "6", "category": "arithmetic"},
    {"question": "What is 3 + 3?", "answer": "6", "category": "arithmetic"},
    {"question": "What is 3 + 3?", "answer": "six", "category": "arithmetic"},
    {"question": LOCK, "answer": "With a key.", "category": "open"},
    {"question": LONG, "answer": "sea", "category": "open"},
    {"question": "At how many °C does water boil?", "answer": "100", "category": "facts"},
    {"question": "Which planet is the largest?", "answer": "Jupiter", "category": "facts"},
    {"question": "🙂 What does this show?", "answer": "a smile", "category": "open"},
    {"question": '=1+1, "quoted"; what is it?', "answer": "=2", "category": "arithmetic"},
    *(
        {"question": f"What is {n} × 7?", "answer": str(n * 7), "category": "arithmetic"}
        for n in range(3, 13)
    ),
]
"""Of the finished evaluation."""
COLUMNS = ("question", "answer", "answer_2", "context", "guidelines", "category", "language")

CONVERSATIONS: list[dict[str, Any]] = [
    {
        "messages": [
            {"role": "system", "content": "You talk with {{name}}."},
            {"role": "user", "content": "I like Köln."},
            {"role": "assistant", "content": "A fine city."},
            {"role": "user", "content": "Which city did I name?"},
        ],
        "params": {"max_tokens": 30, "custom_inputs": {"name": "Ada"}},
        "answer": "Köln",
    },
    {"messages": [{"role": "user", "content": "Say yes."}], "params": {}, "answer": "yes"},
]

KILLED_ROWS = 12
KILLED_AFTER = 5
AT_ONCE = 2


class Server(LoopbackServer):
    """Answers by model and question, so that two candidates differ in known places."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: Counter[tuple[str, str]] = Counter()
        self.counting = threading.Lock()
        self.known = {row["question"]: row.get("answer", "Blue, I think.") for row in QUESTIONS}
        self.scenario.verdict = self._verdict
        self.few: int | None = None
        """How many answers to the twelve questions are given before all others wait."""
        self.stuck = threading.Semaphore(0)
        self.scenario.answers = {
            "Which city did I name?": "You named Köln.",
            "Say yes.": "Yes.",
            "Hallo, wie geht es dir?": "Mir geht es gut, danke.",
        }

    def _chat(self, wire: Any, asked: Asked, exchange: Any) -> None:
        if asked.schema is not None or '"rationale"' in asked.whole:
            super()._chat(wire, asked, exchange)
            return
        found = [question for question in self.known if question in asked.question]
        if asked.question.startswith("Question number"):
            self._hold()
        if not found or not self._key_fits(wire, exchange.recorded, asked.model):
            super()._chat(wire, asked, exchange)
            return
        question = max(found, key=len)
        with self.counting:
            self.asked[wire.name, question] += 1
            before = self.asked[wire.name, question] - 1
        fault = self._fault(wire.name, question, before)
        exchange.recorded.fault = fault.kind if fault else None
        pause(0.01)
        text = self._text(wire.name, question, before)
        pieces = tuple(f"{word} " for word in text.split())
        most = asked.max_tokens or len(pieces)
        reply = Reply(
            pieces=pieces[:most],
            finish="length" if most < len(pieces) else "stop",
            served=asked.model,
        )
        responder = Responder(wire, asked, exchange, self.scenario, self._released)
        responder.respond(reply, fault)

    def _hold(self) -> None:
        with self.counting:
            if self.few is None:
                return
            self.few -= 1
            waits = self.few < 0
        if waits:
            self.stuck.release()
            self._released.wait(120)

    def _fault(self, wire: str, question: str, before: int) -> Fault | None:
        if wire == "gemini" and question == LOCK:
            return Fault("blocked_prompt")
        if wire == "gemini" and question == "Which planet is the largest?" and before == 0:
            # Paid for in part: Gemini tells its usage with every piece.
            return Fault("drop", after=1)
        if wire == "openai" and question == "At how many °C does water boil?" and before == 0:
            return Fault("rate_limited", wait=0.1)
        return None

    def _text(self, wire: str, question: str, before: int) -> str:
        if question == LONG:
            return "The sea " + "rolls on and on and " * 40 + "ends."
        if wire == "gemini" and "× 7" in question and int(question.split()[2]) % 3 == 0:
            return "That would be 12."
        if wire == "openai" and question == "Which planet is the largest?" and before:
            return "Saturn is."
        if wire == "openai" and question == "What is the capital of France?":
            return "The capital of France is Paris."
        return self.known[question]

    def _verdict(self, whole: str) -> str:
        if "a smile" in whole:
            return "perhaps"
        return "no" if "That would be 12" in whole or "Saturn" in whole else "yes"


def said(ended: Ended, code: int = 0) -> Ended:
    if ended.code != code:
        raise SystemExit(f"ended with {ended.code}:\n{ended.out}\n{ended.err}")
    return ended


def main(target: Path) -> None:
    if HOME.exists():
        raise SystemExit(f"{HOME} exists; remove it first.")
    HOME.mkdir()
    server = Server()
    with server:
        # Who made it must not stand in it.
        environment = {**server.environment(), "USER": "lab", "LOGNAME": "lab"}
        lab = Lab(HOME, environment)
        write_data()
        made: dict[str, Any] = {"made_with": "0.1.0"}
        prompts(lab)
        chats(lab, server, made)
        evaluations(lab, server, made)
        registry(lab, made)
        killed_evaluation(lab, server, made)
        undelivered_chats(lab, server, made)
        (HOME / "made.json").write_text(json.dumps(made, indent=2, ensure_ascii=False), "utf-8")
        assert server.failures == [], server.failures
    tidy()
    pack(target)


def write_data() -> None:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(QUESTIONS)
    (HOME / "questions.csv").write_text(out.getvalue(), "utf-8")
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in CONVERSATIONS]
    (HOME / "conversations.jsonl").write_text("".join(lines), "utf-8")
    twelve = [f"Question number {n}?,answer {n}\n" for n in range(KILLED_ROWS)]
    (HOME / "twelve.csv").write_text("question,expected\n" + "".join(twelve), "utf-8")
    runs = [f'"What is a run, number {n}?",MLflow\n' for n in range(12)]
    (HOME / "runs.csv").write_text("question,answer\n" + "".join(runs), "utf-8")


def prompts(lab: Lab) -> None:
    os.environ.update({name: lab.environment[name] for name in ("USER", "LOGNAME")})
    # The first command makes the store, with experiments where the home wants them.
    said(lab.run("chat", "--model", "guide:docs", "--message", "What is a p-value?"))
    from llmflowlab.tracking.store import open_store

    open_store(lab.settings)
    import mlflow.genai

    mlflow.genai.register_prompt("tone", "Be kind, {{name}}.", commit_message="first")
    mlflow.genai.register_prompt("tone", "Antworte knapp. ✓")
    mlflow.genai.set_prompt_alias("tone", "production", 2)


def chats(lab: Lab, server: Server, made: dict[str, Any]) -> None:
    # A first try that fails in the middle, paid in part, and a rating.
    server.fail(Fault("drop", after=1, wire="anthropic"))
    lines = ["What is 2 + 2?", "What is 3 + 3?", "/rate 4 right", "/exit"]
    said(lab.run("chat", "--model", CLAUDE, "--system", "Be brief.", typed="\n".join(lines)))
    # A turn that failed for good.
    server.fail(Fault("blocked_prompt", wire="openai"))
    said(lab.run("chat", "--model", GPT, typed="How do I hotwire a car?"), 4)
    options = ["--temperature", "0.3", "--max-tokens", "200", "--seed", "7"]
    lines = ["What is the capital of France?", "What is 2 + 2?"]
    said(lab.run("chat", "--model", GPT, *options, typed="\n".join(lines)))
    said(lab.run("chat", "--model", LLAMA, "--message", "Hallo, wie geht es dir?"))
    said(lab.run("chat", "--model", "azure:gpt-4.1-mini", "--message", "What is 2 + 2?"))
    said(lab.run("chat", "--model", GEMINI, "--prompt", "tone@2", "--message", "What is 3 + 3?"))
    # Stopped in the middle of its second answer.
    with lab.start("chat", "--model", GEMINI) as chat:
        chat.type("What is 2 + 2?")
        chat.wait_for("tokens/s")
        server.fail(Fault("hang", after=1, wire="gemini"))
        chat.type("Where does it stop?")
        chat.wait_for("You")
        chat.process.send_signal(signal.SIGINT)
        made["stopped_chat"] = {"code": chat.process.wait(60)}


def evaluations(lab: Lab, server: Server, made: dict[str, Any]) -> None:
    server.fail(Fault("drop", after=1, wire="anthropic"))
    scorers = ["exact_match", "contains", "token_f1", "rouge_l", "numeric_match", "chrf"]
    scorers += [
        "brief=length:max=40",
        "near=embedding_similarity:model=openai:text-embedding-3-small",
    ]
    scorers += ["correctness", "guidelines"]
    finished = lab.run(
        *("evaluate", "--model", GPT, "--model", GEMINI, "--data", "questions.csv"),
        *("--system", "Be brief; antworte kurz.", "--max-tokens", "60", "--trials", "2"),
        *(part for scorer in scorers for part in ("--scorer", scorer)),
        *("--judge", CLAUDE, "--budget", "5", "--fail-under", "contains=0.3", "--json"),
    )
    said(finished)
    document = finished.document
    made["finished"] = evaluation = document["evaluation_id"]
    made["finished_runs"] = [candidate["run_id"] for candidate in document["candidates"]]
    said(
        lab.run("evaluate", "--export-sheet", evaluation, "--sample", "4", "--output", "sheet.csv")
    )
    fill_sheet()
    said(lab.run("evaluate", "--import-sheet", "sheet.csv", "--judge-name", "Ada", "--json"))
    conversations = lab.run(
        *("evaluate", "--model", LLAMA, "--prompt", "tone@1", "--prompt", "tone@2"),
        *("--data", "conversations.jsonl", "--scorer", "contains", "--scorer", "length:max=60"),
        "--json",
    )
    made["conversations"] = said(conversations).document["evaluation_id"]


def fill_sheet() -> None:
    with (HOME / "sheet.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row["verdict"] = "no" if number % 4 == 3 else "yes"
    with (HOME / "sheet.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def registry(lab: Lab, made: dict[str, Any]) -> None:
    said(
        lab.run("registry", "register", "--model", "guide:docs", "--system", "Say it in one line.")
    )
    said(lab.run("registry", "register", made["finished_runs"][0]))
    said(lab.run("registry", "alias", "llm_openai_chat/1", "live"))
    benchmark = ("--benchmark", "runs.csv", "--scorer", "contains")
    said(lab.run("registry", "promote", "llm_guide_chat/1", *benchmark))
    promoted = said(
        lab.run("registry", "promote", "llm_guide_chat/2", *benchmark, "--margin", "0.5", "--json")
    )
    made["promotion"] = promoted.document["evaluation"]["evaluation_id"]
    agents(lab)
    for kind in ("panel", "json", "responses"):
        said(lab.run("registry", "alias", f"agent_{kind}/1", "live"))


def agents(lab: Lab) -> None:
    allow_requests(True)
    os.environ.update(lab.environment)
    settings = load_settings(cwd=HOME, stdin_is_terminal=False)
    brief = candidate_config(GPT, system_prompt="Be brief.", parameters=Parameters(temperature=0.5))
    log_agent(settings, "panel", panel_config(GPT, "guide:docs"), name="agent_panel")
    log_agent(settings, "json", {**brief, "concurrency": 2}, name="agent_json")
    log_agent(settings, "responses", brief, prompt="tone@2", name="agent_responses")


def killed_evaluation(lab: Lab, server: Server, made: dict[str, Any]) -> None:
    server.few = KILLED_AFTER
    server.scenario.answer = lambda question: question.removeprefix("Question number ").join(
        ("answer ", "")
    )
    with lab.start(
        *("evaluate", "--model", GPT, "--data", "twelve.csv", "--concurrency", str(AT_ONCE)),
        *("--scorer", "contains", "--scorer", "correctness", "--judge", CLAUDE),
    ) as running:
        for _ in range(AT_ONCE):
            assert server.stuck.acquire(timeout=120)
        # So long that what was answered is judged and recorded.
        time.sleep(6)
        running.kill()
    server.few = None
    time.sleep(5)
    with closing(sqlite3.connect(HOME / ".llmflowlab/evaluations.db")) as db:
        ((made["killed"],),) = db.execute("SELECT id FROM evaluations WHERE state = 'running'")
        kept: Mapping[str, int] = {
            table: db.execute(
                f"SELECT COUNT(*) FROM {table} WHERE evaluation = ?", (made["killed"],)
            ).fetchone()[0]
            for table in ("answers", "judgements", "outcomes")
        }
        made["killed_kept"] = {**kept, "rows": KILLED_ROWS}


def undelivered_chats(lab: Lab, server: Server, made: dict[str, Any]) -> None:
    """One whose process was killed, and one that ended while MLflow could not be reached."""
    with lab.start("chat", "--model", GPT) as killed:
        killed.type("What is 2 + 2?", "What is 3 + 3?")
        killed.wait_for("tokens/s", times=2)
        time.sleep(6)
        nowhere = f"http://127.0.0.1:{closed_port()}"
        said(
            lab.run("chat", "--model", LLAMA, "--message", "Say yes.", MLFLOW_TRACKING_URI=nowhere)
        )
        killed.kill()
    made["journals"] = sorted(path.name for path in lab.journals())


def tidy() -> None:
    for database in (HOME / "mlflow.db", HOME / ".llmflowlab/evaluations.db"):
        with closing(sqlite3.connect(database)) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.execute("VACUUM")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for ending in ("-wal", "-shm"):
            Path(f"{database}{ending}").unlink(missing_ok=True)
    for folder in [*HOME.rglob("__pycache__"), HOME / "no-tiktoken"]:
        shutil.rmtree(folder, ignore_errors=True)
    for lock in HOME.rglob("*.lock"):
        lock.unlink()


def pack(target: Path) -> None:
    carried: dict[bytes, str] = {}
    with tarfile.open(target, "w:xz", preset=9) as tar:
        for path in sorted(HOME.rglob("*")):
            if not path.is_file():
                continue
            info = tar.gettarinfo(path, path.relative_to(HOME).as_posix())
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mode, info.mtime = 0o644, 0
            content = path.read_bytes()
            if "/code/llmflowlab/" in info.name:
                # Every version carries the package: one copy, and links to it.
                first = carried.setdefault(content, info.name)
                if first != info.name:
                    info.type, info.linkname, info.size, content = tarfile.LNKTYPE, first, 0, b""
            tar.addfile(info, io.BytesIO(content))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
