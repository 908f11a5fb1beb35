import pytest

from lynkr.routing import PipelineRouter, Tier

NAMES = {
    Tier.SIMPLE: ["local:small", "local:tiny"],
    Tier.MEDIUM: ["cloud:medium"],
    Tier.COMPLEX: ["cloud:large", "other:large"],
    Tier.REASONING: ["cloud:huge"],
}


@pytest.fixture(scope="session")
def router() -> PipelineRouter:
    return PipelineRouter(NAMES)
