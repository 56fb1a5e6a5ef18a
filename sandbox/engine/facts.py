"""What the engine says of itself: its version, how it counts and stores."""

from __future__ import annotations

import json
from typing import Any

from sandbox.engine.client import ClientRefused
from sandbox.engine.image import Image
from sandbox.errors import EngineError


def facts_of(image: Image) -> dict[str, str]:
    """What the engine says of itself, row name -> value.

    :raises EngineError: it does not answer.
    """
    podman = image.client.is_podman
    try:
        answer = image.client.ask("info", "--format", "json" if podman else "{{json .}}")
    except ClientRefused:
        image.check()  # raises what a person can act on
        raise
    info: dict[str, Any] = json.loads(answer)
    if podman:
        host, rootless = info["host"], info["host"]["security"]["rootless"]
        return {
            "engine": f"podman {info['version']['Version']}" + (" (rootless)" if rootless else ""),
            "cgroup": f"{host['cgroupVersion']} ({host['cgroupManager']})",
            "storage": info["store"]["graphDriverName"],
        }
    if not info.get("ServerVersion"):
        image.check()
        raise EngineError("The engine gave no answer.")
    return {
        "engine": f"docker {info['ServerVersion']} on {info['OperatingSystem']} ({info['Architecture']})",
        "cgroup": f"v{info.get('CgroupVersion', '1')} ({info['CgroupDriver']})",
        "storage": str(info["Driver"]),
        "security": ", ".join(option.removeprefix("name=") for option in info.get("SecurityOptions") or ["none"]),
    }
