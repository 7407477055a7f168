"""
Fetch pages of pods and do nothing with them: `python fetch_pods.py URL TOKEN gzip|plain [AUTHORITY]`.

The official client uses urllib3 too. Compressed pages are decompressed, so that the bytes are the same.
"""

import json
import re
import sys

import urllib3

_CONTINUE = re.compile(rb'"continue":"([^"]+)"')


def main(url: str, token: str, encoding: str, authority: str | None = None) -> None:
    """Print how many bytes came."""
    headers = {"Authorization": f"Bearer {token}"} | ({"Accept-Encoding": "gzip"} if encoding == "gzip" else {})
    pool, fetched, page = urllib3.PoolManager(ca_certs=authority), 0, ""
    while True:
        reply = pool.request("GET", f"{url}?limit=500{page}", headers=headers)
        fetched += len(reply.data)
        # Near the start or the end of a page; the pods between are not looked at.
        following = _CONTINUE.search(reply.data[:400]) or _CONTINUE.search(reply.data[-400:])
        if following is None:
            break
        page = f"&continue={following[1].decode()}"
    print(json.dumps({"bytes": fetched}))


if __name__ == "__main__":
    main(*sys.argv[1:])
