"""Wrong files of every kind end in a sentence; `benchmarks/wrong_files.py` has twenty thousand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mutations
import sandbox
import wrong_checkpoints
import wrong_files
from conftest import ROOT
from one_network import NET, SPEC_PATH, check
from resnet_gen.console import print_text

CIFAR_SPEC = "name: net\ndesign: cifar\ndepth: 8\nshortcut: A\n"


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Path]:
    with wrong_files.quick(tmp_path):
        yield tmp_path / "watched"


@pytest.mark.parametrize(("kind", "count"), [("spec", 100), ("recipe", 50), ("table", 40)])
def test_wrong_yaml(quick: Path, kind: str, count: int) -> None:
    case = wrong_files.WrongYaml(quick).case
    assert not wrong_files.run_all((case, kind, number) for number in range(count))


def test_wrong_code(quick: Path) -> None:
    case = wrong_files.WrongCode(quick).case
    assert not wrong_files.run_all((case, "code", number) for number in range(30))


@pytest.mark.parametrize("design", ["cifar", "imagenet"])
def test_wrong_checkpoints(quick: Path, design: str) -> None:
    case = wrong_checkpoints.WrongCheckpoints(quick, design).case
    assert not wrong_files.run_all((case, "checkpoint", number) for number in range(25))


def test_what_must_be_kept_to_is_looked_at(quick: Path) -> None:
    """Each kind of fault is one, where it happens."""

    def fault(work: Callable[[], object], may_change: bool = False) -> str:
        project = sandbox.Project(quick / str(len(list(quick.iterdir())) if quick.exists() else 0))
        (project.path / "mine").write_text("mine\n")
        before = sandbox.contents(project.path)
        with sandbox.working_in(project.path):
            told = sandbox.told_by(work, ["resnet-gen"])
        return project.fault(told, before, lambda name: may_change)

    def end(code: int, text: str = "") -> Callable[[], object]:
        def work() -> None:
            print(text, end="", file=__import__("sys").stderr)
            raise SystemExit(code)

        return work

    assert fault(end(0)) == fault(end(2, "a sentence")) == ""
    assert "exit code 3" in fault(end(3))
    assert "without a word" in fault(end(2))
    assert "a traceback" in fault(end(2, "error[bug]: x"))
    assert "it raises: " in fault(lambda: int("x"))
    assert "a control character" in fault(end(2, "\x1b[31m"))
    assert "outside" in fault(lambda: Path("../beside/theirs.py").write_text(""))
    assert "outside" in fault(lambda: Path("../new").write_text(""))
    assert "mine is not as it was" in fault(lambda: Path("mine").unlink())
    assert "it made ['new']" in fault(lambda: Path("new").write_text(""))
    assert fault(lambda: Path("new").write_text(""), may_change=True) == ""
    with pytest.raises(sandbox.Endless), sandbox.limited(1):
        while True:
            pass


def test_a_billion_laughs_end_at_once(cli: Callable, project: Path) -> None:
    Path("net.yaml").write_text(CIFAR_SPEC + mutations.LAUGHS)
    with sandbox.limited(5):
        code, _, err = cli("check", "net.yaml")
    assert code == 2 and "net.yaml:6:8: error[alias]: the alias *a is not allowed in a spec" in err


@pytest.mark.parametrize(
    ("name", "old", "new", "place", "words"),
    [
        ("table1", "repeats: ", "repaets: ", "12:49", "did you mean `repeats`?"),
        ("table1", "- layer_name: c", "- layer-name: c", "5:5", "did you mean `layer_name`?"),
        ("table6", "error: ", "eror: ", "5:22", "did you mean `error`?"),
        ("section3", "options: ", "option: ", "12:49", "did you mean `options`?"),
        ("notes", "verdict: ", "veridct: ", "9:5", "did you mean `verdict`?"),
    ],
)
def test_a_wrong_key_within_a_row_of_a_table(
    cli: Callable, project: Path, name: str, old: str, new: str, place: str, words: str
) -> None:
    """In lists and mappings of rows, as at the top of a file."""
    text = (ROOT / f"specs/paper/{name}.yaml").read_text()
    path = Path(f"specs/paper/{name}.yaml")
    path.parent.mkdir(parents=True)
    path.write_text(text.replace(old, new, 1))
    code, _, err = cli("check")
    assert code == 2 and f"{path}:{place}: error[unknown-key]" in err and words in err


def test_objects_and_odd_escapes_are_refused_in_every_kind_of_file(
    cli: Callable, project: Path
) -> None:
    """S1 and S12, beyond specs: recipes, tables, what `training` overrides; either ending."""
    spec = CIFAR_SPEC + "training: {recipe: cifar-paper, iterations: 64000}\n"
    recipe = (ROOT / "specs/recipes/cifar-paper.yaml").read_text()
    table = (ROOT / "specs/paper/table2.yaml").read_text()
    for path, text, word in (
        ("specs/cifar/net.yml", spec, "net"),
        ("specs/cifar/net.yml", spec, "cifar-paper"),
        ("specs/cifar/net.yml", spec, "64000"),
        ("specs/recipes/cifar-paper.yml", recipe, "cifar-paper"),
        ("specs/paper/table2.yml", table, '"18"'),
    ):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        for wrong, words in (
            ('"\\U00110000"', "there is no character U+00110000"),
            ("!!python/object:os.system x", '"x" cannot be read as os.system'),
            ("!!python/object:os.system {a: 1}", "is not allowed in a spec"),
            ("!!python/tuple [1]", "is not allowed in a spec"),
            ("&a [*a]", "the alias *a is not allowed in a spec"),
        ):
            if "{recipe" in text and wrong.endswith("}") and word == "net":
                continue
            place = text.index(f" {word}") + 1
            Path(path).write_text(text[:place] + wrong + text[place + len(word) :])
            code, out, err = cli("check", path)
            assert (code, out) == (2, "") and words in err and f"{path}:" in err, (path, wrong, err)
        Path(path).unlink()


def test_hints_name_what_is_near_in_every_kind_of_file(cli: Callable, project: Path) -> None:
    """S2 and S3: a recipe in a file of another name; a name that is nearly another."""
    Path("specs/recipes").mkdir(parents=True)
    recipe = (ROOT / "specs/recipes/cifar-paper.yaml").read_text()
    Path("specs/recipes/mine.yml").write_text(recipe.replace("name: cifar-paper", "name: ours"))
    Path("net.yaml").write_text(CIFAR_SPEC + "training: ours\n")
    code, _, err = cli("check", "net.yaml")
    assert code == 2 and "hint: the one in specs/recipes/mine.yml is called ours" not in err
    assert 'there is no recipe called "ours"' in err
    code, _, err = cli("check", "specs/recipes")
    assert code == 2 and '"ours" is not the name of its file' in err and "write `name: mine`" in err
    Path("net.yaml").write_text(CIFAR_SPEC + "training: cifar\n")
    code, _, err = cli("check", "net.yaml")
    assert code == 2 and "did you mean `cifar-paper`?" in err


@pytest.mark.usefixtures("measured_here")
def test_a_header_that_names_any_file_of_the_machine(net: Path, cli: Callable) -> None:
    """It is not read, be it there or not, and others' files are generated as ever."""
    path = NET / "model.py"
    fresh = path.read_text()
    for label in ("/etc/passwd", f"{net}/{SPEC_PATH}", "a" * 400, "../" * 90 + "x"):
        path.write_text(fresh.replace(SPEC_PATH, label, 1))
        assert check(cli) == [f"{path}: the spec moved"]
        code, _, err = cli("diff", NET)
        is_found = label.endswith(SPEC_PATH)  # by its name, among the specs that are here
        assert code == (0 if is_found else 2) and "root:" not in err
        assert is_found or "its header names the spec" in err
    assert cli("generate", "--all").code == 0 and path.read_text() == fresh


def test_nothing_that_a_terminal_obeys_is_printed(
    net: Path, cli: Callable, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("odd.yaml").write_text(f'{CIFAR_SPEC}"\u202e\u2066x": 1\n', encoding="utf-8")
    code, out, err = cli("check", "odd.yaml", "--json")
    assert code == 2 and "\u202e" not in out + err and "\\u202e\\u2066x" in out
    odd = "+red \x1b[31m\t\u202e\n"
    (NET / "run.py").write_text((NET / "run.py").read_text() + odd)
    assert "\x1b[31m" in cli("generate", "--all", "--diff").out  # into a pipe: a patch
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_text(odd)
    assert capfd.readouterr().out == "+red \\x1b[31m\t\\u202e\n"
