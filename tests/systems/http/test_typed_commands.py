"""Every command that a remedy of HTTP prints, typed next to a server that requires a login."""

import base64

import pytest

from opscheck import HttpTarget
from opscheck.demo.serving import Exchange, LoopbackServer, Response
from opscheck.systems.http import SYSTEM
from tests.servers.typed_commands import declared_commands, expectations_of, typed

TOKEN, PASSWORD = "k9-token-of-the-api", "k9-password"
TIMES = "'dns %{time_namelookup}s, tls %{time_appconnect}s, total %{time_total}s\\n'"
COMMANDS = {
    "curl -sS -i --max-time 10 {{ curl_options }} {{ base_url }}{{ path }}": "HTTP/1.1 200",
    f"curl -sS -o /dev/null --max-time 10 -w {TIMES} {{{{ curl_options }}}} {{{{ base_url }}}}{{{{ path }}}}": "total",
    "curl -sS --max-time 10 {{ curl_options }} {{ base_url }}{{ path }}": '{"depth": 42}',
}


def _answer(exchange: Exchange) -> None:
    basic = base64.b64encode(f"app:{PASSWORD}".encode()).decode()
    known = exchange.request.headers.get("authorization") in {f"Bearer {TOKEN}", f"Basic {basic}"}
    exchange.send(Response(status=200 if known else 401, body=b'{"depth": 42}' if known else b"who are you?"))


def test_every_declared_command_is_in_the_table():
    assert declared_commands(expectations_of(SYSTEM)) == list(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_command_sends_the_headers_of_the_target(command):
    with LoopbackServer(_answer) as server:
        target = HttpTarget(kind="http", base_url=f"{server.url}/", headers={"Authorization": f"Bearer {TOKEN}"})
        output = typed(command, {**target.facts(), "path": "/v1/metrics"}, {"API_TOKEN": TOKEN})

    assert COMMANDS[command] in output


@pytest.mark.parametrize("command", COMMANDS)
def test_command_sends_the_user_of_the_base_url(command):
    with LoopbackServer(_answer) as server:
        url = server.url.replace("://", f"://app:{PASSWORD}@")
        target = HttpTarget(kind="http", base_url=url)
        output = typed(command, {**target.facts(), "path": "/v1/metrics"}, {"API_URL": url})

    assert COMMANDS[command] in output


def test_curl_options_have_the_files_of_the_target():
    target = HttpTarget(kind="http", base_url="https://api.test", ca_file="ca.pem", client_certificate="own.pem")

    assert target.facts()["curl_options"] == ("--cacert", "ca.pem", "--cert", "own.pem")
