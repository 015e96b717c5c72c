"""Who does the pieces of an evaluation: this process, processes beside it, or the workers of a dask cluster.

Each is an iterator of the numbers in the order in which they come; the numbers themselves are the same.
"""

from __future__ import annotations

import importlib
import multiprocessing
import pickle
import signal
import traceback
import uuid
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any

import cloudpickle

from lrp_widgets.evaluation.dataset.measuring import Failure, Measuring, Number, Piece
from lrp_widgets.threads import one_thread
from lrp_widgets.wording import in_words

__all__ = ["here", "in_processes", "on_cluster"]

LIVES = 3  # how many workers may end over one piece before the evaluation gives up


def here(measuring: Measuring, pieces: Sequence[Piece]) -> Iterator[Number]:
    """One piece after the other, in this process."""
    for piece in pieces:
        yield from measuring.numbers(piece)


def in_processes(measuring: Measuring, pieces: Sequence[Piece], jobs: int) -> Iterator[Number]:
    """In processes of their own, each of which is sent the model once; one that dies is replaced.

    Raises Failure where a sample fails, RuntimeError where processes cannot begin or die again and again.
    """
    packed = pack(measuring)
    left, lost = deque(enumerate(pieces)), Counter[int | None]()
    pool: dict[Connection, _Worker] = {}
    try:
        while left or any(worker.piece for worker in pool.values()):
            unfinished = len(left) + sum(worker.piece is not None for worker in pool.values())
            for _ in range(min(jobs, unfinished) - len(pool)):
                worker = _Worker()
                pool[worker.connection] = worker
            for worker in pool.values():  # idle ones too: the piece of a worker that died may have come back
                if worker.ready and worker.piece is None and left:
                    worker.piece = left.popleft()
                    worker.send(pickle.dumps(worker.piece[1]))
            for connection in wait(list(pool)):
                assert isinstance(connection, Connection)
                worker = pool[connection]
                try:
                    kind, content = pickle.loads(connection.recv_bytes())
                    if kind == "number":
                        yield content
                        continue
                    if kind == "failure":
                        raise content
                    if kind == "ready":
                        worker.send(packed)
                        worker.ready = True
                    worker.piece = None  # ready, or done
                except (EOFError, OSError):  # an OSError: it died in the middle of a message
                    del pool[connection]
                    _put_back(worker, left, lost)
    finally:
        for worker in pool.values():
            worker.process.terminate()
        for worker in pool.values():
            worker.process.join()
            worker.connection.close()


class _Worker:
    """A process, the way to it, and what it is doing."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self.connection, other = context.Pipe()
        self.process = context.Process(target=_work, args=(other,), name="lrp_widgets-evaluate", daemon=True)
        self.process.start()
        other.close()  # this process must not hold it open, or the end of the worker is not noticed
        self.ready = False
        self.piece: tuple[int, Piece] | None = None

    def send(self, content: bytes) -> None:
        with suppress(OSError):  # a dead worker is noticed where its connection is read
            self.connection.send_bytes(content)


def _put_back(worker: _Worker, left: deque[tuple[int, Piece]], lost: Counter[int | None]) -> None:
    """Put the piece of a dead worker back into the queue. Raises RuntimeError where another worker would end too.

    `lost` counts the dead of each piece, and under None those that were killed before they began.
    """
    worker.process.join()
    worker.connection.close()
    code = worker.process.exitcode or 0
    if not worker.ready and code >= 0:  # it ended by itself, and so would the next
        raise RuntimeError(
            f"A process of evaluate ended before it began (exit code {code}). In a script, call lw.evaluate under "
            'if __name__ == "__main__": where jobs is more than 1.'
        )
    if worker.ready and worker.piece is None:
        return
    index, where = None, "before they began"
    if worker.piece:
        left.appendleft(worker.piece)
        index, piece = worker.piece
        last = piece.start + len(piece.inputs) - 1
        where = f"over samples {piece.start} to {last} with method {piece.method!r}"
    lost[index] += 1
    if lost[index] >= LIVES:
        raise RuntimeError(
            f"{LIVES} processes of evaluate ended (exit code {code}) {where}. "
            "Most often memory runs out: take fewer jobs or a smaller batch."
        )


def _work(connection: Connection) -> None:
    """What a process does: ask for the model, then for one piece after the other, until nobody answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all; the one who asked ends the others
    # Where the process that asked is gone, this one ends as well.
    with suppress(EOFError, ConnectionError), one_thread():
        _say(connection, "ready", None)
        try:
            measuring = unpack(connection.recv_bytes())
        except Exception as error:
            _say(connection, "failure", RuntimeError(_unpacked_said(error)))
            return
        while True:
            piece = pickle.loads(connection.recv_bytes())
            try:
                for number in measuring.numbers(piece):
                    _say(connection, "number", number)
            except Failure as failure:
                failure.trace = traceback.format_exc()
                _say(connection, "failure", failure)
            _say(connection, "done", None)


