from anthropic import Anthropic, beta_tool
from common import KEY, MODEL, PROMPT, TOOLS, URL, main

client = Anthropic(base_url=URL, api_key=KEY, max_retries=0)
asked = {"model": MODEL, "max_tokens": 1024, "messages": [{"role": "user", "content": PROMPT}]}


def words(message):
    return "".join(block.text for block in message.content if block.type == "text")


def stream():
    with client.messages.stream(**asked) as events:
        return "".join(events.text_stream)


def agent():
    # The runner keeps its history in a thread of the server's, unless the server says that it has none.
    tools = [beta_tool(tool) for tool in TOOLS.values()]
    return words(client.beta.messages.tool_runner(**asked, tools=tools).until_done())


main({"whole": lambda: words(client.messages.create(**asked)), "stream": stream, "agent": agent})
