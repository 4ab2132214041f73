"""What a training shows."""

from __future__ import annotations

import io

from rich.console import Console
from rich.live import Live

from floatcli.cli.training import TrainingTable
from floatcli.train.report import Report

REPORT = Report("flow", 20, 100, {"field": 0.5, "velocity": 0.25}, 1e-3, 0.5)


def test_a_report_is_a_line_where_there_is_no_terminal(capsys):
    table = TrainingTable(None)
    table(REPORT)
    table("flow, held out: field 0.6")
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "floatcli: flow 20/100  field 0.5000  velocity 0.2500  0.500 s/step",
        "floatcli: flow, held out: field 0.6",
    ]


def test_a_terminal_has_a_row_for_every_part_and_lines_above():
    screen = Console(file=io.StringIO(), force_terminal=True, width=100)
    with Live(console=screen, auto_refresh=False) as live:
        table = TrainingTable(live)
        table(Report("flow", 10, 100, {"field": 0.9}, 1e-3, 1.0))
        table("pictures are compared by [VGG-19]")
        table(REPORT)
        table(Report("audio", 1, 2, {"lips": 0.1}, 1e-4, 2.0))
    shown = Console(file=(file := io.StringIO()), width=100)
    shown.print(table.table())
    lines = file.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["part", "flow", "audio"]
    assert lines[1].split() == [
        "flow",
        "20/100",
        "field",
        "0.5000",
        "velocity",
        "0.2500",
        "1.0e-03",
        "0.500",
        "0:00:40",
    ]
    assert "floatcli: pictures are compared by [VGG-19]" in screen.file.getvalue()  # type: ignore[attr-defined]
