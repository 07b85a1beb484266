"""What looks like a secret by its name and place, and what only seems to: known paths, each with what is said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.layer_tars import Member, tar
from tests.test_shown_files import Shop

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = {
    "root/.docker/config.json": "token file",
    "home/me/.config/gh/hosts.yml": "token file",
    "home/me/.config/containers/auth.json": "token file",
    "home/me/.config/gcloud/application_default_credentials.json": "cloud credentials",
    "home/me/.config/gcloud/legacy_credentials/me@corp/adc.json": "cloud credentials",
    "home/me/.config/gcloud/credentials.db": "cloud credentials",
    "root/.kube/config": "cloud credentials",
    "root/.aws/credentials": "cloud credentials",
    "root/.azure/accessTokens.json": "cloud credentials",
    "etc/kubernetes/admin.conf": "cloud credentials",
    "root/.vault-token": "token file",
    "root/.npmrc": "token file",
    "root/.m2/settings.xml": "password file",
    "root/.cargo/credentials.toml": "token file",
    "srv/terraform.tfstate": "infrastructure state",
    "srv/terraform.tfstate.backup": "infrastructure state",
    "srv/prod.tfvars": "infrastructure state",
    "srv/prod.env": "environment file",
    "srv/.env.production": "environment file",
    "var/www/wp-config.php": "password file",
    "usr/share/nginx/html/passwords.txt": "password file",
    "usr/lib/app/client_secret.json": "token file",
    "usr/lib/python3/dist-packages/app/server.key": "private key",
    "usr/lib/python3/dist-packages/app/.env": "environment file",
    "srv/app/tests/id_rsa": "private key",
    "etc/shadow": "password file",
    "etc/ssh/ssh_host_ed25519_key": "private key",
    "etc/letsencrypt/archive/a/privkey1.pem": "private key",
    "root/.ssh/Deploy_RSA": "private key",
}
"""Paths that are shown, and what they look like."""

LEFT_OUT = {
    "usr/lib/python3.11/secrets.py": "code",
    "usr/lib/python3.11/__pycache__/secrets.cpython-311.pyc": "code",
    "usr/lib/python3.11/test/certdata/ssl_key.pem": "library test",
    "usr/local/go/src/crypto/tls/testdata/example-key.pem": "library test",
    "app/node_modules/tls/test/fixtures/agent1-key.pem": "library test",
    "app/node_modules/tls/lib/get-password.js": "code",
    "usr/share/doc/ssl-cert/examples/server.key": "documentation",
    "usr/share/man/man1/docker-secret.1.gz": "documentation",
    "usr/share/dns/root.key": "public key",
    "etc/apt/keyrings/docker.key": "public key",
    "srv/jwt-public-key.pem": "public key",
    "srv/.env.example": "example",
    "usr/bin/systemd-ask-password": "operating system",
    "etc/pam.d/common-password": "operating system",
    "var/lib/dpkg/info/libsecret-1-0:amd64.list": "operating system",
}
"""Paths that are left out, and why."""

OTHERS = ("config.json", "hosts.yml", "config", "settings.xml", "shadow", "environment", "a.pem")
"""Names that say something in another folder, or nothing."""


def test_what_is_shown_and_what_is_left_out(tmp_path: Path) -> None:
    """Each is there with what it looks like; noise only when all is asked for, with the reason."""
    shop = Shop(tmp_path)
    files = [Member(path, data=b"x") for path in (*SECRETS, *LEFT_OUT, *(f"srv/{name}" for name in OTHERS))]
    shop.image("app:1", tar(*files, Member("srv/.netrc"), Member("srv/key.pem", "hardlink", link="srv/a.pem")))

    shown = {f"/{path}": (pattern, None) for path, pattern in SECRETS.items()} | {"/srv/key.pem": ("private key", None)}
    found = shop.ask("secrets", "path pattern left_out")
    assert shown == {path: (pattern, why) for path, pattern, why in found}
    every = {path: why for path, _, why in shop.ask("secrets", "path pattern left_out", all="yes")}
    left_out = {f"/{path}": why for path, why in LEFT_OUT.items()} | {"/srv/.netrc": "empty"}
    assert every == dict.fromkeys(shown) | left_out
