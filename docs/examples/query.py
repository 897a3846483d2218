#!/usr/bin/env python3
"""Runs one SQL query on a Millrace daemon. Needs the standard library only.

    python3 query.py "SELECT origin, count(*) AS n FROM flights GROUP BY origin ORDER BY n DESC LIMIT 5"
    python3 query.py --arrow answer.arrows "SELECT * FROM flights WHERE delay > 600"
    python3 query.py --pyarrow "SELECT * FROM flights LIMIT 3"      # where pyarrow is installed

Without an option: one JSON object per row on stdout, the summary on stderr. Exit codes: 0 done, 1 refused or failed, 2 usage.
"""
import argparse
import json
import os
import shutil
import sys
import urllib.error
import urllib.request


class QueryError(Exception):
    """What the daemon said: a stable code (MR_...), a sentence, where it knows it the position in the SQL."""

    def __init__(self, code, detail, position=None):
        super().__init__(f"{code}: {detail}" + ("" if position is None else f" (at {position})"))
        self.code = code
        self.position = position


def post_sql(url, sql, answer_format, pushdown="auto", token=None):
    """The open answer of POST /v1/sql. Read it to its end, or close it to cancel the query. Raises QueryError."""
    body = json.dumps({"sql": sql, "pushdown": pushdown, "format": answer_format}).encode()
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    try:
        return urllib.request.urlopen(urllib.request.Request(url.rstrip("/") + "/v1/sql", body, headers))
    except urllib.error.HTTPError as refusal:  # RFC 9457 problem+json
        with refusal:
            problem = json.load(refusal)
        raise QueryError(problem["code"], problem["detail"], problem.get("position")) from None
    except urllib.error.URLError as error:
        raise QueryError("MR_CONNECT", f"no daemon answers at {url} ({error.reason}): is it running? (millrace serve)") from None


def rows(answer):
    """Yields ("row", dict) per row, then ("summary", dict). Raises QueryError if the query failed under way."""
    last = None
    for line in answer:
        if last is not None:
            yield "row", last
        # Integers keep all digits in Python; a decimal as float would not.
        last = json.loads(line, parse_float=str)
    if last is None or not ("summary" in last or "error" in last):
        raise QueryError("MR_LINK_BROKEN", "the connection ended in the middle of the answer")
    if "error" in last:
        raise QueryError(last["error"]["code"], last["error"]["detail"], last["error"].get("position"))
    yield "summary", last["summary"]


def main():
    parser = argparse.ArgumentParser(description="Runs one SQL query on a Millrace daemon.")
    parser.add_argument("sql")
    parser.add_argument("--url", default=os.environ.get("MILLRACE_URL", "http://127.0.0.1:4433"))
    parser.add_argument("--token", default=os.environ.get("MILLRACE_TOKEN"))
    parser.add_argument("--pushdown", choices=["auto", "always", "never"], default="auto")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--arrow", metavar="FILE", help="write the answer as an Arrow IPC stream")
    how.add_argument("--pyarrow", action="store_true", help="read the Arrow stream with pyarrow and show the table")
    wish = parser.parse_args()

    answer_format = "arrow" if wish.arrow or wish.pyarrow else "json"
    try:
        with post_sql(wish.url, wish.sql, answer_format, wish.pushdown, wish.token) as answer:
            if wish.arrow:
                with open(wish.arrow, "wb") as file:
                    shutil.copyfileobj(answer, file)
            elif wish.pyarrow:
                import pyarrow.ipc

                print(pyarrow.ipc.open_stream(answer).read_all())
            else:
                for kind, value in rows(answer):
                    print(json.dumps(value, ensure_ascii=False), file=sys.stdout if kind == "row" else sys.stderr)
    except QueryError as error:
        print(error, file=sys.stderr)
        return 1
    except ImportError:
        print("pyarrow is not installed: pip install pyarrow, or use --arrow FILE.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
