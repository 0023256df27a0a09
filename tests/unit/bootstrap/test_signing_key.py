from pathlib import Path

import pytest
from pydantic import ValidationError

from tradepulse.bootstrap.signing_key import signing_key
from tradepulse.shared.errors import ConfigurationError
from tradepulse.shared.settings import ApiSettings, Settings

GOOD = "Zr4u7x!A%D*G-KaPdSgVkYp3s6v9y$B&"


def key_file(home: Path) -> Path:
    return home / "api" / "signing.key"


def test_key_when_there_is_none_then_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    settings = Settings(data_directory=tmp_path)
    made = signing_key(settings)
    assert signing_key(settings) == made
    assert len(made) == 32
    assert key_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert key_file(tmp_path).parent.stat().st_mode & 0o777 == 0o700
    assert list(key_file(tmp_path).parent.iterdir()) == [key_file(tmp_path)]
    assert signing_key(Settings(data_directory=tmp_path / "other")) != made


def test_key_file_when_others_may_read_it_or_it_is_cut_then_refused(tmp_path: Path) -> None:
    settings = Settings(data_directory=tmp_path)
    signing_key(settings)
    key_file(tmp_path).chmod(0o640)
    with pytest.raises(ConfigurationError, match="others than its owner"):
        signing_key(settings)
    key_file(tmp_path).chmod(0o600)
    key_file(tmp_path).write_bytes(bytes(31))
    with pytest.raises(ConfigurationError, match="31 bytes"):
        signing_key(settings)


@pytest.mark.parametrize("weak", ["", "change-me", "super-secret", "secret", "a" * 64, "01234567" * 5])
def test_key_from_the_settings_when_a_default_short_or_monotonous_then_refused(weak: str) -> None:
    with pytest.raises(ValidationError, match="32 random bytes"):
        ApiSettings.model_validate({"signing_key": weak})


def test_key_from_the_settings_when_long_enough_then_used_and_no_file_is_made(tmp_path: Path) -> None:
    settings = Settings(data_directory=tmp_path, api=ApiSettings.model_validate({"signing_key": GOOD}))
    assert signing_key(settings) == GOOD.encode()
    assert not key_file(tmp_path).exists()
