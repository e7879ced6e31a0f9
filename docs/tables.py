"""The parts of the documentation that are made from the code: ``python -P docs/tables.py`` prints the topics table."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def write_all(folder: Path) -> None:
    """Writes every generated part into `folder`, one Markdown file each."""
    folder.mkdir(exist_ok=True)
    parts = {
        "records": records(),
        "settings": settings(),
        "quality": quality(),
        "versions": versions(),
        "berserker": berserker(),
        "berserker-parameters": berserker_parameters(),
        "commands": commands(),
        "columns": columns(),
        "indicators": indicators(),
        "metrics": metrics(),
    }
    for name, text in parts.items():
        (folder / f"{name}.md").write_text(text + "\n", encoding="utf-8")


def topics() -> str:
    """The catalogue as a table. It stands in topics.md itself, held equal by a test, so it is readable unbuilt."""
    from schemas.catalogue import TOPICS

    return table(
        ("topic", "key", "partitions", "kind", "records", "kept", "written by", "what it holds"),
        (
            (
                f"`{topic.name}`",
                topic.key,
                str(topic.partitions),
                topic.kind,
                ", ".join(topic.records),
                "last of a key" if topic.compacted else "for ever",
                topic.writer,
                topic.doc,
            )
            for topic in TOPICS.values()
        ),
    )


def records() -> str:
    """Every schema with its id and fields, by topic."""
    folder = resources.files("schemas") / "avro"
    ids = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
    parts = []
    for name, place in ids.items():
        schema = json.loads((folder / f"{name}.avsc").read_text(encoding="utf-8"))
        fields = table(
            ("field", "type", "meaning"),
            ((f"`{field['name']}`", avro_type(field["type"]), field["doc"]) for field in schema["fields"]),
        )
        topics = " and ".join(f"`{topic}`" for topic in (place["topic"], *place.get("also", ())))
        lies = f"Topic{'s' if 'also' in place else ''} {topics}, schema id {place['id']}."
        parts.append(f"## {name}\n\n{schema['doc']}\n\n{lies}\n\n{fields}")
    return "\n\n".join(parts)


def avro_type(kind: Any) -> str:
    """An Avro type in a few words."""
    if isinstance(kind, list):
        return " or ".join(avro_type(one) for one in kind)
    if not isinstance(kind, dict):
        return str(kind)
    if kind["type"] == "array":
        return f"array of {avro_type(kind['items'])}"
    if kind["type"] == "fixed":
        return f"{kind['size']} bytes"
    if kind["type"] == "enum":
        return "enum: " + ", ".join(kind["symbols"])
    return str(kind["type"])


def quality() -> str:
    """The bits of a tick's quality."""
    from schemas.quality import BROKEN, SUSPECT, Quality

    source = resources.files("schemas").joinpath("quality.py").read_text(encoding="utf-8").splitlines()
    said = {line.split(" = ")[0].strip(): source[i + 1].strip().strip('"') for i, line in enumerate(source[:-1])}
    classes = {bit: "broken" if bit & BROKEN else "suspect" if bit & SUSPECT else "synthetic" for bit in Quality}
    return table(
        ("bit", "name", "class", "meaning"),
        ((str(bit.value), f"`{str(bit.name).lower()}`", classes[bit], said[str(bit.name)]) for bit in Quality),
    )


def settings() -> str:
    """Every key with its variable, default and meaning."""
    from infra.settings import documentation

    return table(
        ("key", "environment variable", "default", "meaning"),
        (
            (f"`{line.name}`", f"`{line.variable}`", f"`{line.default}`" if line.default else "", line.description)
            for line in documentation()
        ),
    )


def versions() -> str:
    """What is installed: name and version, as uv.lock has it, of what pyproject.toml asks for."""
    locked = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    found: dict[str, list[str]] = {}
    for package in locked:
        found.setdefault(package["name"], []).append(package["version"])
    return table(
        ("package", "version"), ((f"`{name}`", " or ".join(found[name])) for name in sorted(direct_dependencies()))
    )


def direct_dependencies() -> set[str]:
    """The names, in lower case, that pyproject.toml asks for, those of the dependency groups included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [*project["project"]["dependencies"]]
    for extra in project["project"].get("optional-dependencies", {}).values():
        asked += extra
    for group in project["dependency-groups"].values():
        asked += group
    ends = str.maketrans(dict.fromkeys("[<>=!~;@", " "))
    return {requirement.translate(ends).split()[0].lower() for requirement in asked}


def berserker() -> str:
    """The rule, in its own words."""
    from agents import berserker

    return (berserker.__doc__ or "").split(":", 1)[1].strip()


def berserker_parameters() -> str:
    """Its parameters with default and bounds."""
    import dataclasses

    from agents.berserker import BerserkerParameters

    return table(
        ("parameter", "default", "from", "to"),
        (
            (f"`{field.name}`", f"{field.default}", f"{field.metadata['low']}", f"{field.metadata['high']}")
            for field in dataclasses.fields(BerserkerParameters)
        ),
    )


def columns() -> str:
    """What bars have for a strategy."""
    from agents.expressions import COLUMNS

    return table(("column", "is"), ((f"`b.{name}`", meaning) for name, meaning in COLUMNS.items()))


def indicators() -> str:
    """Every indicator by family, with the warm-up of its defaults."""
    from agents.indicators.catalogue import INDICATORS, warm_up

    return "\n\n".join(
        f"## {family.replace('_', ' ').capitalize()}\n\n"
        + table(
            ("name", "is", "formula", "MT5", "warm-up", "differs", "source"),
            ((f"`{i.name}{i.shown}`", i.said, i.formula, i.mt5, str(warm_up(i)), i.differs, i.source) for i in found),
        )
        for family, found in INDICATORS.items()
    )


def metrics() -> str:
    """Every metric of a report by group."""
    from api.lab.metrics import METRICS

    groups = dict.fromkeys(metric.group for metric in METRICS.values())
    return "\n\n".join(
        f"## {group}\n\n"
        + table(
            ("key", "name", "unit", "is"),
            ((f"`{m.key}`", m.name, m.unit, m.definition) for m in METRICS.values() if m.group == group),
        )
        for group in groups
    )


def commands() -> str:
    """The command line, as the program itself describes it."""
    from api.cli import make_app

    text: str = make_app().generate_docs(output_format="markdown", heading_level=2)
    text = re.sub(r"## Table of Contents\n.*?(?=\*\*Commands\*\*)", "", text, flags=re.DOTALL)
    # What a help text has in two columns is a list here.
    return re.sub(r"^([a-z_]+) {2,}(\S.*)$", r"* `\1`: \2", text, flags=re.MULTILINE)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(topics())
