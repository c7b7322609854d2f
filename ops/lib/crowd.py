"""Clients that hold connections and have no manners, many of them in one thread."""
import json
import selectors
import socket
import threading
import time

from lookup_stage import FEATURES, VIEWS

CONNECTING = 200  # connections that are opened at once, before their answers are read
NAMES = [f"load_{view}:f{place}" for view in range(VIEWS) for place in range(FEATURES)]


def lookup(ids, close=False):
    """A request of /v1/lookup."""
    body = json.dumps({"features": NAMES, "entities": [{"id": one} for one in ids]}).encode()
    end = b"connection: close\r\n" if close else b""
    return b"POST /v1/lookup HTTP/1.1\r\nhost: tidemark\r\nx-request-timeout-ms: 5000\r\n" + end + b"content-length: %d\r\n\r\n" % len(body) + body


def ask_anew(port, patience):
    """Milliseconds in which a connection of its own was answered in full; None if it wasn't."""
    began = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=patience) as connection:
            connection.sendall(lookup([1], close=True))
            answer = b""
            while more := connection.recv(65_536):
                answer += more
    except OSError:
        return None
    if not answer.startswith(b"HTTP/1.1 200 ") or b'"FAILED"' in answer:
        return None
    return (time.monotonic() - began) * 1_000


class Member:
    """A connection of a crowd: `idle` says nothing, `idle keep-alive` has asked once, `slow head` and `slow body` send a byte a second, `slow
    reader` asks for much and reads nothing of it."""

    def __init__(self, kind):
        self.kind, self.socket, self.began, self.ended = kind, None, None, None
        self.last = b""
        # Seconds between two bytes. Who reads nothing learns of the end by sending.
        self.every, self.dripped = 0.2 if kind == "slow reader" else 1, 0

    def open(self, port):
        self.socket = socket.socket()
        if self.kind == "slow reader":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self.socket.setblocking(False)
        self.socket.connect_ex(("127.0.0.1", port))
        self.began = time.monotonic()

    def first(self):
        """What is sent first."""
        match self.kind:
            case "idle": return b""
            case "idle keep-alive": return lookup([1])
            case "slow head": return b"POST /v1/lookup HTTP/1.1\r\nhost: tidemark\r\nx: "
            case "slow body": return b"POST /v1/lookup HTTP/1.1\r\nhost: tidemark\r\ncontent-length: 1000\r\n\r\n{"
            case "slow reader": return lookup(range(1, 101)) * 400

    def lived(self):
        """Seconds until the other side closed it; None if it didn't."""
        return self.ended - self.began if self.ended else None


class Crowd:
    """Opens its members' connections and keeps them until `end`. `settled` is set when each that wanted an answer has one or is closed, `over`
    when all are closed."""

    def __init__(self, port, members):
        self.port, self.members = port, members
        self.settled, self.over, self.ending = threading.Event(), threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.selector = selectors.DefaultSelector()
        self.opening = set()
        self.slow = [member for member in members if member.kind.startswith("slow")]

    def begin(self):
        self.thread.start()

    def end(self):
        self.ending.set()
        if self.thread.ident:
            self.thread.join()
        for member in self.members:
            if member.socket:
                member.socket.close()
        self.selector.close()

    def run(self):
        waiting, dripped = self.members[::-1], time.monotonic()
        while not self.ending.is_set():
            while waiting and len(self.opening) < CONNECTING:
                self.open(waiting.pop())
            for key, events in self.selector.select(0.1):
                (self.connected if events & selectors.EVENT_WRITE else self.readable)(key.data)
            if time.monotonic() - dripped >= 0.2:
                dripped = time.monotonic()
                self.drip(dripped)
            if not waiting and not self.opening:
                self.settled.set()
            if not waiting and all(member.ended for member in self.members):
                self.over.set()

    def open(self, member):
        member.open(self.port)
        self.opening.add(member)
        self.selector.register(member.socket, selectors.EVENT_WRITE, member)

    def connected(self, member):
        try:
            if first := member.first():
                member.socket.send(first)
        except OSError:
            return self.gone(member)
        if member.kind != "idle keep-alive":
            self.opening.discard(member)
        if member.kind == "slow reader":
            # It hears of its end when it sends.
            self.selector.unregister(member.socket)
        else:
            self.selector.modify(member.socket, selectors.EVENT_READ, member)

    def readable(self, member):
        try:
            more = member.socket.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            more = b""
        if more:
            self.opening.discard(member)
            member.last = more[:512]
        else:
            self.gone(member)

    def drip(self, now):
        for member in self.slow:
            if member.began and not member.ended and member not in self.opening and now - member.dripped >= member.every:
                member.dripped = now
                try:
                    member.socket.send(b"x")
                except BlockingIOError:
                    pass
                except OSError:
                    self.gone(member)

    def gone(self, member):
        member.ended = time.monotonic()
        self.opening.discard(member)
        if member.kind != "slow reader":
            self.selector.unregister(member.socket)
        member.socket.close()
