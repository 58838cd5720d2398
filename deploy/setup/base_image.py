"""Base images for tests on a machine without an image registry: Debian by debootstrap, Go from this machine."""

import io
import shutil
import subprocess
import tarfile
from functools import cache
from pathlib import Path

from deploy.setup.shell import SetupError, run_logged
from deploy.setup.stamps import BUILD, ROOT

DEBIAN_IMAGE = "cpp-test/debian:bookworm"
GO_IMAGE = "cpp-test/golang:local"
_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_PACKAGES = "python3,python3-venv,ca-certificates"


def ensure_debian_image() -> str:
    """Return the name of a Debian image with this machine's certificates, made once and kept."""
    if not image_exists(DEBIAN_IMAGE):
        root = BUILD / "debian-root"
        shutil.rmtree(root, ignore_errors=True)
        command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", root]
        run_logged("make a Debian base image for the tests", command, BUILD / "setup/debootstrap.log")
        # Machines behind a proxy trust its certificate; the builds inside the image must as well.
        shutil.copy(_CA_BUNDLE, root / _CA_BUNDLE.relative_to("/"))
        _import(DEBIAN_IMAGE, root, ["--change", f"ENV PIP_CERT={_CA_BUNDLE}"])
        shutil.rmtree(root)
    return DEBIAN_IMAGE


def ensure_go_image() -> str:
    """Return the name of an image with this machine's Go on the Debian image, made once and kept."""
    if not image_exists(GO_IMAGE):
        go_root = Path(_output("go", "env", "GOROOT"))
        recipe = f"FROM {ensure_debian_image()}\nADD go /usr/local/go\nENV PATH=/usr/local/go/bin:/usr/bin:/bin\n"
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as tar:
            _add_text(tar, "Dockerfile", recipe)
            for part in ("bin", "pkg", "src", "go.env", "VERSION"):
                tar.add(go_root / part, f"go/{part}")
        build_image(GO_IMAGE, context.getvalue())
    return GO_IMAGE


def image_exists(name: str) -> bool:
    """Return whether Docker has an image of this name."""
    return subprocess.run(["docker", "image", "inspect", name], capture_output=True, check=False).returncode == 0


def build_image(name: str, context: bytes) -> None:
    """Build an image from a tar archive that holds a Dockerfile; raise SetupError with the build's end."""
    done = subprocess.run(["docker", "build", "--tag", name, "-"], input=context, capture_output=True, check=False)
    if done.returncode:
        raise SetupError(f"the image {name} cannot be built: {done.stderr.decode(errors='replace')[-2000:]}")


@cache
def build_shipped(name: str) -> str:
    """Build ``deploy/images/<name>.Dockerfile`` on the local bases and return the image's name.

    Docker's own layer cache makes a second build of the same sources quick.
    """
    tag = f"cpp-test/{name}"
    base = f"GO_IMAGE={ensure_go_image()}" if name == "cadvisor" else f"BASE={ensure_debian_image()}"
    recipe = str(ROOT / f"deploy/images/{name}.Dockerfile")
    command = ["docker", "build", "--network=host", "--file", recipe, "--build-arg", base, "--tag", tag, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SetupError(f"{recipe} cannot be built: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return tag


def ensure_program_image(tag: str, program: str) -> str:
    """Return an image with one of this machine's programs, in place of the one that a registry would have."""
    path = shutil.which(program)
    if path is None:
        raise SetupError(f"{program} is not on the PATH; run: make setup-tests")
    recipe = f"""FROM {ensure_debian_image()}
COPY program /bin/program
COPY prometheus /usr/share/prometheus
RUN install -d -o 65534 /prometheus /alertmanager
USER 65534
ENTRYPOINT ["/bin/program"]
"""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        _add_text(tar, "Dockerfile", recipe)
        tar.add(Path(path).resolve(), "program")
        # Debian's Alertmanager reads its templates from there.
        tar.add("/usr/share/prometheus", "prometheus")
    build_image(tag, context.getvalue())
    return tag


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(text.encode())
    tar.addfile(entry, io.BytesIO(text.encode()))


def _import(name: str, root: Path, changes: list[str]) -> None:
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as archive:
        command = ["docker", "import", *changes, "-", name]
        done = subprocess.run(command, stdin=archive.stdout, capture_output=True, check=False)
    if archive.returncode or done.returncode:
        raise SetupError(f"the image {name} cannot be imported: {done.stderr.decode(errors='replace')}")


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
