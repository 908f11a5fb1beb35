"""Google's kinds keep the contract that third parties' providers are held to."""

import re

from lynkr.providers import builtin
from lynkr.providers.setup import Cloud
from lynkr.testing.provider_contract import ProviderContract


class GoogleContract(ProviderContract):
    kind = ""
    cloud = Cloud()
    credential_headers = frozenset({"x-goog-api-key"})

    def make_provider(self, base_url, transport, timeouts):
        return builtin(
            "p",
            self.kind,
            key=self.key,
            base_url=f"{base_url}/v1",
            cloud=self.cloud,
            transport=transport,
            timeouts=timeouts,
        )


class TestGemini(GoogleContract):
    kind = "gemini"

    def untouched(self, sent):
        sent = sent.replace(b'\n "model": "client-model",', b"", 1)
        return re.sub(rb',\s*"stream": true', b"", sent)


class TestVertex(TestGemini):
    kind = "vertex"
    cloud = Cloud(project="proj-1", region="us-central1")


class TestVertexAnthropic(GoogleContract):
    kind = "vertex-anthropic"
    cloud = Cloud(project="proj-1")

    def untouched(self, sent):
        version = b'"anthropic_version":"vertex-2023-10-16",'
        return sent.replace(b'\n "model": "client-model",', version, 1)
