"""TradePulse IQ: patience and precision."""

__version__ = "0.1.0"
