"""Situations as vectors, without a model: n-grams of words, hashed (Weinberger et al. 2009), and of length one."""

import hashlib
from math import log1p

import numpy as np

from tradepulse.domain.embeddings import Embedding
from tradepulse.domain.policy import Judgement, Policy
from tradepulse.meta_controller.facts import Facts

DIMENSIONS = 256
LONGEST_GRAM = 3
ALIKE = 5


def embedded(text: str) -> Embedding:
    """The same text, the same vector, on every machine."""
    vector = np.zeros(DIMENSIONS)
    words = text.lower().split()
    counts: dict[str, int] = {}
    for size in range(1, LONGEST_GRAM + 1):
        for start in range(len(words) - size + 1):
            gram = " ".join(words[start : start + size])
            counts[gram] = counts.get(gram, 0) + 1
    for gram, count in counts.items():
        digest = hashlib.blake2s(gram.encode(), digest_size=8).digest()
        place, sign = int.from_bytes(digest[:4], "little") % DIMENSIONS, 1.0 if digest[4] & 1 else -1.0
        vector[place] += sign * log1p(count)
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length if length else vector, dtype=np.float32)


def situation(facts: Facts, judgement: Judgement) -> str:
    """In words, coarse on purpose: what is alike shall read alike."""
    rank, breadth, correlation = facts.volatility_rank, facts.breadth, facts.correlation
    told = [
        f"state {judgement.state}",
        f"volatility {_tenth(rank)}",
        f"breadth {_tenth(breadth)}",
        f"correlation {_tenth(correlation)}",
        f"drawdown {_tenth(facts.drawdown * 5)}",
        f"weekend {facts.weekend}",
    ]
    told += [f"{one.strategy} {'alarmed' if one.alarmed else 'in order'}" for one in facts.strategies]
    return " ".join(told)


def remembered(policy: Policy) -> dict[str, object]:
    """A past decision and what followed, for people and for a language model."""
    return {
        "version": policy.version,
        "state": policy.rules.state.value,
        "risk": policy.bounds.risk_ppm / 1_000_000,
        "reasons": list(policy.reasons)[:3],
        "outcome": policy.outcome,
    }


def _tenth(value: float | None) -> str:
    return "unknown" if value is None else f"{round(value * 10)}"
