"""One case: a folder, addresses and processes of its own, a time limit, and everything stopped at its end."""
import contextlib
import os
import shutil
import threading
import time
import traceback

from . import namespace
from .process import Process


class Failure(Exception):
    """The case did not end as it should."""


class Case:
    """What a case works with. Use `wait` for everything that takes time."""

    def __init__(self, name, folder, limit):
        self.name = name
        self.folder = os.path.join(folder, name.replace("/", "_").replace(" ", "_"))
        os.makedirs(self.folder)
        self.end = time.monotonic() + limit
        self.processes = []
        self.closers = []
        # How clients may find peers besides trackers and addresses that they are given: "pex", "lsd", "dht".
        self.ways = frozenset()
        # The node of the DHT that they ask first.
        self.router = None

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def new_folder(self, name):
        path = self.path(name)
        os.makedirs(path)
        return path

    def address(self):
        return namespace.address()

    def address6(self):
        return namespace.address6()

    def start(self, argv, name, env=None, cwd=None):
        process = Process(argv, self.path(f"{name}.log"), env, cwd)
        self.processes.append(process)
        return process

    def left(self):
        return self.end - time.monotonic()

    def wait(self, condition, what, alive=()):
        """Waits until `condition()` gives something true, and returns it. The processes in `alive` must not end meanwhile."""
        while True:
            result = condition()
            if result:
                return result
            for process in alive:
                if process.poll() is not None:
                    result = condition()
                    if result:
                        return result
                    raise Failure(f"{process.name} ended with {process.status} before: {what}")
            if self.left() < 0:
                raise Failure(f"out of time, waiting for: {what}")
            time.sleep(0.02)

    def close(self):
        for close in reversed(self.closers):
            with contextlib.suppress(Exception):
                close()
        for process in reversed(self.processes):
            process.stop()


class Outcome:
    """How a case ended."""

    def __init__(self, name, seconds, error=None, note=""):
        self.name, self.seconds, self.error, self.note = name, seconds, error, note

    @property
    def ok(self):
        return self.error is None


def run_case(name, folder, limit, body, keep=False):
    """Runs `body(case)`, which returns seconds, (seconds, note) or None for the whole time. Never raises."""
    begin = time.monotonic()
    case, error, result = None, None, None
    try:
        case = Case(name, folder, limit)
        result = body(case)
    except Exception as caught:
        trace = "" if isinstance(caught, (Failure, TimeoutError)) else "\n" + traceback.format_exc()
        error = f"{type(caught).__name__}: {caught}{trace}"
    if case is None:
        return Outcome(name, 0.0, error)
    if error:
        for process in case.processes:
            state = process.poll()
            error += f"\n  {os.path.basename(process.log)} ({'running' if state is None else f'ended with {state}'}):\n{process.tail()}"
    case.close()
    if not keep and not error:
        shutil.rmtree(case.folder, ignore_errors=True)
    seconds, note = result if isinstance(result, tuple) else (result, "")
    return Outcome(name, time.monotonic() - begin if seconds is None else seconds, error, note)


print_lock = threading.Lock()


def say(line):
    with print_lock:
        print(line, flush=True)
