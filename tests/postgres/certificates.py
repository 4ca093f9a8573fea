"""A CA and certificates for the test server and a client, made by openssl, which Debian's PostgreSQL brings along."""

from __future__ import annotations

import subprocess
from pathlib import Path

_DAYS = "2"


def make_certificates(folder: Path, *, client: str, host: str = "localhost") -> None:
    """Write ca.crt and, signed by it, server.crt for `host` and 127.0.0.1 and client.crt for the role `client`.

    Beside each is its .key, readable by its owner only; other-ca.crt is a CA that signed none of them.
    """
    folder.mkdir(mode=0o755)
    for name in ("ca", "other-ca"):
        _openssl(folder, f"req -x509 {_new_key(name)} -days {_DAYS} -subj /CN={name} -out {name}.crt")
    _signed(folder, "server", subject=f"/CN={host}", names=f"DNS:{host},IP:127.0.0.1")
    _signed(folder, "client", subject=f"/CN={client}", names=f"DNS:{client}")


def _signed(folder: Path, name: str, *, subject: str, names: str) -> None:
    _openssl(folder, f"req {_new_key(name)} -subj {subject} -addext subjectAltName={names} -out {name}.csr")
    sign = f"-CA ca.crt -CAkey ca.key -CAcreateserial -copy_extensions copy -days {_DAYS}"
    _openssl(folder, f"x509 -req -in {name}.csr {sign} -out {name}.crt")


def _new_key(name: str) -> str:
    return f"-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -noenc -keyout {name}.key"


def _openssl(folder: Path, arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments.split()], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"`openssl {arguments}` failed: {done.stderr.strip()}")
