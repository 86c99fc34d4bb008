"""Commands for load: projects as OCT has them, their turrets, runs and results."""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from OttoLibrary.errors import UsageError

if TYPE_CHECKING:
    from OttoLibrary.load.hq import Hq
    from OttoLibrary.load.load_limits import LimitVerdict
    from OttoLibrary.load.plan import ProjectPlan
    from OttoLibrary.load.result_store import ResultReader
    from OttoLibrary.load.summary import LoadSummary

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

ABORTED, LIMIT_BROKEN = 1, 99
_STEP_S = 0.1
_LINE_S = 1.0


def add_commands(commands: Commands) -> None:
    """Add the commands of this group to the parser."""
    load = commands.add_parser("load", help="put load on a system with turrets, as OCT does, and compare results")
    parts = load.add_subparsers(required=True, metavar="PART")
    new = parts.add_parser("new-project", aliases=["new"], help="make a folder for a load project")
    new.add_argument("name", type=Path, help="the new folder")
    new.add_argument("-t", "--template", type=Path, metavar="FILE.tar.gz", help="an archive of a project to begin with")
    new.set_defaults(run=_new)
    pack = parts.add_parser("pack-turrets", aliases=["pack"], help="write one archive for each turret of a project")
    pack.add_argument("path", type=Path, help="the project")
    pack.add_argument("--python", action="store_true", help="add a setup.py that installs what scripts need")
    pack.add_argument("--config-file", default="", help="another configuration than config.json, relative to the project")
    pack.set_defaults(run=_pack)
    keys = parts.add_parser("make-keys", help="make the keys with which an HQ and its turrets know each other")
    keys.add_argument("folder", type=Path, help="where they are kept; name it as 'curve' in config.json")
    keys.set_defaults(run=_make_keys)
    _add_run(parts)
    rebuild = parts.add_parser("rebuild-results", aliases=["rebuild"], help="write the report of results anew, also of OCT's")
    rebuild.add_argument("results", type=Path, help="the folder of the results")
    files = "the file of the results and the configuration, or that alone"
    rebuild.add_argument("files", type=Path, nargs="+", metavar="[SQLITE] CONFIG", help=files)
    rebuild.add_argument("-f", "--results-file", type=Path, help="the file of the results, if it is not in the folder")
    rebuild.add_argument("--json", action="store_true", help="print the statistics as JSON")
    rebuild.set_defaults(run=_rebuild)
    to_csv = parts.add_parser("results-to-csv", aliases=["to-csv"], help="write each result as a line")
    to_csv.add_argument("results", type=Path, help="the file of the results")
    to_csv.add_argument("output", type=Path, help="the new file")
    to_csv.add_argument("-d", "--delimiter", default=";", help="what separates columns (default: ;)")
    to_csv.add_argument("--json", action="store_true", help="print what was written as JSON")
    to_csv.set_defaults(run=_to_csv)
    compare = parts.add_parser("compare", help="say whether the times of two runs differ, and how surely")
    compare.add_argument("old", type=Path, help="results of a run: the folder, or the file")
    compare.add_argument("new", type=Path, help="results of another run")
    compare.add_argument("-o", "--output", type=Path, metavar="FILE.html", help="write a page with both runs over each other")
    compare.add_argument("--json", action="store_true", help="print it as JSON")
    compare.set_defaults(run=_compare)


def _add_run(parts: Commands) -> None:
    run = parts.add_parser("run", help="run the load of a project")
    run.add_argument("path", type=Path, help="the project")
    run.add_argument("-d", "--directory", type=Path, default=Path(), help="the folder in which the project is")
    run.add_argument("-r", "--results", type=Path, metavar="RESULTS", help="fire nothing: write the report of these results anew")
    run.add_argument("-o", "--output-dir", type=Path, help="a new folder for the results")
    run.add_argument("-p", "--publisher-channel", default="", help="what published results begin with")
    run.add_argument("--no-results", action="store_true", help="write no report")
    run.add_argument("--config-file", default="", help="another configuration than config.json, relative to the project")
    run.add_argument("--local", action="store_true", help="start the turrets of the project here, too")
    run.add_argument("--limit", action="append", default=[], metavar="LIMIT", help="what must hold, such as 'p(95)<300ms'")
    run.add_argument("--json", action="store_true", help="print the statistics as JSON")
    run.set_defaults(run=_run)


