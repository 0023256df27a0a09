"""How fast, and how exactly, the windows most alike are found among many. Prints a table in Markdown.

    python -m benchmarks.retrieval [--rows 100000] [--questions 300]

Rows are random walks encoded by the product's own model; every question is filtered by time and strategy.
"""

import argparse
import asyncio
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.honesty_tables import table
from tradepulse.domain.embeddings import Embedding, SetupWindow
from tradepulse.domain.market import Candles
from tradepulse.encoder.encoder_model import fit_encoder
from tradepulse.encoder.features import WINDOW, windows_of
from tradepulse.storage.db import open_database
from tradepulse.storage.embeddings import PostgresEmbeddingStore

HOUR = 3_600_000
STRATEGIES = ("htf_sweep", "volume_breakout", "divergence_capitulation")
COUNT = 100


def walks(rows: int, seed: int) -> Embedding:
    """Embeddings of windows of one long random walk whose volatility and volume come in bursts."""
    rng = np.random.default_rng(seed)
    bars = rows + WINDOW
    step = 0.01 * np.repeat(rng.lognormal(0, 0.5, bars // 40 + 1), 40)[:bars]
    close = 100 * np.exp(np.cumsum(rng.normal(0, 1, bars) * step - step**2 / 2))
    opened = np.concatenate(([100.0], close[:-1]))
    wick = np.abs(rng.normal(0, 0.3, (2, bars))) * step * close
    volume = rng.lognormal(3, 0.8, bars) * step
    high, low = np.maximum(opened, close) + wick[0], np.maximum(np.minimum(opened, close) - wick[1], 1e-9)
    candles = Candles(np.arange(bars) * HOUR, opened, high, low, close, volume)
    regime = np.zeros(bars, np.int8)
    parts = []
    model = None
    for first in range(WINDOW, bars, 20_000):
        bar = np.arange(first, min(first + 20_000, bars))
        windows = windows_of(candles, HOUR, regime, bar, rng.choice(np.array([-1, 1]), len(bar)))
        model = model or fit_encoder(windows)
        parts.append(model.encode(windows))
    return np.concatenate(parts)


async def measured(rows: int, questions: int) -> str:
    embeddings = walks(rows + questions, 1)
    rng = np.random.default_rng(2)
    resolved = rng.integers(0, 1_000_000, rows)
    with tempfile.TemporaryDirectory() as folder:
        async with open_database(None, Path(folder)) as database:
            store = PostgresEmbeddingStore(database)
            started = time.perf_counter()
            for first in range(0, rows, 10_000):
                await store.save_setups(
                    [
                        SetupWindow(
                            "m",
                            f"{row:08}",
                            "binance",
                            "BTC/USDT",
                            "1h",
                            STRATEGIES[row % 3],
                            1,
                            int(resolved[row]) - 1,
                            embeddings[row],
                            int(resolved[row]),
                            bool(row % 2),
                            1.0,
                        )
                        for row in range(first, min(rows, first + 10_000))
                    ]
                )
            stored = rows / (time.perf_counter() - started)
            waits: dict[str, list[float]] = {"index": [], "exact": []}
            recalls, short = [], 0
            for question in range(questions):
                asked = embeddings[rows + question]
                before, strategy = int(rng.integers(300_000, 1_000_000)), STRATEGIES[question % 3]
                answers = {}
                for name, exact in (("index", False), ("exact", True)):
                    begun = time.perf_counter()
                    found = await store.similar("m", asked, before, count=COUNT, strategy=strategy, exact=exact)
                    waits[name].append((time.perf_counter() - begun) * 1_000)
                    answers[name] = {one.setup_id for one in found}
                short += len(answers["index"]) < COUNT
                recalls.append(len(answers["index"] & answers["exact"]) / max(1, len(answers["exact"])))
    lines = [
        (name, f"{np.median(times):.1f}", f"{np.quantile(times, 0.95):.1f}", f"{max(times):.1f}")
        for name, times in waits.items()
    ]
    return table(
        f"The {COUNT} most alike of {rows:,}, one strategy, resolved before a time",
        ("", "p50 ms", "p95 ms", "max"),
        lines,
    ) + (
        f"\nRecall of the index: mean {np.mean(recalls):.4f}, least {min(recalls):.2f}; fewer than {COUNT} answers in "
        f"{short} of {questions} questions. Stored {stored:,.0f} rows/s, index kept up.\n"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", type=int, default=100_000)
    options.add_argument("--questions", type=int, default=300)
    chosen = options.parse_args()
    print(asyncio.run(measured(chosen.rows, chosen.questions)))


if __name__ == "__main__":
    main()
