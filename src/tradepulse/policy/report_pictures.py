"""Pictures of the training report as inline SVG: colours follow the page's theme, equal numbers give equal bytes.

matplotlib is imported where it draws: it looks for fonts on the disk when imported, and a module of ours must not.
"""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from numbers import Real
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from scipy.ndimage import gaussian_filter

from tradepulse.domain.training import JsonObject

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch

MOST_POINTS = 2500
"""Dots drawn at most; a design has 2,049. Beyond it every so many-th is drawn, from the sorted points."""
MOST_MOMENTS = 1200
TICKS = 5
DAY = 86_400_000
"""Milliseconds; matplotlib's dates are days since 1970."""
GRID = 36
SMOOTHING = 0.04
"""Standard deviation of the smoothing as a share of the axis, at least."""
LEAST_WEIGHT = 1e-3

INK, MUTED, FAINT = "#0a0b01", "#0a0b02", "#0a0b03"
GOOD, BAD, DOTS, SHADE = "#0a0b04", "#0a0b05", "#0a0b06", "#0a0b07"
_THEME = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    FAINT: "var(--line)",
    GOOD: "var(--good)",
    BAD: "var(--bad)",
    DOTS: "var(--dots)",
    SHADE: "var(--shade)",
}
"""Colours that stand for the page's own: matplotlib knows no CSS variables, so they are put in afterwards."""

"""Orange below zero, blue above, clear at zero, grey where no point is near: the same hues for every eye and on
light and on dark paper."""

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "tradepulse",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": MUTED,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "axes.unicode_minus": True,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "legend.handletextpad": 0.3,
}
_ONE_AT_A_TIME = Lock()
"""matplotlib reads its style from one table of the process."""


Picture = dict[str, str | None]
"""SVG by kind of picture; ``None`` where the family has nothing to draw."""


def family_pictures(families: Sequence[JsonObject]) -> list[Picture]:
    """``in_out``, ``surface``, ``cscv`` and ``equity`` of each; ids within the SVG start with the family's anchor."""
    from matplotlib import style

    kinds = {"in_out": _in_against_out, "surface": _plateau_surface, "cscv": _logit_histogram, "equity": _equity}
    with _ONE_AT_A_TIME, style.context(["default", _STYLE]):
        return [
            {kind: draw(family, f"{family['anchor']}-{kind}") for kind, draw in kinds.items()} for family in families
        ]


def _in_against_out(family: JsonObject, name: str) -> str | None:
    """Mean R of every point, earlier time (x) against recent (y). ``None``: no point has enough trades."""
    points = _table(family.get("in_out"), 2)
    if not len(points):
        return None
    marks = [
        (_expectancies(family.get("defaults")), "defaults", "D", BAD),
        (_expectancies(family.get("plateau")), "plateau", "o", GOOD),
    ]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        shown = np.vstack([points, *(mark for mark, *_ in marks if mark is not None)])
        low, high = _padded(shown.min(), shown.max())
        axes.plot([low, high], [low, high], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)), label="as before")
        _zero_lines(axes)
        axes.add_artist(_dots(_every_so_many(points), (high - low) / 1000))
        for mark, label, shape, colour in marks:
            if mark is not None:
                axes.plot(
                    *mark,
                    shape,
                    color=colour,
                    markersize=8,
                    markeredgecolor=INK,
                    markeredgewidth=1.1,
                    label=label,
                    linestyle="none",
                )
        axes.set(xlim=(low, high), ylim=(low, high), xlabel="mean R in earlier time", ylabel="mean R in recent time")
        axes.legend(loc="upper left", bbox_to_anchor=(0.0, 1.14), ncols=3, columnspacing=1.0, borderpad=0)

    return _picture(draw, name, "Mean R of every parameter set, in earlier against recent time")


@cache
def _bad_to_good() -> Colormap:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(
        "bad to good",
        [
            (0.0, (0.80, 0.40, 0.0, 1.0)),
            (0.5, (0.80, 0.40, 0.0, 0.0)),
            (0.5, (0.0, 0.45, 0.70, 0.0)),
            (1.0, (0.0, 0.45, 0.70, 1.0)),
        ],
    ).with_extremes(bad=(0.5, 0.5, 0.5, 0.25))


