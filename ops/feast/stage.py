"""Servers of a comparison's own: each on a free port or a socket in a folder of its own, and none outlives this process."""
import ctypes
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class Trouble(Exception):
    """Something that this comparison needs isn't as it must be."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(command, timeout=600, data=None, environment=None, folder=None):
    """The standard output of a command that must succeed."""
    result = subprocess.run(
        [str(word) for word in command], input=data, capture_output=True, timeout=timeout, cwd=folder,
        env={**os.environ, **(environment or {})})
    if result.returncode:
        raise Trouble(f"{command[0]} {command[1]} ended with {result.returncode}\n{result.stderr.decode()}{result.stdout.decode()[:4000]}")
    return result.stdout


def end_on_sigterm():
    """SIGTERM ends this program as an error would: servers stop and folders go."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def die_with_parent():
    """In a child, before it begins."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def run_in_front(command, timeout, folder=None, output=None):
    """Runs a command whose output people see, or `output` gets; it ends with this program, or when its time is up. Its exit code."""
    try:
        return subprocess.run(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=output, cwd=folder, timeout=timeout,
            preexec_fn=die_with_parent).returncode
    except subprocess.TimeoutExpired:
        raise Trouble(f"{command[0]} was stopped after {timeout} s") from None


class Server:
    """A child process that ends when this one does, with its group."""

    def __init__(self, name, command, log, environment=None, folder=None):
        self.name, self.log = name, pathlib.Path(log)

        with open(log, "wb") as out:
            self.child = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=folder,
                env={**os.environ, **(environment or {})}, start_new_session=True, preexec_fn=die_with_parent)

    @property
    def pid(self):
        return self.child.pid

    def wait_until(self, is_ready, seconds):
        deadline = time.monotonic() + seconds
        while not is_ready():
            if self.child.poll() is not None:
                raise Trouble(f"{self.name} ended with {self.child.returncode}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise Trouble(f"{self.name} isn't ready after {seconds} s:\n{self.tail()}")
            time.sleep(0.05)

    def tail(self):
        return self.log.read_text(errors="replace")[-4000:]

    def processes(self):
        """Ids of the process and all below it."""
        found, queue = [], [self.pid]
        while queue:
            pid = queue.pop()
            found.append(pid)
            try:
                for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                    queue += [int(child) for child in (task / "children").read_text().split()]
            except OSError:
                pass
        return found

    def resident_mib(self):
        """Resident memory of the process and all below it, and the most that it ever was."""
        now = peak = 0
        for pid in self.processes():
            try:
                for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("VmRSS:"):
                        now += int(line.split()[1])
                    if line.startswith("VmHWM:"):
                        peak += int(line.split()[1])
            except OSError:
                pass
        return now / 1024, peak / 1024

    def stop(self):
        """Asks it to end, and insists after ten seconds. The exit code."""
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self.child.wait()


class Redis(Server):
    """On a TCP port of this machine, since Feast knows no sockets."""

    def __init__(self, folder):
        self.port = free_port()
        super().__init__(
            "redis-server",
            ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder,
             "--maxmemory-policy", "noeviction"], pathlib.Path(folder) / "redis.log")
        try:
            self.wait_until(lambda: self.try_call("ping") == "PONG", 20)
        except BaseException:
            self.stop()
            raise

    def try_call(self, *words):
        command = ["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), *words]
        return subprocess.run(command, capture_output=True, timeout=60).stdout.decode().strip()


def answers(url):
    """Whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


class FeastServer(Server):
    """The Python feature server as its documentation starts it."""

    def __init__(self, repo, workers=2):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(
            "feast serve",
            [pathlib.Path(sys.executable).parent / "feast", "--chdir", repo, "serve", "--host", "127.0.0.1", "--port", self.port,
             "--workers", workers, "--max-requests", 0, "--no-access-log"],
            # gunicorn leaves a socket in the home folder.
            pathlib.Path(repo) / "serve.log", {**feast_environment(), "HOME": str(repo)})
        try:
            self.wait_until(lambda: answers(self.url + "/health"), 90)
        except BaseException:
            self.stop()
            raise


def feast_environment():
    return {"TIDEMARK_FEAST_LIBRARY": str(HERE), "FEAST_USAGE": "False", "PYTHONDONTWRITEBYTECODE": "1"}


def tidemark_program():
    """TIDEMARK_BIN, or the newest that was built here."""
    if given := os.environ.get("TIDEMARK_BIN"):
        return pathlib.Path(given).resolve()
    built = [path for kind in ("release", "debug") if (path := ROOT / ".build" / kind / "tidemark").exists()]
    if not built:
        raise Trouble("tidemark is not built: swift build, or name it in TIDEMARK_BIN")
    return max(built, key=lambda path: path.stat().st_mtime)


class TidemarkServer(Server):
    """`tidemark serve` on the folder that make-rows filled."""

    def __init__(self, folder, program=None):
        folder = pathlib.Path(folder)
        self.port = int((folder / "http-port").read_text())
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(
            "tidemark serve", [program or tidemark_program(), "--config", folder / "tidemark.yaml", "serve"],
            folder / "serve.log", folder=folder)
        try:
            self.wait_until(lambda: answers(self.url + "/readyz"), 30)
        except BaseException:
            self.stop()
            raise


class BareServer(Server):
    """The bare handler of Benchmarks/LookupBare: for each request it reads `batch` rows and answers `body`, unchecked."""

    def __init__(self, folder, program, redis_port, keys, batch, body):
        folder = pathlib.Path(folder)
        (folder / f"keys-{batch}").write_text("".join(f"{key}\n" for key in keys))
        (folder / f"body-{batch}").write_bytes(body)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        super().__init__(
            "lookup-bare",
            [program, "--port", self.port, "--redis", f"redis://127.0.0.1:{redis_port}/0", "--keys-file", folder / f"keys-{batch}",
             "--body-file", folder / f"body-{batch}", "--batch", batch, "--loops", os.cpu_count() or 2], folder / f"bare-{batch}.log")
        try:
            self.wait_until(lambda: "listening" in self.tail() or self.connects(), 20)
        except BaseException:
            self.stop()
            raise

    def connects(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def has_serve(program):
    """Whether this `tidemark` has the command at all."""
    result = subprocess.run([str(program), "--help"], capture_output=True, timeout=60)
    return re.search(rb"(?m)^\s+serve\b", result.stdout) is not None
