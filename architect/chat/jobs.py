from architect.chat.services import settle_stale_runs
from architect.jobs.registry import periodic


@periodic(every_s=10)
def settle_abandoned_runs() -> None:
    settle_stale_runs()