def _say(connection: Connection, kind: str, content: Any) -> None:
    connection.send_bytes(pickle.dumps((kind, content)))


_CARRIED: dict[str, bytes | Measuring] = {}  # on a worker of a cluster: the evaluations it takes part in


def on_cluster(measuring: Measuring, pieces: Sequence[Piece], client: Any) -> Iterator[Number]:
    """On the workers of a dask.distributed Client; each is sent the model once, also one that replaces another.

    Raises Failure where a sample fails, RuntimeError where workers die again and again, ImportError without
    distributed.
    """
    try:
        distributed = importlib.import_module("distributed")
    except ImportError:
        raise ImportError(
            "evaluate.client needs dask.distributed, which is not installed. "
            "Install it with pip install lrp_widgets[distributed]."
        ) from None
    if not isinstance(client, distributed.Client) or client.asynchronous:
        raise TypeError(f"evaluate.client must be a dask.distributed.Client that is not asynchronous, got {client!r}.")
    packed, key = pack(measuring), f"lrp_widgets-{uuid.uuid4()}"

    class Carrier(distributed.WorkerPlugin):  # defined here, so that it is sent by value and no worker imports it
        name = key

        def setup(self, worker: Any) -> None:
            carried()[key] = packed

        def teardown(self, worker: Any) -> None:
            carried().pop(key, None)

    client.register_plugin(Carrier())
    futures = [client.submit(_measured, key, piece, pure=False) for piece in pieces]
    try:
        for future in distributed.as_completed(futures):
            try:
                numbers, failure = future.result()
            except distributed.KilledWorker as error:
                raise RuntimeError(
                    f"Workers of the cluster ended again and again over one piece: {error} "
                    "Most often memory runs out: take a smaller batch."
                ) from error
            yield from numbers
            if failure is not None:
                raise failure
    finally:
        client.cancel(futures)
        with suppress(Exception):  # a cluster that is gone has nothing left to clean up
            client.unregister_worker_plugin(key)


def carried() -> dict[str, bytes | Measuring]:
    """What this worker carries."""
    return _CARRIED


def _measured(key: str, piece: Piece) -> tuple[list[Number], Exception | None]:
    """All numbers of a piece, on a worker; those before a failure, and the failure."""
    numbers: list[Number] = []
    try:
        measuring = _CARRIED[key]
        if not isinstance(measuring, Measuring):
            try:
                measuring = _CARRIED[key] = unpack(measuring)
            except Exception as error:
                return [], RuntimeError(_unpacked_said(error))
        for number in measuring.numbers(piece):
            numbers.append(number)
    except Failure as failure:
        failure.trace = traceback.format_exc()
        return numbers, failure
    return numbers, None


def pack(measuring: Measuring) -> bytes:
    """The model with all that is asked of it. By cloudpickle, for what a notebook defines. Raises TypeError."""
    content = (measuring.model, measuring.output, dict(measuring.methods), dict(measuring.metrics), measuring.seed)
    try:
        return cloudpickle.dumps(content)
    except Exception as error:
        raise TypeError(
            f"The model, methods and metrics must go to other processes, and pickle says "
            f"{type(error).__name__}: {in_words(error)}. "
            "Take out what cannot be sent, or take jobs=1."
        ) from error


def unpack(packed: bytes) -> Measuring:
    """What pack() made, on the other side."""
    return Measuring(*pickle.loads(packed))


def _unpacked_said(error: Exception) -> str:
    return (
        "A worker of evaluate could not read the model, methods and metrics: "
        f"{type(error).__name__}: {in_words(error)}. What they import must be there for it too; or take jobs=1."
    )
