"""What electricity and a rented graphics card cost when this was last looked up: `assets/prices.json`.

Where a person has set no price of their own, estimates go by these. Nothing is fetched.
"""

from functools import cache
from pathlib import Path
from statistics import median

from pydantic import BaseModel

_FILE = Path(__file__).resolve().parents[2] / "assets" / "prices.json"


class Electricity(BaseModel):
    price_per_kwh: float
    currency: str
    source: str


class RentedCard(BaseModel):
    """A machine with one graphics card of the class that is enough here (24 GB), by the hour."""

    card: str
    price_per_hour: float
    currency: str
    source: str


class Prices(BaseModel):
    as_of: str
    """Month and year of the price lists."""
    electricity: Electricity
    rented_cards: list[RentedCard]

    @property
    def rented_per_hour(self) -> float:
        """The median of the table; its currency is near enough to others for a comparison."""
        return round(median(card.price_per_hour for card in self.rented_cards), 2)


@cache
def load_prices() -> Prices:
    return Prices.model_validate_json(_FILE.read_bytes())
