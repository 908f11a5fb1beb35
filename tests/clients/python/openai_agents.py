from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from common import DIALECT, KEY, MODEL, PROMPT, TOOLS, URL, main
from openai import AsyncOpenAI

set_tracing_disabled(True)


def made(tools=()):
    client = AsyncOpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
    kind = OpenAIChatCompletionsModel if DIALECT == "chat" else OpenAIResponsesModel
    return Agent(
        name="client",
        instructions="Be brief.",
        model=kind(model=MODEL, openai_client=client),
        tools=[function_tool(each) for each in tools],
    )


async def whole():
    return (await Runner.run(made(), PROMPT)).final_output


async def stream():
    result = Runner.run_streamed(made(), PROMPT)
    async for _ in result.stream_events():
        pass
    return result.final_output


async def agent():
    result = Runner.run_streamed(made(TOOLS.values()), PROMPT)
    async for _ in result.stream_events():
        pass
    return result.final_output


main({"whole": whole, "stream": stream, "agent": agent})
