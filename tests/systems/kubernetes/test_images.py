"""The names of images, taken apart as container runtimes take them apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opscheck.systems.kubernetes.images import is_image, parse_image

SHA = f"sha256:{'5f' * 32}"


@pytest.mark.parametrize(
    ("text", "repository", "tag", "digest"),
    [
        ("nginx", "docker.io/library/nginx", None, None),
        ("nginx:1.27", "docker.io/library/nginx", "1.27", None),
        ("acme/app", "docker.io/acme/app", None, None),
        ("docker.io/nginx:1.27", "docker.io/library/nginx", "1.27", None),
        ("index.docker.io/library/nginx", "docker.io/library/nginx", None, None),
        ("ghcr.io/acme/app:1.4.2", "ghcr.io/acme/app", "1.4.2", None),
        ("registry:5000/app", "registry:5000/app", None, None),
        ("registry:5000/app:latest", "registry:5000/app", "latest", None),
        ("localhost/app:1", "localhost/app", "1", None),
        (f"registry:5000/team/app@{SHA}", "registry:5000/team/app", None, SHA),
        (f"ghcr.io/acme/app:1.4.2@{SHA}", "ghcr.io/acme/app", "1.4.2", SHA),
        ("[2001:db8::1]:5000/app:2", "[2001:db8::1]:5000/app", "2", None),
    ],
)
def test_an_image_has_a_registry_a_repository_a_tag_and_a_digest(text, repository, tag, digest):
    image = parse_image(text)

    assert (repository, tag, digest) == (image.repository, image.tag, image.digest)
    assert is_image(text)


def test_popeye_and_polaris_take_the_port_of_a_registry_for_a_tag():
    assert parse_image("registry:5000/app").is_latest
    assert parse_image("registry:5000/app:latest").is_latest
    assert not parse_image("registry:5000/app:1.4").is_latest


@pytest.mark.parametrize(
    ("text", "latest"),
    [
        ("nginx", True),
        ("nginx:latest", True),
        ("nginx:1", False),
        (f"nginx@{SHA}", False),
        (f"nginx:latest@{SHA}", False),
    ],
)
def test_no_tag_is_latest_and_a_digest_never_is(text, latest):
    assert latest is parse_image(text).is_latest


@pytest.mark.parametrize(
    ("text", "place", "inside"),
    [
        ("ghcr.io/acme/app:1", "ghcr.io", True),
        ("ghcr.io/acme/app:1", "ghcr.io/acme", True),
        ("ghcr.io/acme-evil/app:1", "ghcr.io/acme", False),
        ("ghcr.io.evil.io/app:1", "ghcr.io", False),
        ("nginx", "docker.io", True),
        ("nginx", "docker.io/library", True),
        ("registry:5000/app", "registry:5000", True),
        ("registry:5001/app", "registry:5000", False),
        ("1234.dkr.ecr.eu-west-1.amazonaws.com/app:1", "*.dkr.ecr.*.amazonaws.com", True),
        ("evil.io/x.example.com/app:1", "*.example.com", False),
        ("ghcr.io/acme", "ghcr.io/acme", False),
    ],
)
def test_a_place_is_a_registry_or_a_folder_and_no_beginning_of_a_word(text, place, inside):
    assert inside is parse_image(text).is_from(place)


@pytest.mark.parametrize(
    ("text", "wanted", "same"),
    [
        ("nginx:1.27", "docker.io/library/nginx:1.27", True),
        ("nginx:1.27", "nginx", True),
        ("nginx:1.26", "nginx:1.27", False),
        ("acme/nginx:1.27", "nginx:1.27", False),
        (f"nginx:1.27@{SHA}", "nginx:1.27", True),
        ("nginx:1.27", f"nginx@{SHA}", False),
    ],
)
def test_an_image_is_held_to_what_the_other_name_says(text, wanted, same):
    assert same is parse_image(text).is_as(parse_image(wanted))


@pytest.mark.parametrize("text", ["", "app:", "App", "https://ghcr.io/app", "a b", "app@sha256:12", "/app", "app/"])
def test_invalid_image_names_are_rejected(text):
    assert not is_image(text)


@given(st.text(max_size=40))
def test_nothing_that_a_cluster_says_raises(text):
    image = parse_image(text)
    assert image.is_as(image)
