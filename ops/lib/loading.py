"""What the runs under load share: the halves of lookup-load that they talk to, and how results are held against bounds."""
import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "ops" / "feast"))
import stage  # noqa: E402
from stage import Trouble, say  # noqa: E402


class Talker(stage.Server):
    """A half of lookup-load: it prints lines, and is told things by lines."""

    def __init__(self, folder, *words, pinned=False):
        self.name, self.errors = f"lookup-load {words[0]}", open(folder / f"{words[0]}.log", "ab")
        load = os.environ["TIDEMARK_LOAD_BIN"]
        # Behind Redis, with which it shares a core: a load that starves the store measures itself.
        command = ["taskset", "-c", "1", "nice", "-n", "15", load] if pinned else [load]
        self.child = subprocess.Popen(
            command + [str(word) for word in words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            start_new_session=True)
        self.first = self.line()

    def line(self):
        line = self.child.stdout.readline()
        if not line:
            raise Trouble(f"{self.name} ended with {self.child.wait()}; its log is {self.errors.name}")
        return line.strip()

    def tell(self, line):
        self.child.stdin.write(line + "\n")
        self.child.stdin.flush()
        if (answer := self.line()) != f"ok {line}":
            raise Trouble(f"{self.name}: {answer}")

    def tail(self):
        return pathlib.Path(self.errors.name).read_text()[-4000:]


class Proxy(Talker):
    """A bad network before a server."""

    def __init__(self, folder, port, pinned=False):
        super().__init__(folder, "proxy", "--to", port, pinned=pinned)
        self.port = int(self.first.rpartition(":")[2])


class Load(Talker):
    """Who asks; `settings` are options of lookup-load ask."""

    def __init__(self, folder, *words, pinned=False, **settings):
        super().__init__(
            folder, "ask", *[word for name, value in settings.items() for word in (f"--{name}", value)], *words, pinned=pinned)

    def phase(self, name):
        self.tell(f"phase {name}")

    def end(self):
        """What became of the requests, by phase."""
        self.child.stdin.close()
        phases = json.loads(self.line())
        self.child.wait(30)
        self.errors.close()
        return {phase["name"]: phase for phase in phases}


class Report:
    """Lines of (what, value, bound, whether it holds, detail), and tables."""

    def __init__(self):
        self.lines, self.tables, self.skipped = [], {}, []

    def bound(self, what, value, sign, bound, detail=""):
        holds = {"<=": value <= bound, ">=": value >= bound, "<": value < bound, "=": value == bound}[sign]
        self.lines.append({"what": what, "value": value, "bound": f"{sign} {bound:g}", "ok": holds, "detail": detail})

    def skip(self, what, why):
        """Something wasn't tried here: said aloud, and in the results."""
        say(f"  SKIPPED {what}: {why}")
        self.skipped.append({"what": what, "why": why})

    def row(self, table, **columns):
        self.tables.setdefault(table, []).append(columns)
        say("  " + ", ".join(f"{name} {shown(value)}" for name, value in columns.items()))

    def print(self, as_json):
        if as_json:
            print(json.dumps({"lines": self.lines, "tables": self.tables, "skipped": self.skipped}, indent=2))
        else:
            for name, rows in self.tables.items():
                print_table(name, rows)
            print(f"\n{'':64} {'value':>10}  {'bound':10}")
            for line in self.lines:
                print(f"{line['what']:64} {shown(line['value']):>10}  {line['bound']:10} {'PASS' if line['ok'] else 'BROKEN'}  {line['detail']}")
            for skipped in self.skipped:
                print(f"SKIPPED {skipped['what']}: {skipped['why']}")
        return all(line["ok"] for line in self.lines)


def shown(value):
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1_000 else f"{value:.2f}" if value < 10 else f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def print_table(name, rows):
    print(f"\n{name}")
    widths = {column: max(len(column), *(len(shown(row[column])) for row in rows)) for column in rows[0]}
    print("  ".join(column.rjust(width) for column, width in widths.items()))
    for row in rows:
        print("  ".join(shown(row[column]).rjust(width) for column, width in widths.items()))


def fates(*phases):
    """How many requests ended how, in all phases together."""
    total = {}
    for phase in phases:
        for fate, count in phase["fates"].items():
            total[fate] = total.get(fate, 0) + count
    return total


def worst(phases, measure="fromDue", share="p999"):
    return max(phase[measure][share] for phase in phases)
