"""Configurations as a JSON document that can be shared, and what is checked before one is believed.

A document is ``{"schema", "exported_at", "code_version", "content_hash", "configurations": [...]}``; the hash is
SHA-256 over the canonical JSON of the configurations, so that a document that was changed on its way is refused.
"""

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping

from tradepulse.domain.market import SeriesKey
from tradepulse.domain.training import (
    ANY_REGIME,
    Combination,
    Configuration,
    JsonObject,
    Origin,
    Stage,
    regime_word,
)
from tradepulse.policy.training_requests import known_regime, known_strategy, traded_timeframe, unified_symbol
from tradepulse.shared.errors import ConfigurationError
from tradepulse.strategies import STRATEGIES

SCHEMA = "tradepulse.configurations/1"
IMPORTED = "imported"
"""Under this key the evidence of an imported configuration says where it came from."""
MOST_CHARACTERS = 64 * 1024 * 1024
DEEPEST = 32
LARGEST_WHOLE_NUMBER = 2**63 - 1
UNSHOWABLE = frozenset({"Cc", "Cf", "Cs"})
"""Unicode's control characters, invisible formatting, and halves of characters."""
EXCHANGE = re.compile(r"[a-z0-9_-]{1,64}")
REMEDY = "Ask for the document again; it must be used as it was exported."


def document_of(configurations: Iterable[Configuration], now: int, code_version: str) -> JsonObject:
    entries = [_entry(configuration) for configuration in configurations]
    return {
        "schema": SCHEMA,
        "exported_at": now,
        "code_version": code_version,
        "content_hash": _hash(entries),
        "configurations": entries,
    }


def parsed_document(text: str) -> JsonObject:
    """The document in a text. ``ConfigurationError`` where it is no JSON object or holds what is no number."""
    if len(text) > MOST_CHARACTERS:
        raise ConfigurationError(f"The document is larger than {MOST_CHARACTERS // 2**20} MiB.", "Export less at once.")
    try:
        document = json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"The document is not JSON: {error}.", REMEDY) from None
    if not isinstance(document, dict):
        raise ConfigurationError("The document is not a JSON object.", REMEDY)
    return document


def configurations_in(document: Mapping[str, object], now: int) -> list[Configuration]:
    """Every configuration of a document: inactive, in validation, its origin ``imported``; or ``ConfigurationError``.

    Ids and versions are those of the sender: the store gives its own. Nothing of a document is good unless all is.
    """
    _refuse_unstorable(document)
    if document.get("schema") != SCHEMA:
        raise ConfigurationError(
            f"The document's schema is {document.get('schema')!r}, not '{SCHEMA}'.",
            "Export it with a version of this program that writes that schema.",
        )
    entries = document.get("configurations")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigurationError("The document holds no list of configurations.", REMEDY)
    found = _hash(entries)
    if document.get("content_hash") != found:
        raise ConfigurationError(
            f"The content hash is {str(document.get('content_hash'))[:16]}, but the content makes {found[:16]}: "
            "it was changed after it was exported.",
            REMEDY,
        )
    return [_configuration(entry, now) for entry in entries]


def fingerprint(configuration: Configuration) -> str:
    """Names what a configuration says, wherever it is stored: combination, parameters and original evidence."""
    evidence = {name: value for name, value in configuration.evidence.items() if name != IMPORTED}
    return _hash([str(configuration.combination), configuration.values, evidence])


def _refuse_unstorable(document: Mapping[str, object]) -> None:
    """What a database or a terminal would choke on, wherever in the document it stands."""
    waiting: list[tuple[object, str, int]] = [(document, "", 0)]
    while waiting:
        value, place, depth = waiting.pop()
        where = place.lstrip(".") or "the document"
        if depth > DEEPEST:
            raise ConfigurationError(f"The document is nested deeper than {DEEPEST} levels: {where}.", REMEDY)
        if isinstance(value, Mapping):
            for name, part in value.items():
                _refuse_unshowable(name, f"a name in {where}")
                waiting.append((part, f"{place}.{name}", depth + 1))
        elif isinstance(value, list):
            waiting += [(part, f"{place}[{index}]", depth + 1) for index, part in enumerate(value)]
        elif isinstance(value, str):
            _refuse_unshowable(value, where)
        elif isinstance(value, int) and abs(value) > LARGEST_WHOLE_NUMBER:
            raise ConfigurationError(f"A whole number does not fit into 64 bits: {where}.", REMEDY)


