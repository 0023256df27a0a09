"""The page about exchanges is the data it was made from. ``TRADEPULSE_RENEW_GOLDEN=1`` writes it anew."""

import os
from pathlib import Path

from tradepulse.exchanges.venue_page import venues_page

PAGE = Path(__file__).parents[3] / "docs" / "exchanges.md"


def test_page_when_compared_with_the_data_then_up_to_date() -> None:
    if os.environ.get("TRADEPULSE_RENEW_GOLDEN") == "1":
        PAGE.write_text(venues_page(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == venues_page()
