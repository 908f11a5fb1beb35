"""The dashboard's key: long, its own, and never shown."""

from pathlib import Path

import pytest

from lynkr.errors import ConfigError
from lynkr.settings import Settings

KEY = "0123456789abcdef"


def load(environ: dict[str, str], path: Path | None = None) -> Settings:
    return Settings.load(path, environ)


def test_it_comes_from_the_environment_or_the_variable_that_the_file_names(tmp_path: Path):
    config = tmp_path / "lynkr.toml"
    config.write_text('[server]\nadmin_key_env = "MY_KEY"\n', encoding="utf-8")
    for settings in (load({"LYNKR_SERVER_ADMIN_KEY": KEY}), load({"MY_KEY": KEY}, config)):
        assert settings.server.admin_key is not None
        assert settings.server.admin_key.reveal() == KEY
        assert KEY not in repr(settings)
    assert load({}, config).server.admin_key is None


def test_one_that_could_be_guessed_is_refused_without_being_shown():
    with pytest.raises(ConfigError, match=r"server\.admin_key is shorter than 16 signs") as refused:
        load({"LYNKR_SERVER_ADMIN_KEY": KEY[:-1]})
    assert KEY[:-1] not in str(refused.value)


@pytest.mark.parametrize("name", ["LYNKR_SERVER_API_KEY", "LYNKR_SERVER_API_KEYS"])
def test_a_key_that_clients_hold_opens_no_dashboard(name: str):
    with pytest.raises(ConfigError, match=r"server\.admin_key is an API key as well"):
        load({"LYNKR_SERVER_ADMIN_KEY": KEY, name: KEY})
