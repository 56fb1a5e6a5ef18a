"""Settings are read once, checked at start, and named when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from app import main
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
        ("SCE_ALLOWED_HOSTS", "run.example, code.example:8080"),
        ("SCE_ALLOWED_HOSTS", "*.example"),
        ("SCE_ALLOWED_HOSTS", "::1"),
        ("SCE_ALLOWED_ORIGINS", "docs.example"),
        ("SCE_ALLOWED_ORIGINS", "https://docs.example/page"),
        ("SCE_SECCOMP", "no/such/profile.json"),
        ("SCE_PACKS", "cobol"),
        ("SCE_POOL", "5"),
        ("SCE_POOL", "python"),
        ("SCE_POOL", "python:-1"),
        ("SCE_POOL", "python:65"),
        ("SCE_POOL", "python:2;node:1"),
        ("SCE_POOL", "klingon:1"),
        ("SCE_POOL", "python:1,py:2"),
    ],
)
def test_a_bad_value_stops_the_start_and_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load()


@pytest.mark.parametrize(
    "url",
    [
        "runs.db",
        "nosuch://user:hunter2@host/runs",
        "mysql+pymysql://user:hunter2@host/runs",
        "postgresql://user:hunter2@host:port/runs",
    ],
)
def test_a_bad_database_stops_the_start_and_is_not_repeated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    monkeypatch.setenv("SCE_DATABASE_URL", url)
    assert main() == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("SCE_DATABASE_URL: ")
    assert "hunter2" not in complaint, "a URL may hold a password"


def test_a_misspelt_setting_is_not_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCE_TIMEOUT", "3")
    with pytest.raises(SettingsError, match="SCE_TIMEOUT"):
        load()


def test_a_misspelt_setting_in_the_env_file_is_not_ignored(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SCE_TIMEOUT=3\n")
    with pytest.raises(SettingsError, match="SCE_TIMEOUT"):
        load()


def test_the_key_of_somebody_who_calls_servers_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCE_KEY", "sce_x")
    assert "sce_x" not in repr(load())


def test_other_variables_in_the_env_file_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_PASSWORD=x\n")
    assert load().port == 5000


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCE_ALLOWED_HOSTS", "run.example, code.example,")
    assert load().allowed_hosts == ("run.example", "code.example")


def test_without_a_setting_each_language_says_how_many_containers_wait() -> None:
    assert load().pool == {"python": 5, "node": 2, "bash": 1}


@pytest.mark.parametrize(
    ("written", "sizes"),
    [
        ("python:3,node:1", {"python": 3, "node": 1}),
        (" JavaScript : 4 ,", {"node": 4}),
        ("python:0,node:64", {"python": 0, "node": 64}),
        ("", {}),
    ],
)
def test_the_pool_is_a_complete_list(monkeypatch: pytest.MonkeyPatch, written: str, sizes: dict[str, int]) -> None:
    monkeypatch.setenv("SCE_POOL", written)
    assert load().pool == sizes


def test_names_origins_and_files_that_exist_are_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    profile = tmp_path / "profile.json"
    profile.write_text("{}")
    values = {
        "ALLOWED_HOSTS": "run.example,192.0.2.1,[2001:db8::1]",
        "ALLOWED_ORIGINS": "https://docs.example,http://localhost:8080/,chrome-extension://abcdef",
        "SECCOMP": str(profile),
        "DATABASE_URL": "sqlite:////tmp/runs.db",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"SCE_{name}", value)
    settings = load()
    assert len(settings.allowed_hosts) == len(settings.allowed_origins) == 3
    assert (settings.seccomp, settings.database_url) == (values["SECCOMP"], values["DATABASE_URL"])


@pytest.mark.parametrize(("places", "queue", "tasks"), [(1, 0, 1), (2, 1, 3), (2, 3, 5), (5, 64, 5)])
def test_a_batch_is_never_larger_than_what_is_admitted(places: int, queue: int, tasks: int) -> None:
    assert load(max_concurrent_runs=places, queue_size=queue).effective_batch_tasks() == tasks


def test_a_batch_runs_at_once_even_on_the_smallest_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert load(cpus=4).effective_concurrent_runs() == 5


def test_the_number_of_programs_at_once_can_be_set() -> None:
    assert load(max_concurrent_runs=7).effective_concurrent_runs() == 7


def test_memory_bounds_the_programs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert load(memory_mb=65536).effective_concurrent_runs() <= 8


@pytest.mark.parametrize("pool", [{"py": -5}, {"cobol": 3}, {"python": 65}, {"py": 1, "python": 1}])
def test_a_pool_given_as_a_dict_is_checked_as_the_text_is(pool: dict[str, int]) -> None:
    with pytest.raises(SettingsError, match="SCE_POOL"):
        load(pool=pool)


@pytest.mark.parametrize("written", ["scripts", " scripts ,", "scripts scripts"])
def test_packs_are_named_with_commas_or_spaces(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("SCE_PACKS", written)
    assert set(load().packs) == {"scripts"}
