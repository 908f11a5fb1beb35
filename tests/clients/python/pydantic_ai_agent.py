from anthropic import AsyncAnthropic
from common import DIALECT, KEY, MODEL, PROMPT, TOOLS, URL, main
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider


def model():
    if DIALECT == "messages":
        client = AsyncAnthropic(base_url=URL, api_key=KEY, max_retries=0)
        return AnthropicModel(MODEL, provider=AnthropicProvider(anthropic_client=client))
    kind = OpenAIChatModel if DIALECT == "chat" else OpenAIResponsesModel
    client = AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
    return kind(MODEL, provider=OpenAIProvider(openai_client=client))


async def whole():
    return (await Agent(model()).run(PROMPT)).output


async def stream():
    async with Agent(model()).run_stream(PROMPT) as result:
        return await result.get_output()


async def agent():
    return (await Agent(model(), tools=list(TOOLS.values())).run(PROMPT)).output


main({"whole": whole, "stream": stream, "agent": agent})
