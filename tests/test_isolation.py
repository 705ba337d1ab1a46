"""`diff` runs a file that anybody may have edited: whatever it does ends in a sentence."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import folder
from resnet_gen.compare import measure
from test_edits import edited

IMPORT = "from torch import Tensor, nn\n"
SCORES = "        return self.fc(x)"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("import os; os._exit(0)", "it ended its process, with status 0, before it was measured"),
        ("import os; os._exit(7)", "with status 7"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "running it crashed: SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "takes too much memory"),
    ],
)
def test_a_file_that_ends_its_process(line: str, words: str, cli: Callable, tmp_path: Path) -> None:
    code, out, err = cli("diff", edited(tmp_path, [(IMPORT, f"{IMPORT}{line}\n")]))
    assert code == 2 and not out and "Traceback" not in err
    assert words in err and "resnet20/model.py" in err


@pytest.mark.usefixtures("measured_here")
@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("bytearray(1 << 60)", "MemoryError"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import sys; sys.exit('enough')", "SystemExit: enough"),
    ],
)
def test_whatever_a_file_raises(line: str, words: str, cli: Callable, tmp_path: Path) -> None:
    code, out, err = cli("diff", edited(tmp_path, [(IMPORT, f"{IMPORT}{line}\n")]))
    assert code == 2 and not out and "Traceback" not in err
    assert f"resnet20/model.py:18:1: error[code]: {words}" in err


def test_a_file_that_does_not_end(
    cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "TIME_LIMIT", 6)
    began = time.monotonic()
    code, _, err = cli("diff", edited(tmp_path, [(IMPORT, f"{IMPORT}while True:\n    pass\n")]))
    assert code == 2 and "it does not end: stopped after 6 seconds" in err
    assert time.monotonic() - began < 30


def test_a_thread_that_does_not_end_keeps_nobody_waiting(cli: Callable, tmp_path: Path) -> None:
    lines = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n"
    began = time.monotonic()
    assert cli("diff", edited(tmp_path, [(IMPORT, IMPORT + lines)])).code == 0
    assert time.monotonic() - began < 40


@pytest.mark.usefixtures("measured_here")
@pytest.mark.parametrize(
    "line",
    [
        "x = x * x.mean().item()",
        "x = torch.from_numpy(x.detach().numpy())",
        "x = x if x.sum() > 0 else -x",
        "x = x[x.sum(1) > 0]",
        "x = x.cpu()",
    ],
)
def test_what_needs_numbers_is_told_why_it_cannot_be_followed(
    line: str, cli: Callable, tmp_path: Path
) -> None:
    code, _, err = cli("diff", edited(tmp_path, [(SCORES, f"        {line}\n{SCORES}")]))
    assert code == 2 and "Traceback" not in err
    assert f"\n            {line}\n" in err, "the line itself is shown"
    assert "tensors have a shape but no numbers" in err


def test_what_a_file_prints_does_not_reach_the_document(cli: Callable, tmp_path: Path) -> None:
    lines = "import os\nprint('{hello}')\nos.write(1, b'[world]')\n"
    done = cli("diff", edited(tmp_path, [(IMPORT, IMPORT + lines)]), "--json")
    assert done.code == 0 and json.loads(done.out)["equal"]
    assert "{hello}" in done.err and "[world]" in done.err


def test_torch_is_imported_in_that_process_alone(tmp_path: Path) -> None:
    code = (
        "import sys; from resnet_gen.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: sys.exit('torch' in sys.modules or end.code)"
    )
    command = [sys.executable, "-c", code, "diff", folder("resnet20"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_ctrl_c_ends_both_processes_without_a_word(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    lines = f"import os, pathlib\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\n"
    copy = edited(tmp_path, [(IMPORT, f"{IMPORT}{lines}while True:\n    pass\n")])
    command = [sys.executable, "-m", "resnet_gen", "diff", str(copy)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not pid.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130 and err == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
