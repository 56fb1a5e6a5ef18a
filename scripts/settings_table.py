"""The settings as the Markdown table that the README shows: `python -m scripts.settings_table` prints it."""

from __future__ import annotations

from sandbox.settings import PREFIX, Settings


def table() -> str:
    """The settings as the Markdown table that the README shows."""
    lines = ["| variable | default | unit | meaning |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        shown = f"`{default}`" if (default := _written(field.default)) else ""
        lines.append(f"| `{PREFIX}{name.upper()}` | {shown} | {extra.get('unit', '')} | {field.description} |")
    return "\n".join(lines)


def _written(default: object) -> str:
    """A default as one would write it into the environment."""
    if isinstance(default, dict):
        return ",".join(f"{name}:{number}" for name, number in default.items())
    return ",".join(default) if isinstance(default, tuple) else str(default)


if __name__ == "__main__":
    print(table())