def _plateau_surface(family: JsonObject, name: str) -> str | None:
    """Score over the two parameters that matter most: binned, means smoothed. ``None``: fewer than three points."""
    surface = family.get("surface") or {}
    points = _table(surface.get("points"), 3)
    names = [str(parameter) for parameter in surface.get("parameters") or ()]
    if len(points) < 3 or len(names) != 2 or not (np.ptp(points[:, :2], axis=0) > 0).all():
        return None
    scores, extent = _smoothed(points)
    span = float(np.nanmax(np.abs(scores))) or 1.0
    values = (family.get("plateau") or {}).get("values") or {}
    mark = [float(values[parameter]) for parameter in names if is_number(values.get(parameter))]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        image = axes.imshow(
            scores.T,
            origin="lower",
            extent=extent,
            aspect="auto",
            cmap=_bad_to_good(),
            vmin=-span,
            vmax=span,
            interpolation="none",
        )
        if len(mark) == len(names):
            axes.plot(
                mark[0], mark[1], "o", color=GOOD, markersize=8, markeredgecolor=INK, markeredgewidth=1.1, clip_on=False
            )
        axes.set_xlabel(_word(names[0]), parse_math=False)
        axes.set_ylabel(_word(names[1]), parse_math=False)
        bar = figure.colorbar(image, ax=axes, pad=0.03, fraction=0.06)
        bar.set_label("score")
        bar.outline.set_edgecolor(FAINT)

    return _picture(draw, name, f"Score over {_word(names[0])} and {_word(names[1])}")


def _logit_histogram(family: JsonObject, name: str) -> str | None:
    """How the winners of training rank out of sample, over all splits. ``None``: no histogram was made."""
    histogram = (family.get("cscv") or {}).get("histogram") or {}
    edges, counts = _numbers(histogram.get("edges")), _numbers(histogram.get("counts"))
    if not len(counts) or len(edges) != len(counts) + 1 or not (np.diff(edges) > 0).all():
        return None
    overfit = (edges[:-1] + edges[1:]) / 2 <= 0
    parts = ((overfit, BAD, "below the median"), (~overfit, GOOD, "above the median"))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for chosen, colour, label in parts:
            axes.stairs(np.where(chosen, counts, 0.0), edges, fill=True, color=colour, alpha=0.85, label=label)
        axes.axvline(0.0, color=INK, linewidth=0.9)
        axes.set(xlabel="logit of the out-of-sample rank of the best in sample", ylabel="splits")
        axes.legend(loc="upper left", bbox_to_anchor=(0.0, 1.14), ncols=2, columnspacing=1.0, borderpad=0)

    return _picture(draw, name, "Histogram of the CSCV logits")


