"""200 rows answered in 200 ms and judged in 300 ms each, against a bare loop that sends the same."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.harness import environment, evaluate, migrated, questions, server, timed

BARE = """
import asyncio, sys, aiohttp
async def main(url, rows, concurrency):
    gate, judging = asyncio.Semaphore(concurrency), asyncio.Semaphore(concurrency)
    connector = aiohttp.TCPConnector(limit=2 * concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:
        async def ask(gate, body):
            async with gate, session.post(url + "/chat/completions", json=body) as response:
                return (await response.json())["choices"][0]["message"]["content"]
        async def one(i):
            message = {"role": "user", "content": f"q{i}"}
            await ask(gate, {"model": "bench", "messages": [message]})
            form = {"type": "json_object"}
            await ask(judging, {"model": "judge", "messages": [message], "response_format": form})
        await asyncio.gather(*[one(i) for i in range(rows)])
asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


def main(rows: int = 200, concurrency: int = 50) -> None:
    with tempfile.TemporaryDirectory() as folder, server() as url:
        home = Path(folder)
        env = environment(home, url)
        migrated(home)
        data = questions(home, rows)
        ideal = timed([sys.executable, "-c", BARE, url, str(rows), str(concurrency)], env)
        assert ideal.code == 0, ideal.output
        options = ("--model", "openai:bench", "--scorer", "correctness", "--judge", "openai:judge")
        lab = evaluate(data, home, env, *options, "--concurrency", str(concurrency))
        assert lab.code == 0, lab.output
    print(
        f"judged evaluation, {rows} rows: {lab.wall / ideal.wall:.1f} × the bare loop "
        f"({lab.wall:.2f} s against {ideal.wall:.2f} s), {lab.cpu / rows * 1000:.1f} ms of "
        "processor a row"
    )


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:2]))