def _refuse_unshowable(text: str, where: str) -> None:
    found = next((letter for letter in text if unicodedata.category(letter) in UNSHOWABLE), None)
    if found is not None:
        raise ConfigurationError(f"A text holds the character U+{ord(found):04X}: {where}.", REMEDY)


def _entry(configuration: Configuration) -> JsonObject:
    series = configuration.combination.series
    return {
        "configuration_id": configuration.configuration_id,
        "exchange": series.exchange,
        "symbol": series.symbol,
        "timeframe": str(series.timeframe),
        "strategy": configuration.combination.strategy,
        "regime": regime_word(configuration.combination.regime),
        "version": configuration.version,
        "values": dict(configuration.values),
        "parameters_id": configuration.parameters_id,
        "origin": str(configuration.origin),
        "stage": str(configuration.stage),
        "created_at": configuration.created_at,
        "job_id": configuration.job_id,
        "evidence": configuration.evidence,
    }


def _configuration(entry: JsonObject, now: int) -> Configuration:
    combination = _combination(entry)
    values, evidence = entry.get("values"), entry.get("evidence")
    if not isinstance(values, dict) or not isinstance(evidence, dict):
        raise ConfigurationError(f"{combination}: values or evidence are missing.", REMEDY)
    strategy = STRATEGIES[combination.strategy]
    names = {spec.name for spec in strategy.parameter_specs}
    if names != set(values):
        differing = ", ".join(sorted(names ^ set(values)))
        raise ConfigurationError(f"{combination}: its values are not those of the strategy ({differing}).", REMEDY)
    try:
        parameters = strategy.parameters(combination.regime, **values)
    except ConfigurationError as error:
        raise ConfigurationError(f"{combination}: {error.problem}", error.remedy) from None
    if parameters.parameters_id != entry.get("parameters_id"):
        raise ConfigurationError(
            f"{combination}: the values are not those that parameters {entry.get('parameters_id')!r} name.", REMEDY
        )
    return Configuration(
        configuration_id="",
        combination=combination,
        version=0,
        values=dict(parameters.values),
        parameters_id=parameters.parameters_id,
        origin=Origin.IMPORTED,
        stage=Stage.VALIDATION,
        active=False,
        evidence=evidence if IMPORTED in evidence else {**evidence, IMPORTED: _sender(entry)},
        job_id=None,
        created_at=now,
    )


def _sender(entry: JsonObject) -> JsonObject:
    known = ("configuration_id", "version", "origin", "stage", "created_at", "job_id")
    return {name: entry.get(name) for name in known}


def _combination(entry: JsonObject) -> Combination:
    words = {name: entry.get(name) for name in ("exchange", "symbol", "timeframe", "strategy", "regime")}
    for name, word in words.items():
        if not isinstance(word, str) or not word.strip():
            raise ConfigurationError(f"A configuration's {name} is {word!r}.", REMEDY)
    if not EXCHANGE.fullmatch(str(words["exchange"])):
        raise ConfigurationError(
            f"A configuration's exchange is {words['exchange']!r}; a name is made of a-z, 0-9, _ and -.", REMEDY
        )
    series = SeriesKey(
        str(words["exchange"]), unified_symbol(str(words["symbol"])), traded_timeframe(str(words["timeframe"]))
    )
    regime = None if words["regime"] == ANY_REGIME else known_regime(str(words["regime"]))
    return Combination(series, known_strategy(str(words["strategy"])), regime)


def _hash(content: object) -> str:
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _finite(word: str) -> float:
    value = float(word)
    if not math.isfinite(value):
        raise ValueError(f"{word} is not a finite number")
    return value
