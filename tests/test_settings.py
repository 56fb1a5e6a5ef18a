"""Settings are read once, checked at start, and named when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.settings import Settings, SettingsError, load


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SCE_{name.upper()}", raising=False)


def test_the_defaults_are_the_mission() -> None:
    limits = load().limits
    assert (limits.timeout_seconds, limits.memory_mb, limits.cpus, limits.pids) == (10, 128, 1.0, 64)
    settings = load()
    assert (settings.host, settings.port) == ("127.0.0.1", 5000)
    assert (settings.max_code_characters, settings.max_batch_tasks) == (5000, 5)


def test_the_environment_wins_over_the_env_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SCE_PORT=5001\nSCE_CPUS=0.5\n")
    monkeypatch.setenv("SCE_PORT", "5002")
    settings = load()
    assert (settings.port, settings.cpus) == (5002, 0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SCE_TIMEOUT_SECONDS", "0"),
        ("SCE_TIMEOUT_SECONDS", "soon"),
        ("SCE_TIMEOUT_SECONDS", "nan"),
        ("SCE_TIMEOUT_SECONDS", "inf"),
        ("SCE_PORT", "70000"),
        ("SCE_MEMORY_MB", "1"),
        ("SCE_LOG_LEVEL", "LOUD"),
        ("SCE_POOL_MAX_AGE_SECONDS", "nan"),
    ],
)
def test_a_bad_value_stops_the_start_and_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load()


def test_a_misspelt_setting_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCE_TIMEOUT", "3")
    with pytest.raises(SettingsError, match="SCE_TIMEOUT"):
        load()


def test_a_misspelt_setting_in_the_env_file_is_not_ignored(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SCE_TIMEOUT=3\n")
    with pytest.raises(SettingsError, match="SCE_TIMEOUT"):
        load()


def test_other_variables_in_the_env_file_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_PASSWORD=x\n")
    assert load().port == 5000


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCE_ALLOWED_HOSTS", "run.example, code.example,")
    assert load().allowed_hosts == ("run.example", "code.example")


def test_a_batch_runs_at_once_even_on_the_smallest_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert load(cpus=4).effective_concurrent_runs() == 5


def test_the_number_of_programs_at_once_can_be_set() -> None:
    assert load(max_concurrent_runs=7).effective_concurrent_runs() == 7


def test_memory_bounds_the_programs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert load(memory_mb=65536).effective_concurrent_runs() <= 8
