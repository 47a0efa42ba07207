"""The kinds of background work; each room adds its own in a module named `jobs`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobKind:
    """`run` may be called twice for the same job; it is retried only for `retry_on`, `max_attempts` times in all."""

    name: str
    run: Callable[..., None]
    queue: str
    retry_on: tuple[type[Exception], ...]
    max_attempts: int


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """Work that is done every `every_s` seconds and needs no row, because the next round makes up for a lost one."""

    name: str
    run: Callable[[], None]
    every_s: float
    queue: str


_kinds: dict[str, JobKind] = {}
_periodic: dict[str, PeriodicJob] = {}


def job(
    *, queue: str = "slow", retry_on: tuple[type[Exception], ...] = (), max_attempts: int = 5
) -> Callable[[Callable[..., None]], JobKind]:
    """Makes a function a kind of job; start it with `architect.jobs.services.enqueue`."""

    def register(run: Callable[..., None]) -> JobKind:
        kind = JobKind(_name_of(run), run, queue, retry_on, max_attempts)
        _kinds[kind.name] = kind
        return kind

    return register


def periodic(*, every_s: float, queue: str = "quick") -> Callable[[Callable[[], None]], Callable[[], None]]:
    """Has Celery's beat call the function every `every_s` seconds."""

    def register(run: Callable[[], None]) -> Callable[[], None]:
        _periodic[_name_of(run)] = PeriodicJob(_name_of(run), run, every_s, queue)
        return run

    return register


def kind_named(name: str) -> JobKind | None:
    return _kinds.get(name)


def periodic_jobs() -> Iterable[PeriodicJob]:
    return tuple(_periodic.values())


def periodic_named(name: str) -> PeriodicJob:
    return _periodic[name]


def _name_of(run: Callable[..., None]) -> str:
    return f"{run.__module__}.{run.__qualname__}"
