"""The floor: the same requests with httpx from a pool of 64 threads, and nothing around them."""

import os
from concurrent.futures import ThreadPoolExecutor

import httpx

COUNT = int(os.environ["BENCH_COUNT"])


def main() -> None:
    """Print how many answered right."""
    limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
    with httpx.Client(base_url=os.environ["BENCH_URL"], limits=limits, timeout=5.0) as client:

        def ask(number: int) -> bool:
            return bool(client.get(f"/items/{number}").json() == {"status": "ok"})

        with ThreadPoolExecutor(64) as pool:
            print(f"{sum(pool.map(ask, range(COUNT)))} passed")


if __name__ == "__main__":
    main()
