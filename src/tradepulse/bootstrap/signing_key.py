"""What signs access tokens: a setting, or a file beside the data that only its owner may read."""

import os
from contextlib import suppress
from pathlib import Path

from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.secrets import register_secrets
from tradepulse.shared.settings import Settings
from tradepulse.storage.envelope import KEY_BYTES, chance


def signing_key(settings: Settings) -> bytes:
    """Made at the first start. ``ConfigurationError`` for a file that others may read, or that is cut short."""
    given = settings.api.signing_key
    if given is not None:
        register_secrets([given.get_secret_value()])
        return given.get_secret_value().encode()
    file = settings.data_directory / "api" / "signing.key"
    try:
        if not file.exists():
            _make(file)
        key, mode = file.read_bytes(), file.stat().st_mode
    except OSError as error:
        raise ConfigurationError(
            f"The signing key {file} cannot be read or made: {error.strerror}.", "Correct the rights of its folder."
        ) from None
    if mode & 0o077:
        raise ConfigurationError(
            f"The signing key {file} has the mode {mode & 0o777:04o}: others than its owner may read it.",
            f"Remove it, and one is made anew; everybody logs in again: rm {file}",
        )
    if len(key) != KEY_BYTES:
        raise ConfigurationError(
            f"The signing key {file} has {len(key)} bytes instead of {KEY_BYTES}.",
            f"Remove it, and one is made anew; everybody logs in again: rm {file}",
        )
    register_secrets([key.hex()])
    return key


def _make(file: Path) -> None:
    """Whole or not at all; where two programs start at once, the first one's counts."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(chance(KEY_BYTES))
        opened.flush()
        os.fsync(opened.fileno())
    with suppress(FileExistsError):
        os.link(draft, file)
    draft.unlink()
