"""Two palettes, dark and light, told apart by people who see colours differently.

Every text colour has a contrast of at least 4.5 to 1 on its ground, and the four that carry meaning
stay apart in each kind of colour blindness.  Nothing is said by colour alone.
"""

from typing import Final

from textual.theme import Theme

DARK: Final = Theme(
    name="leyden-dark",
    primary="#7aa2ff",
    accent="#7aa2ff",
    success="#57e389",
    warning="#F0E442",
    error="#ff7a45",
    foreground="#e8eaed",
    background="#14161a",
    surface="#14161a",
    panel="#20242b",
    dark=True,
    text_alpha=1.0,
    variables={"muted": "#9aa3ad", "border": "#7aa2ff", "block-cursor-text-style": "none"},
)
LIGHT: Final = Theme(
    name="leyden-light",
    primary="#0b57d0",
    accent="#0b57d0",
    success="#007a5a",
    warning="#8a6100",
    error="#b3123b",
    foreground="#1b1d21",
    background="#fbfbf8",
    surface="#fbfbf8",
    panel="#ecece6",
    dark=False,
    text_alpha=1.0,
    variables={"muted": "#5a6270", "border": "#0b57d0", "block-cursor-text-style": "none"},
)
THEMES: Final = (DARK, LIGHT)
DEFAULTS: Final = {"muted": "#9aa3ad"}
"""Of our own variables, for themes that do not have them."""
