"""Certificates and kubeconfigs of a cluster that lives as long as a test run."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from deploy.setup.shell import SetupError

_DAYS = 7
_USES = "serverAuth,clientAuth"


@dataclass(frozen=True)
class Authority:
    """A certificate authority; all its files are in ``directory``."""

    directory: Path

    @property
    def certificate(self) -> Path:
        """The authority's own certificate."""
        return self.directory / "ca.crt"

    def found(self) -> None:
        """Make the authority, and the key pair that signs the tokens of service accounts."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._openssl("genrsa", "-out", "ca.key", "2048")
        subject = ["-subj", "/CN=cpp-test-ca", "-days", str(_DAYS)]
        self._openssl("req", "-x509", "-new", "-key", "ca.key", *subject, "-out", "ca.crt")
        self._openssl("genrsa", "-out", "accounts.key", "2048")
        self._openssl("rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pub")

    def issue(self, name: str, subject: str, *alternatives: str, days: int = _DAYS) -> None:
        """Write ``name``.crt and ``name``.key for ``subject``, such as ``/O=system:masters/CN=admin``.

        In force for ``days``; none makes one that is over at once.
        """
        extensions = f"extendedKeyUsage={_USES}\n"
        if alternatives:
            extensions += f"subjectAltName={','.join(alternatives)}\n"
        (self.directory / f"{name}.ext").write_text(extensions)
        self._openssl("genrsa", "-out", f"{name}.key", "2048")
        self._openssl("req", "-new", "-key", f"{name}.key", "-subj", subject, "-out", f"{name}.csr")
        signing = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", str(days)]
        self._openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-extfile", f"{name}.ext", "-out", f"{name}.crt")

    def kubeconfig(self, name: str, server: str) -> Path:
        """Write and return a kubeconfig for the identity that was issued as ``name``."""
        identity = {"client-certificate": str(self.path(f"{name}.crt")), "client-key": str(self.path(f"{name}.key"))}
        return self.write_kubeconfig(self.path(f"{name}.kubeconfig"), server, identity)

    def write_kubeconfig(self, path: Path, server: str, user: Mapping[str, str]) -> Path:
        """Write and return a kubeconfig for whoever has these credentials."""
        cluster = {"server": server, "certificate-authority": str(self.certificate)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "user", "user": dict(user)}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user"}}],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(document))
        return path

    def path(self, name: str) -> Path:
        """Return the path of one of the authority's files."""
        return self.directory / name

    def _openssl(self, *arguments: str) -> None:
        command = ["openssl", *arguments]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SetupError(f"openssl {arguments[0]}: {done.stderr.strip()}")
