from claude_agent_sdk import (
    AssistantMessage,
    ClaudeAgentOptions,
    ResultMessage,
    TextBlock,
    create_sdk_mcp_server,
    query,
    tool,
)
from common import KEY, MODEL, PROMPT, TOOLS, URL, main


class Failed(Exception):
    def __init__(self, result):
        super().__init__(result.result)
        self.status_code = result.api_error_status


def server():
    """Our tools, which Claude Code calls over MCP, in this process."""

    def made(name, fields):
        @tool(name, TOOLS[name].__doc__, dict.fromkeys(fields, str))
        async def run(arguments):
            return {"content": [{"type": "text", "text": TOOLS[name](**arguments)}]}

        return run

    return create_sdk_mcp_server(
        "files", tools=[made("write_file", ("path", "content")), made("read_file", ("path",))]
    )


async def asked(**more):
    options = ClaudeAgentOptions(
        model=MODEL,
        env={
            "ANTHROPIC_BASE_URL": URL,
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "0",
            "IS_SANDBOX": "1",
        },
        permission_mode="bypassPermissions",
        setting_sources=[],
        **more,
    )
    said = []
    async for message in query(prompt=PROMPT, options=options):
        if isinstance(message, AssistantMessage):
            said += [block.text for block in message.content if isinstance(block, TextBlock)]
        elif isinstance(message, ResultMessage) and message.is_error:
            raise Failed(message)
    return said[-1]


async def stream():
    return await asked()


async def agent():
    return await asked(mcp_servers={"files": server()})


main({"stream": stream, "agent": agent})