def _new(options: argparse.Namespace) -> int:
    from OttoLibrary.load.project import new_project

    new_project(options.name, options.template)
    print(f"Made {options.name}.")
    return 0


def _pack(options: argparse.Namespace) -> int:
    from OttoLibrary.load.plan import read_project
    from OttoLibrary.load.project import pack_turrets

    for path in pack_turrets(read_project(options.path, options.config_file), options.python):
        print(f"Packed {path}")
    return 0


def _make_keys(options: argparse.Namespace) -> int:
    from OttoLibrary.load.curve_keys import make_keys

    make_keys(options.folder)
    print(f"Made keys in {options.folder}. Nobody else may read them; turrets that are packed with them have copies.")
    return 0


# -- run


def _run(options: argparse.Namespace) -> int:
    from OttoLibrary.load.load_limits import LoadLimit
    from OttoLibrary.load.plan import read_project
    from OttoLibrary.load.project import results_folder

    project = options.directory / options.path
    plan = read_project(project, options.config_file)
    limits = (*plan.limits, *(LoadLimit.parse(text) for text in options.limit))
    if options.results is not None:
        place = options.results if options.results.exists() else project / "results" / options.results
        return _report(place, place / "results.sqlite", plan, options.json)
    folder = options.output_dir or results_folder(project)
    for note in plan.notes:
        print(note, file=sys.stderr)
    hq = _fire(options, plan, folder, limits)
    results = _reader(folder)
    verdicts = _verdicts(results, limits)
    summary = _summary(results, plan.interval_s)
    if not options.no_results and summary.whole.count:
        _write_reports(results, plan, verdicts, folder)
    _print_outcome(summary, results, verdicts, options.json)
    if hq.broken is not None or any(not verdict.passed for verdict in verdicts):
        return LIMIT_BROKEN
    return ABORTED if hq.is_aborted else 0


def _fire(options: argparse.Namespace, plan: ProjectPlan, folder: Path, limits: tuple[Any, ...]) -> Hq:
    from OttoLibrary.cli.live_table import until_signal
    from OttoLibrary.cli.load_table import shown_live
    from OttoLibrary.load.curve_keys import read_keys
    from OttoLibrary.load.hq import Hq, HqPlan
    from OttoLibrary.load.hq_process import TurretOrder, TurretProcesses
    from OttoLibrary.load.plan import CONFIG
    from OttoLibrary.load.project import turret_config
    from OttoLibrary.load.result_store import COUNTERS, FILE, ResultWriter
    from OttoLibrary.load.sockets import HqSockets
    from OttoLibrary.masking import mask

    keys = read_keys(plan.curve).hq if plan.curve is not None else None
    sockets = HqSockets(plan.bind_address, plan.publish_port, plan.rc_port, plan.own_port, plan.external_publisher, keys)
    counters = folder / COUNTERS
    here = TurretProcesses(counters, str(plan.folder.absolute()))
    try:
        writer = ResultWriter(folder / FILE)
        counters.mkdir(exist_ok=True)
        shutil.copyfile(plan.folder / (options.config_file or CONFIG), folder / CONFIG)
        turrets = max(plan.min_turrets, len(plan.turrets)) if options.local else plan.min_turrets
        described = {"title": plan.folder.resolve().name, "run_time": plan.run_time_s}
        hq_plan = HqPlan(
            plan.run_time_s,
            turrets,
            plan.wait_s,
            plan.grace_s,
            limits=limits if plan.abort else (),
            topic=options.publisher_channel,
            described=described,
        )
        hq = Hq(hq_plan, sockets, writer, counters, mask=mask)
        if options.local:
            for turret in plan.turrets:
                config = turret_config(plan, turret)
                config["script"] = str((plan.folder / turret["script"]).absolute())
                here.start(TurretOrder(config), {"hq_address": "127.0.0.1", "token": "local"})
        with until_signal() as stopped, shown_live() as show:
            told = 0.0
            while not hq.is_over:
                hq.step(_STEP_S)
                if stopped.is_set():
                    hq.abort("it was interrupted")
                for who, why in here.ended():
                    hq.lose(who, why)
                if time.monotonic() - told >= _LINE_S and plan.shows_progress:
                    told = time.monotonic()
                    show(hq.snapshot())
        return hq
    finally:
        here.close()
        sockets.close()