def _equity(family: JsonObject, name: str) -> str | None:
    """Sum of R of the held-out trades by exit time, drawdown below, recent part shaded. ``None``: no trade."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    rows = _table(family.get("equity"), 2)
    if not len(rows):
        return None
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    total = rows[:, 1]
    drawdown = total - np.maximum(np.maximum.accumulate(total), 0.0)
    kept = _telling(total)
    time = rows[kept, 0] / DAY
    start = family.get("recent_from")
    locator = AutoDateLocator(minticks=3, maxticks=TICKS + 1)  # type: ignore[no-untyped-call]
    recent = start / DAY if is_number(start) else None

    def draw(figure: Figure) -> None:
        upper, lower = figure.subplots(2, sharex=True, gridspec_kw={"height_ratios": (2.4, 1), "hspace": 0.12})
        upper.step(time, total[kept], where="post", color=GOOD, linewidth=1.2)
        lower.fill_between(time, drawdown[kept], step="post", color=BAD, alpha=0.55, linewidth=0)
        upper.axhline(0.0, color=FAINT, linewidth=0.8)
        if recent is not None:
            for axes in (upper, lower):
                axes.axvspan(recent, max(float(time[-1]), recent), color=SHADE, linewidth=0, zorder=0)
            upper.annotate("recent", (recent, 1.0), xycoords=("data", "axes fraction"), va="top", xytext=(3, -2),
                           textcoords="offset points", fontsize=8)  # fmt: skip
        upper.set_ylabel("sum of R")
        lower.set_ylabel("drawdown")
        upper.tick_params(labelbottom=False)
        lower.xaxis.set_major_locator(locator)
        lower.xaxis.set_major_formatter(ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]

    return _picture(draw, name, "Cumulative R of the held-out trades and its drawdown")


def _picture(draw: Callable[[Figure], None], name: str, label: str) -> str:
    from matplotlib.figure import Figure
    from matplotlib.ticker import AutoLocator

    figure = Figure(figsize=(5.0, 3.3))
    figure.subplots_adjust(left=0.16, right=0.96, top=0.90, bottom=0.15)
    draw(figure)
    for axes in figure.axes:
        for locator in (axes.xaxis.get_major_locator(), axes.yaxis.get_major_locator()):
            if isinstance(locator, AutoLocator):
                locator.set_params(nbins=TICKS)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return _inline(buffer.getvalue(), name, label)


def _inline(svg: str, name: str, label: str) -> str:
    """The picture without prologue, metadata and namespaces, ids that no other picture of the page has."""
    body = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    opening = re.search(r'viewBox="[^"]*"', body)
    body = body[body.index(">") + 1 :].replace("xlink:href=", "href=").replace("'DejaVu Sans'", "system-ui,sans-serif")
    used = dict.fromkeys(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    short = {old: f"{name}-{count}" for count, old in enumerate(used)}
    body = re.sub(r' id="([^"]*)"', lambda found: f' id="{short[found[1]]}"' if found[1] in short else "", body)
    body = re.sub(r'(href="#|url\(#)([^")]+)', lambda found: found[1] + short[found[2]], body)
    body = re.sub(r' d="([^"]*)"', lambda found: f' d="{_rounded(found[1])}"', body)
    for stand_in, colour in _THEME.items():
        body = body.replace(stand_in, colour)
    body = re.sub(r"<!--.*?-->\s*|<g>\s*</g>\s*|(?<=>)\s+(?=<)", "", body)
    return f'<svg role="img" aria-label="{html.escape(label)}" {opening[0] if opening else ""}>{body}'


def _rounded(path: str) -> str:
    """A tenth of a point is finer than any screen, and a third of the bytes."""
    numbers = re.sub(r"-?\d+\.\d+", lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), path)
    return re.sub(r"\s+", " ", numbers).strip()


def _dots(points: np.ndarray, length: float) -> PathPatch:
    """All dots as one path of tiny strokes with round ends: one element instead of thousands.

    The strokes have a ``length`` because not every renderer draws the ends of nothing.
    """
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    codes = np.tile([Path.MOVETO, Path.LINETO], len(points))
    vertices = np.repeat(points[:, :2], 2, axis=0)
    vertices[1::2, 0] += length
    path = Path(vertices, codes)
    path.should_simplify = False
    return PathPatch(path, edgecolor=DOTS, facecolor="none", linewidth=2.4, capstyle="round", alpha=0.7)


def _smoothed(points: np.ndarray) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """Mean score by bin, smoothed with its own weights so that empty bins get the mean of their neighbours.

    A parameter with few values has a bin for each; fewer points are smoothed wider. Bins without a neighbour are NaN.
    """
    bins = [min(GRID, len(np.unique(points[:, axis]))) for axis in (0, 1)]
    low, high = points[:, :2].min(axis=0), points[:, :2].max(axis=0)
    half = (high - low) / (2 * (np.asarray(bins) - 1))
    area = np.column_stack([low - half, high + half])
    width = max(SMOOTHING, 0.8 / math.sqrt(len(points)))
    weight, total = (
        gaussian_filter(
            np.histogram2d(points[:, 0], points[:, 1], bins=bins, range=area, weights=weights)[0],
            [width * count for count in bins],
            mode="constant",
        )
        for weights in (None, points[:, 2])
    )
    scores = np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > LEAST_WEIGHT)
    return scores, (float(area[0, 0]), float(area[0, 1]), float(area[1, 0]), float(area[1, 1]))


def _telling(total: np.ndarray) -> np.ndarray:
    """Indices of the first, lowest, highest and last value of each stretch, at most about ``MOST_MOMENTS``."""
    if len(total) <= MOST_MOMENTS:
        return np.arange(len(total))
    stretches = np.array_split(np.arange(len(total)), MOST_MOMENTS // 4)
    kept = [(s[0], s[np.argmin(total[s])], s[np.argmax(total[s])], s[-1]) for s in stretches]
    return np.unique(np.asarray(kept))


def _every_so_many(points: np.ndarray) -> np.ndarray:
    ordered = points[np.lexsort(points.T[::-1])]
    return ordered[:: max(1, math.ceil(len(ordered) / MOST_POINTS))]


def _expectancies(of: Any) -> tuple[float, float] | None:
    parts = [((of or {}).get(part) or {}).get("expectancy_r") for part in ("training", "held_out")]
    numbers = [float(part) for part in parts if is_number(part)]
    return (numbers[0], numbers[1]) if len(numbers) == 2 else None


def _zero_lines(axes: Axes) -> None:
    axes.axhline(0.0, color=FAINT, linewidth=0.8, zorder=0)
    axes.axvline(0.0, color=FAINT, linewidth=0.8, zorder=0)


def _padded(low: float, high: float) -> tuple[float, float]:
    room = (high - low) * 0.05 or 0.1
    return float(low - room), float(high + room)


def is_number(value: Any) -> TypeGuard[float]:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def _numbers(values: Iterable[Any] | None) -> np.ndarray:
    kept = list(values or ())
    return np.asarray(kept if all(is_number(value) for value in kept) else [], dtype=np.float64)


def _table(rows: Sequence[Sequence[Any]] | None, width: int) -> np.ndarray:
    """Leading columns [rows, width] of the rows whose every such value is a finite number."""
    kept = [row[:width] for row in rows or () if len(row) >= width and all(map(is_number, row[:width]))]
    return np.asarray(kept, dtype=np.float64).reshape(-1, width)


def _word(name: str) -> str:
    return name.replace("_", " ")
