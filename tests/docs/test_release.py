"""Files of a release: containers, continuous integration, hooks, oldest dependencies name what is there."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from test_docs_names import options_of

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INSTRUCTIONS = ["FROM", "WORKDIR", "RUN", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "ENTRYPOINT", "CMD"]


def dockerfile():
    """Return the Dockerfile's instructions with their arguments."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.split(maxsplit=1) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def ignored(path):
    """Whether .dockerignore keeps a path of the repository out of the build."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    return not any(path == one or path.startswith(f"{one}/") for one in allowed)


def options_known(words):
    command = options_of(words[:1])
    known = {option for p in command.params for option in p.opts}
    return {word for word in words if word.startswith("--")} <= known


def test_the_image_copies_what_is_there_and_what_the_build_may_see():
    copied = [
        words for name, rest in dockerfile() if name == "COPY" and "--from" not in rest for words in [rest.split()]
    ]
    sources = [source for words in copied for source in words[:-1]]
    assert {"pyproject.toml", "constraints.txt", "README.md", "LICENSE", "src"} == set(sources)
    assert all((ROOT / source).exists() and not ignored(source) for source in sources)
    assert ignored("runs/patient.dcm")
    assert ignored(".git/config")


def test_the_image_runs_without_rights_and_ends_in_the_command():
    steps = dockerfile()
    assert {name for name, _ in steps} <= set(INSTRUCTIONS)
    assert [name for name, _ in steps if name == "FROM"] == ["FROM", "FROM"], "tools of the build stay behind"
    user, entry = (next(i for i, (name, _) in enumerate(steps) if name == one) for one in ("USER", "ENTRYPOINT"))
    assert user < entry
    assert steps[user][1] != "root"
    assert steps[entry][1] == '["myoperf"]'
    installs = [rest for name, rest in steps if name == "RUN" and "pip install" in rest]
    assert len(installs) == 2
    assert all("-c constraints.txt" in rest for rest in installs)
    pinned = re.search(r"torch==[\d.]+", installs[0]).group()
    assert pinned in (ROOT / "constraints.txt").read_text().split()


def test_compose_serves_the_room_on_this_machine_only_and_asks_for_a_token():
    room = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["room"]
    assert options_known(room["command"])
    assert all(port.startswith("127.0.0.1:") for port in room["ports"])
    assert room["environment"]["MYOPERF_TOKEN"].startswith("${MYOPERF_TOKEN:?")
    folder = room["command"][room["command"].index("--data") + 1]
    assert f"room:{folder}" in room["volumes"]
    assert ("VOLUME", folder) in [tuple(step) for step in dockerfile()]


@pytest.mark.parametrize("job", yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"].items())
def test_continuous_integration_calls_targets_and_files_that_are_there(job):
    _, content = job
    lines = [step["run"] for step in content["steps"] if "run" in step]
    assert lines
    for line in lines:
        for target in re.findall(r"\bmake ((?:[a-z]+ ?)+)", line):
            assert all(re.search(rf"^{one}:", MAKEFILE, re.MULTILINE) for one in target.split()), line
        for path in re.findall(r"\b(?:docs|tests|benchmarks)/[\w./]+", line):
            assert (ROOT / path).exists(), line


def test_continuous_integration_covers_every_python_that_is_declared():
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    versions = jobs["tests"]["strategy"]["matrix"]["python"]
    declared = [one.rsplit(" ", 1)[1] for one in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", one)]
    assert versions == declared
    assert PROJECT["requires-python"] == f">={versions[0]}"


def test_hooks_call_programs_of_the_environment():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    for hook in hooks:
        program, *words = shlex.split(hook["entry"])
        assert program.startswith(".venv/bin/")
        assert all((ROOT / word).exists() for word in words if "/" in word)


def test_the_oldest_dependencies_are_those_that_are_declared():
    """A lower bound that moves needs its line in constraints-oldest.txt."""
    oldest = dict(line.split("==") for line in (ROOT / "constraints-oldest.txt").read_text().split() if "==" in line)
    for line in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["web"]):
        name, bound = re.match(r"([\w.-]+)>=([\d.]+)", line).groups()
        if name != "torch":  # the pinned CPU wheel
            assert oldest[name].startswith(bound), f"{name}: run make oldest"