def _verdicts(results: ResultReader, limits: tuple[Any, ...]) -> list[LimitVerdict]:
    from OttoLibrary.load.load_limits import LimitVerdict, judge

    seconds, phases = results.seconds(), results.phases()
    found = []
    for limit in limits:
        try:
            found.append(judge(limit, seconds, phases))
        except UsageError as error:
            print(f"{limit}: {error}", file=sys.stderr)
            found.append(LimitVerdict(limit, math.nan, False))
    return found


def _print_outcome(summary: LoadSummary, results: ResultReader, verdicts: list[LimitVerdict], as_json: bool) -> None:
    run = results.run()
    if as_json:
        limits = [{"limit": str(each.limit), "value": each.value, "passed": each.passed} for each in verdicts]
        said = summary.as_dictionary() | {"limits": limits}
        print(json.dumps(_finite({**said, "warnings": run.get("warnings", []), "reason": run.get("reason", "")}), indent=2))
        return
    from OttoLibrary.load.summary import totals_text

    print(f"\n{totals_text(summary)}")
    for verdict in verdicts:
        print(f"{'pass' if verdict.passed else 'FAIL'}  {verdict}")
    for warning in run.get("warnings", []):
        print(f"Warning: {warning}.")
    if run.get("reason"):
        print(f"The run was {run['state']}: {run['reason']}." if run.get("state") in {"aborted", "killed"} else run["reason"])
    print(f"Results: {results.path.parent}")


def _finite(value: Any) -> Any:
    """Return what JSON of others can hold: no NaN."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


# -- results


def _rebuild(options: argparse.Namespace) -> int:
    from OttoLibrary.load.plan import read_project

    if len(options.files) > 2:
        raise UsageError("rebuild-results takes the folder, the file of the results if it is another, and the configuration.")
    config = options.files[-1]
    file = options.results_file or (options.files[0] if len(options.files) == 2 else options.results / "results.sqlite")
    return _report(options.results, file, read_project(config.parent, config.name), options.json)


def _report(folder: Path, file: Path, plan: ProjectPlan, as_json: bool) -> int:
    results = _reader(file)
    summary = _summary(results, plan.interval_s)
    if not summary.whole.count:
        raise UsageError(f"'{file}' has no results, so there is nothing to report.")
    verdicts = _verdicts(results, plan.limits)
    _write_reports(results, plan, verdicts, folder)
    _print_outcome(summary, results, verdicts, as_json)
    return LIMIT_BROKEN if any(not verdict.passed for verdict in verdicts) else 0


def _write_reports(results: ResultReader, plan: ProjectPlan, verdicts: list[LimitVerdict], folder: Path) -> None:
    from OttoLibrary.load.report_page import render_template, write_report

    print(f"Report: {write_report(results, folder / 'report.html', verdicts, interval_s=plan.interval_s)}", file=sys.stderr)
    template = plan.folder / "templates" / "report.html"
    if template.is_file():
        page = render_template(template, results, plan.run_time_s, plan.interval_s)
        (folder / "results.html").write_text(page, encoding="utf-8")


def _to_csv(options: argparse.Namespace) -> int:
    from OttoLibrary.load.project import write_csv

    count = write_csv(_reader(options.results), options.output, options.delimiter)
    said = {"results": count, "file": str(options.output)}
    print(json.dumps(said) if options.json else f"{count} results written to {options.output}.")
    return 0


def _compare(options: argparse.Namespace) -> int:
    from OttoLibrary.load.comparison import compare

    old, new = _reader(options.old), _reader(options.new)
    found = compare(old, new)
    if options.output is not None:
        from OttoLibrary.load.report_page import write_comparison

        print(f"Report: {write_comparison(old, new, found, options.output)}", file=sys.stderr)
    if options.json:
        print(json.dumps(_finite([vars(row) for row in found]), indent=2))
    else:
        for row in found:
            print(row)
    return LIMIT_BROKEN if any(row.is_slower for row in found) else 0


def _reader(place: Path) -> ResultReader:
    from OttoLibrary.load.result_store import FILE, ResultReader

    return ResultReader(place / FILE if place.is_dir() else place)


def _summary(results: ResultReader, interval_s: float) -> LoadSummary:
    from OttoLibrary.load.summary import load_summary

    return load_summary(results, interval_s)
