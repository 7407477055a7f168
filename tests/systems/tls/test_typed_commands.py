"""Every command that a remedy of TLS prints, typed next to real servers and files."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12

from opscheck.demo.serving import LoopbackServer, Response
from opscheck.systems.tls import SYSTEM
from opscheck.systems.tls.handshake import client_facts
from tests.servers.tls import HOST, Chain, Listener, limit_to, server_context, speaking
from tests.servers.typed_commands import declared_commands, expectations_of, typed

OLD = (
    "openssl s_client -connect {{ peer }} {{ client_options }} -max_protocol {{ protocol }} "
    "-cipher ALL:@SECLEVEL=0 </dev/null"
)
SERVED = {
    "openssl s_client -connect {{ address }} {{ client_options }} </dev/null  # the chain, with its validity": HOST,
    "openssl s_client -connect {{ address }} {{ client_options }} </dev/null | openssl x509 -noout -dates -serial": (
        "notAfter="
    ),
}
ISSUER = "curl -sS {{ issuer_url }} | openssl x509 -noout -subject  # append it to the server's certificate file"
FILES = {
    "openssl x509 -in {{ file }} -noout -subject -issuer -dates": "notAfter=",
    "openssl x509 -in {{ newest }} -noout -dates -serial": "serial=",
    "ls -l {{ file }}; grep -c BEGIN {{ file }}": "\n2\n",
    "ls -la {{ folder }}": "full chain.pem",
}
KEYSTORE = "openssl pkcs12 -in {{ file }} -nokeys -info"
COLUMNS = "NAMESPACE:.metadata.namespace,NAME:.metadata.name,ENDS:.status.notAfter,NAMES:.spec.dnsNames"
NOT_TYPED = {
    "certbot certificates --domain {{ name }}  # then: certbot renew --cert-name NAME, and reload the server": (
        "certbot is not installed here"
    ),
    f"kubectl get certificates -A -o custom-columns={COLUMNS} | grep {{{{ name }}}}  # cmctl renew NAME": (
        "needs a cluster with cert-manager's kinds"
    ),
    "ssh {{ host }} date -u; date -u  # do the clocks agree?": "no SSH server runs here",
    "certbot certificates; systemctl list-timers  # which tool renews {{ file }}, and when was its last run?": (
        "neither certbot nor systemd runs here"
    ),
    "systemctl reload nginx  # or the other server at {{ address }}": "no systemd runs here",
}


@pytest.fixture(name="chain", scope="module")
def _chain() -> Chain:
    return Chain.made()


def test_every_declared_command_is_in_one_table():
    listed = [OLD, ISSUER, KEYSTORE, *SERVED, *FILES, *NOT_TYPED]

    assert sorted(declared_commands(expectations_of(SYSTEM))) == sorted(listed)


@pytest.mark.parametrize("command", SERVED)
def test_command_shows_the_certificate_of_a_strict_server(chain, tmp_path, command):
    own = tmp_path / "own client.pem"
    client = chain.leaf("client.test", client=True).write(own, chain.middle)
    context = server_context(chain.leaf(), chain.middle)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=chain.root.pem.decode())
    with Listener(speaking(context)) as server:
        facts = client_facts(f"127.0.0.1:{server.port}", HOST, None, str(client))
        assert SERVED[command] in typed(command, facts, {})


def test_command_shows_that_an_old_protocol_is_accepted(chain):
    context = limit_to(
        server_context(chain.leaf(), chain.middle, even_weak=True), ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    )
    with Listener(speaking(context)) as server:
        address = f"127.0.0.1:{server.port}"
        facts = client_facts(address, HOST, None) | {"peer": address, "protocol": "TLSv1.1"}
        assert "TLSv1.1" in typed(OLD, facts, {})


def test_command_fetches_the_certificate_of_the_issuer(chain):
    body = chain.middle.certificate.public_bytes(Encoding.DER)
    with LoopbackServer(lambda exchange: exchange.send(Response(status=200, body=body))) as server:
        assert "subject=" in typed(ISSUER, {"issuer_url": f"{server.url}/issuer.der"}, {})


@pytest.mark.parametrize("command", FILES)
def test_command_shows_a_file(chain, tmp_path, command):
    path = _full_chain(chain, tmp_path)
    facts = {"file": str(path), "newest": str(path), "folder": str(tmp_path)}

    assert FILES[command] in typed(command, facts, {})


def test_command_shows_a_keystore_after_its_password(chain, tmp_path):
    leaf, path = chain.leaf(), tmp_path / "key store.p12"
    encryption = BestAvailableEncryption(b"k9-of-the-keystore")
    path.write_bytes(pkcs12.serialize_key_and_certificates(b"api", leaf.key, leaf.certificate, None, encryption))

    assert "BEGIN CERTIFICATE" in typed(KEYSTORE, {"file": str(path)}, {}, typed_in="k9-of-the-keystore\n")


def _full_chain(chain: Chain, folder: Path) -> Path:
    return chain.leaf().write(folder / "full chain.pem", chain.middle, key=False)
