from pathlib import Path

from tradepulse.kernels.compiled import _cache_directory


def test_cache_directory_when_any_source_changes_then_what_was_compiled_before_is_not_found(tmp_path: Path) -> None:
    (tmp_path / "walk.py").write_text("a = 1\n")
    (tmp_path / "rules.py").write_text("b = 1\n")
    before = _cache_directory(tmp_path)
    assert _cache_directory(tmp_path) == before
    (tmp_path / "rules.py").write_text("b = 2\n")
    assert _cache_directory(tmp_path) != before
