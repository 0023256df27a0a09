"""How much of the usual size a setup may have, when several have a say. Whoever says least is heard.

The usual size is what the rules allow. No voice can raise it, and none can raise what another has left of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tradepulse.domain.policy import PolicyChanged
from tradepulse.domain.signals import Verdict
from tradepulse.kernels.fills import PPM


class Voice(StrEnum):
    """Of those that leave equally little, the first one here is named.

    The reliability engine comes first because what it alone refuses is followed as a shadow trade.
    """

    RULES = "rules"
    RELIABILITY = "reliability engine"
    META = "meta-controller"
    ENCODER = "encoder prior"
    DRL = "DRL policy"


# What a setup is told when a voice leaves nothing of it.
REFUSALS = {
    Voice.RULES: Verdict.NO_SIZE,
    Voice.RELIABILITY: Verdict.QUARANTINED,
    Voice.META: Verdict.POLICY_PAUSED,
    Voice.ENCODER: Verdict.PRIOR_TOO_LOW,
    Voice.DRL: Verdict.SKIPPED_BY_POLICY,
}
_ORDER = {voice: place for place, voice in enumerate(Voice)}


@dataclass(frozen=True, slots=True)
class Opinion:
    """``share_ppm``: of the usual size, in parts per million. More than all of it counts as all, less than 0 as 0."""

    voice: Voice
    share_ppm: int
    reason: str = ""

    @property
    def bounded(self) -> int:
        return min(max(self.share_ppm, 0), PPM)


@dataclass(frozen=True, slots=True)
class EffectiveSize:
    share_ppm: int = PPM
    limited_by: Voice = Voice.RULES
    reason: str = ""

    @property
    def refusal(self) -> Verdict:
        return REFUSALS[self.limited_by]

    @property
    def story(self) -> str:
        """Empty where no voice has taken anything away."""
        if self.share_ppm >= PPM:
            return ""
        because = f" ({self.reason})" if self.reason else ""
        return f"{self.share_ppm * 100 / PPM:g} % of the usual size by the {self.limited_by}{because}"


FULL_SIZE = EffectiveSize()


def effective_size(opinions: Iterable[Opinion]) -> EffectiveSize:
    """min(rules, reliability engine, meta-controller, encoder prior, DRL policy). Who is silent takes nothing away."""
    least = min(opinions, key=lambda one: (one.bounded, _ORDER[one.voice]), default=None)
    if least is None or least.bounded >= PPM:
        return FULL_SIZE
    return EffectiveSize(least.bounded, least.voice, least.reason)


def opinion_of(policy: PolicyChanged | None, strategy: str, now: int) -> Opinion | None:
    """What the policy says about a setup of ``strategy``; nothing once its time is over."""
    if policy is None or not policy.holds_at(now):
        return None
    if strategy in policy.paused:
        return Opinion(Voice.META, 0, f"policy {policy.version} pauses {strategy}: {policy.reason}")
    return Opinion(Voice.META, policy.risk_ppm, f"policy {policy.version}: {policy.reason}")


def raised_confluence(usual: float, policy: PolicyChanged | None, now: int) -> float:
    """The share of the weighted conditions that is asked for; never less than the settings say, never more than all."""
    if policy is None or not policy.holds_at(now):
        return usual
    return max(usual, min(1.0, usual + policy.confluence_bump_ppm / PPM))
