"""Apache with mod_wsgi: Debian's, which is for one Python, or the package from the index, which is compiled for any."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_MODULES = Path("/usr/lib/apache2/modules")
_APACHE = "/usr/sbin/apache2"
_ROOT = Path(__file__).resolve().parent.parent.parent


def debians() -> Path:
    """mod_wsgi as Debian has it, where that is for this Python."""
    return _MODULES / f"mod_wsgi.so-{sys.version_info.major}.{sys.version_info.minor}"


@cache
def packaged() -> Path | None:
    """mod_wsgi 6 from the package index, if that is installed."""
    spec = find_spec("mod_wsgi")
    folder = Path(spec.origin).parent / "server" if spec is not None and spec.origin is not None else None
    return next(folder.glob("mod_wsgi-py*.so"), None) if folder is not None else None


@cache
def missing(*, package: bool = False) -> str | None:
    """Why there is no Apache for these tests, a sentence, or ``None``.

    :param package: mod_wsgi's package is wanted, and not Debian's.
    """
    if not Path(_APACHE).exists():
        return "Apache is not installed"
    if packaged() is None and (package or not debians().exists()):
        return f"no mod_wsgi for Python {sys.version_info.major}.{sys.version_info.minor} is installed" + (
            " from the package index" if package else ""
        )
    if os.geteuid() == 0 and subprocess.run([*_becoming(), "true"], capture_output=True, check=False).returncode:
        return "Apache runs nothing as root, and there are no user namespaces here"
    return None


def _becoming() -> list[str]:
    """Another name for this user, for a server that refuses to run as root."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return []
    return ["unshare", "--user", "--map-user=65534", "--map-group=65534"]


def serve_apache(name: str, host: str, port: int, options: dict[str, str]) -> None:
    """Become Apache.

    :param options: ``embedded``, ``subinterpreter``, ``package``, and those of ``WSGIDaemonProcess``.
    """
    folder = Path(tempfile.mkdtemp(dir=os.environ["XDG_RUNTIME_DIR"]))
    embedded, group = "embedded" in options, "shop" if "subinterpreter" in options else "%{GLOBAL}"
    daemon = {"home": str(folder)}
    daemon |= {name: value for name, value in options.items() if name not in ("embedded", "subinterpreter", "package")}
    script = _script(folder, name)
    lines = [f"LoadModule {module}_module {_MODULES}/mod_{module}.so" for module in ("mpm_event", "authz_core")]
    if debians().exists() and "package" not in options:
        lines += [f"LoadModule wsgi_module {debians()}"]
    else:
        lines += [f"LoadModule wsgi_module {packaged()}", f"WSGIPythonHome {sys.prefix}"]
    lines += [f"Listen {host}:{port}", f"PidFile {folder}/pid", "ErrorLog /dev/stderr", f"ServerName {host}"]
    lines += [f"WSGISocketPrefix {folder}/wsgi", f"DefaultRuntimeDir {folder}", "ServerLimit 1", "ThreadsPerChild 8"]
    lines += ["ThreadLimit 8", "StartServers 1", "MaxRequestWorkers 8", "MinSpareThreads 1", "MaxSpareThreads 8"]
    if not embedded:
        words = " \\\n  ".join(f"{option}={value}" for option, value in daemon.items())
        lines += [f"WSGIDaemonProcess site \\\n  {words}", "WSGIProcessGroup site"]
    lines += [f"WSGIApplicationGroup {group}", f"WSGIScriptAlias / {script}", "<Location />", "Require all granted"]
    configuration = folder / "apache.conf"
    configuration.write_text("\n".join([*lines, "</Location>\n"]))
    command = [*_becoming(), _APACHE, "-D", "FOREGROUND", "-f", str(configuration)]
    os.execvp(command[0], command)


def _script(folder: Path, name: str) -> Path:
    """The application as a file: Apache gives its processes nothing of the environment."""
    script = folder / "application.py"
    script.write_text(
        f"import os, sys\nos.environ.update({dict(os.environ)!r})\nsys.path[:0] = {_paths()!r}\n"
        "from support.serve import configure_logging, start_background, wrapped\n"
        f"configure_logging()\nstart_background()\napplication = wrapped({name!r})\n"
    )
    return script


def serve_mod_wsgi_express(name: str, host: str, port: int, options: dict[str, str]) -> None:
    """Become ``mod_wsgi-express``, with its own defaults but for ``options``."""
    folder = Path(tempfile.mkdtemp(dir=os.environ["XDG_RUNTIME_DIR"]))
    script = _script(folder, name)
    command = [*_becoming(), str(Path(sys.executable).with_name("mod_wsgi-express")), "start-server", str(script)]
    command += ["--server-root", str(folder / "root"), "--host", host, "--port", str(port), "--log-to-terminal"]
    for option, value in options.items():
        command += [f"--{option}", value]
    os.execvp(command[0], command)


def _paths() -> list[str]:
    """Where the modules of these tests are, and those of this interpreter's environment."""
    return [str(_ROOT / "tests"), str(_ROOT / "src"), *(path for path in sys.path if path.endswith("site-packages"))]
