import subprocess
import sys

import pytest

import lynkr.providers


def test_no_http_library_is_loaded_before_its_transport_is_asked_for():
    code = (
        "import sys, lynkr.providers\n"
        "assert not {'httpx', 'aiohttp', 'ssl'} & set(sys.modules), set(sys.modules)\n"
        "lynkr.providers.HttpxTransport\n"
        "assert 'httpx' in sys.modules and 'aiohttp' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_can_be_imported():
    for name in lynkr.providers.__all__:
        assert getattr(getattr(lynkr.providers, name), "__name__", "HOSTS") == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        lynkr.providers.no_such_name  # noqa: B018
