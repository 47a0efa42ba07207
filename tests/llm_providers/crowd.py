"""A process that sends many requests at once when it is told to, for tests with several of them.

    python -m tests.llm_providers.crowd 12

It says `ready`, waits for a line, and then says which provider answered each request, as JSON.
"""

import asyncio
import json
import sys


def main() -> None:
    import django

    django.setup()
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(asyncio.run(_served_by(int(sys.argv[1])))), flush=True)


async def _served_by(count: int) -> list[str]:
    from llm_providers.client import UnifiedLLMClient
    from tests.llm_providers.requests import ask

    answered = await asyncio.gather(*(UnifiedLLMClient().complete(ask()) for _ in range(count)))
    return [answer.provider for answer in answered]


if __name__ == "__main__":
    main()
