"""The last question before an entry: does the account allow it, and how much of it? Exits never come here."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from tradepulse.core.correlation import Correlations, room_below
from tradepulse.core.execution_core import ExecutionCore, PendingEntry
from tradepulse.core.exposure import Exposure, dearest_ticks, exposures, is_tradable, risk_ticks, within_limits
from tradepulse.core.portfolio import Portfolio
from tradepulse.core.risk_guard import RiskGuard
from tradepulse.core.risk_manager import SizedEntry
from tradepulse.core.wallets import Wallets
from tradepulse.domain.events import PriceSeen
from tradepulse.domain.market import MarketKey, MarketSpec
from tradepulse.domain.risk import AccountLimits
from tradepulse.domain.signals import Setup, Verdict
from tradepulse.kernels import fills


@dataclass(frozen=True, slots=True)
class Denied:
    verdict: Verdict
    reason: str


Answer = SizedEntry | Denied


@dataclass(frozen=True, slots=True)
class Admission:
    limits: AccountLimits
    portfolio: Portfolio
    execution: ExecutionCore
    guard: RiskGuard
    correlations: Correlations
    wallets: Wallets | None = None
    quotes: dict[MarketKey, PriceSeen] = field(default_factory=dict)
    """The last bid and ask of each market, where they are told."""

    def admit(self, setup: Setup, sized: SizedEntry, candle_age: float, now: int) -> Answer:
        """The entry, its size cut down to what the limits leave, or why not. The order is from the gravest on.

        ``candle_age``: of the newest base candle, in base candles.
        """
        answer: Answer = sized
        spec = self.portfolio.spec(setup.series.market)
        held = exposures(self.portfolio, self.execution.state.entries.values())
        steps: tuple[Callable[[SizedEntry], Answer], ...] = (
            lambda entry: self._allowed(setup, entry, now),
            lambda entry: self._fresh(entry, candle_age),
            lambda entry: self._sensible(entry, spec),
            lambda entry: self._narrow(setup, entry, spec),
            lambda entry: self._uncorrelated(setup, entry, spec, held),
            lambda entry: self._within(setup, entry, spec, held),
            lambda entry: self._cool(setup, entry, spec, held),
            lambda entry: self._within_wallets(entry, spec),
        )
        for step in steps:
            if isinstance(answer, SizedEntry):
                answer = step(answer)
        return answer

    def still_fits(self, entry: PendingEntry, held: list[Exposure]) -> bool:
        """Whether an entry on its way would be let in whole beside what is held, by the limits as they are now."""
        spec, setup = self.portfolio.spec(entry.setup.series.market), entry.setup
        answer: Answer = replace(entry.sized, lots=entry.open_lots)
        whole = answer
        steps: tuple[Callable[[SizedEntry], Answer], ...] = (
            lambda one: self._worth(one, spec),
            lambda one: self._uncorrelated(setup, one, spec, held),
            lambda one: self._within(setup, one, spec, held),
            lambda one: self._cool(setup, one, spec, held),
        )
        for step in steps:
            if isinstance(answer, SizedEntry):
                answer = step(answer)
        return answer == whole

    def _allowed(self, setup: Setup, sized: SizedEntry, now: int) -> Answer:
        refusal = self.guard.refusal(setup, now)
        return sized if refusal is None else Denied(refusal, self.guard.explained(refusal))

    def _fresh(self, sized: SizedEntry, age: float) -> Answer:
        most = self.limits.candle_age
        if not most or age <= most:
            return sized
        return Denied(Verdict.STALE_CANDLES, f"the last candle closed {age:.1f} candles ago, the limit is {most}")

    def _sensible(self, sized: SizedEntry, spec: MarketSpec) -> Answer:
        """What follows from a wrong price must not become an order. The plan comes from the last close, so it is the
        close before that says whether it can be right."""
        last, plan, limits = self.portfolio.marks.get(spec.key, 0), sized.plan, self.limits
        before = self.portfolio.marks_before.get(spec.key, last)
        worst = fills.worst_entry(plan.planned_ticks, plan.stop_ticks)
        if _beyond(plan.planned_ticks, before, limits.price_band_ppm):
            told = f"planned at {spec.price(plan.planned_ticks):f}, the candle before closed at {spec.price(before):f}"
            return Denied(Verdict.PRICE_BAND, told)
        if _beyond(worst, last, limits.slippage_ppm):
            told = f"would be filled as far as {spec.price(worst):f}, the last price is {spec.price(last):f}"
            return Denied(Verdict.SLIPPAGE_LIMIT, told)
        return self._worth(sized, spec)

    def _worth(self, sized: SizedEntry, spec: MarketSpec) -> Answer:
        limit = self.limits.order_value
        if not limit:
            return sized
        most = spec.units(limit) // dearest_ticks(sized.plan)
        return _cut(sized, most, spec, Verdict.ORDER_VALUE_LIMIT, f"the limit is {limit:f}")

    def _narrow(self, setup: Setup, sized: SizedEntry, spec: MarketSpec) -> Answer:
        """Only by a quote of this very candle: an older one says nothing of now."""
        limit, quote = self.limits.spread_ppm, self.quotes.get(spec.key)
        if not limit or quote is None or not quote.ask_ticks or quote.time < setup.bar_time:
            return sized
        if 2 * (quote.ask_ticks - quote.ticks) * fills.PPM <= limit * (quote.ask_ticks + quote.ticks):
            return sized
        told = f"{spec.price(quote.ticks):f} is bid and {spec.price(quote.ask_ticks):f} asked"
        return Denied(Verdict.SPREAD_LIMIT, f"{told}, the limit is {limit / 10_000:g} %")

    def _uncorrelated(self, setup: Setup, sized: SizedEntry, spec: MarketSpec, held: list[Exposure]) -> Answer:
        limit = self.limits.correlation.limit_ppm
        if not limit:
            return sized
        for one in held:
            same_way = one.direction is setup.direction
            found = self.correlations.together(spec, one.market, setup.found_at, same_way=same_way)
            if found * fills.PPM > limit:
                told = f"correlation of {found:.2f} with {one.market.key}, the limit is {limit / fills.PPM:g}"
                return Denied(Verdict.CORRELATED, told)
        return sized

    def _within(self, setup: Setup, sized: SizedEntry, spec: MarketSpec, held: list[Exposure]) -> Answer:
        others = [one.market for one in held]
        clustered = self.limits.correlation.cluster_ppm
        cluster = self.correlations.cluster(spec, others, setup.found_at) if clustered else frozenset()
        answer = within_limits(sized, spec, self.portfolio, held, self.limits, cluster)
        if isinstance(answer, SizedEntry):
            return answer
        named = ", ".join(str(key) for key in sorted(cluster)) if answer is Verdict.CLUSTER_LIMIT else ""
        return Denied(answer, f"together with {named}" if named else "")

    def _cool(self, setup: Setup, sized: SizedEntry, spec: MarketSpec, held: list[Exposure]) -> Answer:
        """Portfolio heat: shares of the equity that are lost at the stops, as far as they are lost together."""
        limit, equity = self.limits.correlation.heat_ppm / fills.PPM, float(self.portfolio.equity)
        if not limit or equity <= 0:
            return sized
        risks = np.array([float(one.risk) / equity for one in held])
        pairs = np.array([[self._paired(one, other, setup.found_at) for other in held] for one in held])
        new = Exposure(spec, spec.money(0), setup.direction, spec.money(0))
        with_new = np.array([self._paired(one, new, setup.found_at) for one in held])
        room = room_below(limit, risks, pairs.reshape(len(held), len(held)), with_new)
        one_lot = float(spec.money(risk_ticks(sized.plan))) / equity
        told = f"the risk at the stops would be more than {limit:.2%} of the equity"
        return _cut(sized, int(room / one_lot), spec, Verdict.HEAT_LIMIT, told)

    def _paired(self, one: Exposure, other: Exposure, now: int) -> float:
        if one is other:
            return 1.0
        same_way = one.direction is other.direction
        return self.correlations.together(one.market, other.market, now, same_way=same_way)

    def _within_wallets(self, sized: SizedEntry, spec: MarketSpec) -> Answer:
        if self.wallets is None:
            return sized
        missing = self.wallets.missing()
        if missing:
            return Denied(Verdict.NOT_READY, f"wallets that are not loaded yet: {', '.join(missing)}")
        room = self.wallets.room()
        if room is None:
            return sized
        told = f"{room:f} are left"
        return _cut(sized, spec.units(room) // dearest_ticks(sized.plan), spec, Verdict.WALLETS_LIMIT, told)


def _beyond(ticks: int, last: int, share_ppm: int) -> bool:
    return share_ppm > 0 and last > 0 and abs(ticks - last) * fills.PPM > last * share_ppm


def _cut(sized: SizedEntry, lots: int, spec: MarketSpec, verdict: Verdict, reason: str) -> Answer:
    if lots >= sized.lots:
        return sized
    return replace(sized, lots=lots) if is_tradable(lots, sized.plan, spec) else Denied(verdict, reason)
