#!/usr/bin/env python3
"""fuzz [options], fuzz schemathesis [options]: requests that nobody means, against the parsers and a daemon.

    fuzz                  mutated HTTP and JSON: through the parsers and encoders in one process, and over sockets to `tidemark serve`
                          with rows of every type. Prints seed, sizes, statuses and memory; the same seed makes the same cases
    fuzz schemathesis     schemathesis (from PyPI, into .build/schemathesis) on /openapi.json of both listeners

      --cases N           how many in all (10000000): a hundredth of them over sockets, the rest in the process
      --sockets N         how many of them over sockets
      --seed N            the first seed (1)
      --memory MIB        the most memory that the fuzzer, and the daemon, may ever have (512)
      --examples N        of schemathesis: how many requests a route (100)
      --keep              leaves the folder, and says where it is

Uses TIDEMARK_BIN and TIDEMARK_FUZZ_BIN, or the newest builds; without any it builds for release. Ends with 0 only if every promise
held; 77 where schemathesis can't be had."""
import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "ops" / "feast"))
import rows  # noqa: E402
import shop  # noqa: E402
import stage  # noqa: E402

SCHEMATHESIS = "schemathesis>=4,<5"
TOKEN = "fuzz-" + "0123456789abcdef" * 4


def program(name, variable):
    """The program of that name: told, or the newest build, or built now."""
    if given := os.environ.get(variable):
        return pathlib.Path(given).resolve()
    built = [path for kind in ("release", "debug") if (path := ROOT / ".build" / kind / name).exists()]
    if not built:
        stage.say(f"Building {name}, which takes some minutes")
        if stage.run_in_front(["swift", "build", "-c", "release", "--product", name], 3600, ROOT, sys.stderr):
            raise stage.Trouble(f"{name} can't be built")
        built = [ROOT / ".build" / "release" / name]
    return max(built, key=lambda path: path.stat().st_mtime)


def start(folder, redis, serve="", more=""):
    """A daemon with rows of every type."""
    os.environ["TIDEMARK_BIN"] = str(program("tidemark", "TIDEMARK_BIN"))
    rows.make(folder, redis.port, 200, feast=False, tidemark=True, registry=False, serve=serve)
    if more:
        with open(folder / "tidemark.yaml", "a") as file:
            file.write(more)
    return stage.TidemarkServer(folder)


def fuzz(options, folder):
    fuzzer = program("fuzz", "TIDEMARK_FUZZ_BIN")
    sockets = options.sockets if options.sockets is not None else options.cases // 100
    inside = options.cases - sockets
    servers = []
    try:
        servers.append(redis := stage.Redis(folder))
        # A request that nobody means may take its time: what is looked for here is what goes wrong, not what is slow.
        servers.append(daemon := start(folder, redis, ", timeout: 5s"))
        command = [
            fuzzer, *(word for path in sorted(shop.DEFINITIONS.glob("*.yaml")) for word in ("--definitions", path)),
            "--bodies", inside - inside // 2, "--heads", inside // 2, "--sockets", sockets, "--port", daemon.port, "--pid", daemon.pid,
            "--seed", options.seed, "--memory", options.memory]
        # Ten million cases take some minutes; some hours are a fuzzer that hangs.
        failed = stage.run_in_front(command, 600 + options.cases // 300)
        code = daemon.stop()
        if code:
            print(f"FAILED   the daemon ended with {code}:\n{daemon.tail()}")
        print(f"== {options.cases:,} cases, {sockets:,} of them over sockets: {'FAILED' if failed or code else 'every promise held'}")
        return 1 if failed or code else 0
    finally:
        for server in reversed(servers):
            server.stop()


def schemathesis_program():
    """schemathesis in a virtual environment of its own; None where it can't be had."""
    venv = ROOT / ".build" / "schemathesis"
    binary, stamp = venv / "bin" / "st", venv / ".made-from"
    if binary.exists() and stamp.exists() and stamp.read_text() == SCHEMATHESIS:
        return binary
    stage.say(f"Installing {SCHEMATHESIS} into {venv}")
    try:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True, capture_output=True, timeout=120)
        subprocess.run(
            [venv / "bin" / "pip", "--disable-pip-version-check", "--no-input", "--retries", "2", "--timeout", "20", "install", "--quiet",
             SCHEMATHESIS], check=True, capture_output=True, timeout=900)
    except (OSError, subprocess.SubprocessError) as error:
        stage.say(f"schemathesis can't be had: {error}")
        return None
    stamp.write_text(SCHEMATHESIS)
    return binary


def schemathesis(options, folder):
    binary = schemathesis_program()
    if not binary:
        return 77
    servers, good = [], True
    try:
        servers.append(redis := stage.Redis(folder))
        admin = stage.free_port()
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        os.environ["TIDEMARK_FUZZ_TOKEN_SHA256"] = digest
        servers.append(start(folder, redis, ", timeout: 5s", f"""admin:
  http: "127.0.0.1:{admin}"
  tokens: [{{name: fuzz, sha256: "env:TIDEMARK_FUZZ_TOKEN_SHA256", scopes: [admin]}}]
  rate: {{reads: 1000000, changes: 1000000}}
"""))
        daemon = servers[-1]
        for name, url, headers in (
            ("data", daemon.url, []), ("admin", f"http://127.0.0.1:{admin}", ["--header", f"Authorization: Bearer {TOKEN}"]),
        ):
            print(f"== {name}: {url}/openapi.json", flush=True)
            failed = stage.run_in_front(
                [binary, "run", f"{url}/openapi.json", *headers, "--max-examples", str(options.examples), "--seed", str(options.seed),
                 # What a schema can't say: which names there are in the store, and what was asked before.
                 "--exclude-checks", "positive_data_acceptance", "--generation-database", "none", "--no-color", "--continue-on-failure", *options.more], 3600, folder)
            good = good and not failed
        code = daemon.stop()
        if code:
            print(f"FAILED   the daemon ended with {code}:\n{daemon.tail()}")
        print(f"== schemathesis: {'nothing found' if good and not code else 'FAILED'}")
        return 0 if good and not code else 1
    finally:
        for server in reversed(servers):
            server.stop()


def main():
    parser = argparse.ArgumentParser(prog="ops/fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=["schemathesis"], help=argparse.SUPPRESS)
    parser.add_argument("--cases", type=int, default=10_000_000, help=argparse.SUPPRESS)
    parser.add_argument("--sockets", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--memory", type=int, default=512, help=argparse.SUPPRESS)
    parser.add_argument("--examples", type=int, default=100, help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help=argparse.SUPPRESS)
    options, options.more = parser.parse_known_args()
    if options.more and options.what != "schemathesis":
        parser.error(f"unknown: {' '.join(options.more)}")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tidemark-fuzz."))
    try:
        return (schemathesis if options.what else fuzz)(options, folder)
    finally:
        if options.keep:
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    stage.end_on_sigterm()
    try:
        sys.exit(main())
    except stage.Trouble as trouble:
        sys.exit(f"fuzz: {trouble}")
