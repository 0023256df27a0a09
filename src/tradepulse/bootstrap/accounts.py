"""From settings to the engine's numbers."""

from decimal import Decimal

from tradepulse.core.risk_manager import RiskLimits
from tradepulse.kernels.fills import PPM
from tradepulse.shared.settings import TradingSettings


def risk_limits(settings: TradingSettings) -> RiskLimits:
    return RiskLimits(
        risk_ppm=_ppm(settings.risk_per_trade),
        max_position_ppm=_ppm(settings.max_position),
        min_confluence=settings.min_confluence,
    )


def _ppm(share: Decimal) -> int:
    return int(share * PPM)
