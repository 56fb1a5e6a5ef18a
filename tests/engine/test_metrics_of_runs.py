"""The numbers of a real server move with what it does."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import requests

from executor import Executor
from sandbox.errors import EngineUnavailable
from sandbox.models import RunRequest
from sandbox.settings import load
from tests.conftest import Server, containers, eventually, serve
from tests.samples import Samples, samples

HELLO = "print(1)"
LEAVES_A_FILE = "open('/dev/shm/left', 'w').write('x')"


def scrape(server: Server) -> Samples:
    return samples(requests.get(f"{server.url}/metrics", timeout=10).text)


def run(browser: requests.Session, server: Server, code: str = HELLO) -> dict[str, object]:
    response = browser.post(f"{server.url}/run", json={"code": code}, timeout=60)
    assert response.status_code == 200, response.text
    answer: dict[str, object] = response.json()
    return answer


def test_runs_containers_and_what_is_kept_are_counted(real_engine: None, tmp_path: Path) -> None:
    with serve(tmp_path, pool="python:1", timeout_seconds=1) as server:
        assert eventually(lambda: scrape(server)["sce_pool_waiting", "python"] == 1, 30)
        nobody, page = requests.Session(), requests.Session()
        page.get(server.url, timeout=10)

        run(page, server)  # from the pool
        assert eventually(lambda: scrape(server)["sce_kept_containers",] == 1)
        assert run(page, server)["runs_before"] == 1
        assert run(page, server, "while True: pass")["status"] == "timeout"
        response = nobody.post(f"{server.url}/run", json={"code": "1", "language": "node"}, timeout=60)
        assert response.status_code == 200
        assert eventually(lambda: scrape(server)["sce_pool_waiting", "python"] == 1, 30)
        run(page, server, LEAVES_A_FILE)
        assert eventually(lambda: scrape(server)["sce_kept_ended_total", "files"] == 1)
        assert nobody.post(f"{server.url}/run", json={"code": ""}, timeout=10).status_code == 400

        found = scrape(server)
        expected = {
            ("sce_runs_total", "python", "ok"): 3,
            ("sce_runs_total", "python", "timeout"): 1,
            ("sce_runs_total", "node", "ok"): 1,
            ("sce_run_seconds_count", "python"): 4,
            ("sce_run_queue_seconds_count",): 5,
            ("sce_containers_taken_total", "python", "pool"): 2,
            ("sce_containers_taken_total", "python", "kept"): 2,
            ("sce_containers_taken_total", "node", "cold"): 1,
            ("sce_kept_misses_total",): 2,
            ("sce_kept_ended_total", "stopped"): 1,
            ("sce_http_errors_total", "empty_code", "400"): 1,
            ("sce_places_used",): 0,
            ("sce_queue_length",): 0,
            ("sce_pool_wanted", "python"): 1,
            ("sce_history_lost_runs_total",): 0,
        }
        assert {key: found[key] for key in expected} == expected
        assert found["sce_run_cpu_seconds_total", "python"] > 0.5
        assert found["sce_run_seconds_sum", "python"] > 1

        def are_those_of_the_engine() -> bool:
            return scrape(server)["sce_containers",] == len(containers(server.data_dir))

        assert eventually(are_those_of_the_engine, 30), scrape(server)["sce_containers",]


def test_places_and_queue_show_what_runs_and_waits(real_engine: None, tmp_path: Path) -> None:
    with serve(tmp_path, pool="", max_concurrent_runs=1, queue_size=1) as server:
        threads = [
            threading.Thread(target=run, args=(requests.Session(), server, "import time; time.sleep(3)"))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        assert eventually(lambda: (scrape(server)["sce_places_used",], scrape(server)["sce_queue_length",]) == (1, 1))
        assert scrape(server)["sce_places",] == scrape(server)["sce_queue_places",] == 1
        assert requests.post(f"{server.url}/run", json={"code": "1"}, timeout=30).status_code == 503
        for thread in threads:
            thread.join()
        found = scrape(server)
        assert (found["sce_places_used",], found["sce_queue_length",]) == (0, 0)
        assert found["sce_http_errors_total", "busy", "503"] == 1


def test_an_engine_that_cannot_start_anything_is_counted(real_engine: None, tmp_path: Path) -> None:
    with Executor(load(data_dir=tmp_path, docker="no-such-client", pool="python:1")) as executor:
        with pytest.raises(EngineUnavailable):
            executor.run(RunRequest("python", HELLO))
        assert executor.numbers().containers.failed == {"engine_unavailable": 1}
        assert eventually(lambda: executor.numbers().containers.pool_failures)
