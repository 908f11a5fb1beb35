"""Every check and chore, each in its own virtual environment: ``nox -s NAME``."""

from pathlib import Path

import nox

nox.needs_version = ">=2024.4"
nox.options.sessions = ["lint", "typing", "tests"]
nox.options.error_on_external_run = True
nox.options.reuse_existing_virtualenvs = True

CODE = ["lynkr", "lynkr_server", "tests", "benchmarks", "noxfile.py"]


def _install(session: nox.Session, *extras: str) -> None:
    """Install the built wheel, not the checkout, so that what is tested is what is shipped."""
    session.install("hatchling", "build")
    dist = Path(session.create_tmp()) / "dist"
    session.run("python", "-m", "build", "--wheel", "--no-isolation", "--outdir", str(dist), silent=True)
    wheel = max(dist.glob("*.whl"), key=lambda path: path.stat().st_mtime)
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.install(f"lynkr-router[{','.join(extras)}] @ {wheel.resolve().as_uri()}")


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
    # Tests import each other's helpers as `tests.*`, and lynkr from the installed wheel: so not the
    # checkout but a folder that holds `tests` alone is on the path.
    path = Path(session.create_tmp()) / "path"
    path.mkdir(exist_ok=True)
    if not (path / "tests").exists():
        (path / "tests").symlink_to(Path("tests").resolve(), target_is_directory=True)
    env = {"PYTHONPATH": str(path), "COVERAGE_PROCESS_START": str(Path("pyproject.toml").resolve())}
    session.run("coverage", "erase")
    # The script, not ``-m pytest``, for the same reason.
    pytest = str(Path(session.bin) / "pytest")
    session.run("coverage", "run", pytest, "-o", "pythonpath=", *words, env=env)
    session.run("coverage", "combine", silent=True)
    session.run("coverage", "report")


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting and import contracts."""
    _install(session, "dev")
    session.run("ruff", "check", *CODE)
    session.run("ruff", "format", "--check", *CODE)
    session.run("lint-imports")


@nox.session
def typing(session: nox.Session) -> None:
    """mypy --strict and pyright."""
    _install(session, "dev")
    session.run("mypy")
    session.run("pyright")
    session.run("pyright", "--verifytypes", "lynkr", "--ignoreexternal")


@nox.session
def bench(session: nox.Session) -> None:
    """Benchmarks; they print ratios within one run and fail when a stated bar is missed."""
    _install(session, "dev")
    for script in sorted(Path("benchmarks").glob("bench_*.py")):
        session.run("python", str(script), *session.posargs)


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
