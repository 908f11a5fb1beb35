from common import DIALECT, KEY, MODEL, PROMPT, TOOLS, URL, main
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


def model():
    if DIALECT == "messages":
        return ChatAnthropic(model=MODEL, base_url=URL, api_key=KEY, max_retries=0, max_tokens=1024)
    return ChatOpenAI(
        model=MODEL,
        base_url=f"{URL}/v1",
        api_key=KEY,
        max_retries=0,
        use_responses_api=DIALECT == "responses",
    )


def stream():
    return "".join(piece.text for piece in model().stream(PROMPT))


def agent():
    tools = {name: tool(function) for name, function in TOOLS.items()}
    asked = model().bind_tools(list(tools.values()))
    messages = [HumanMessage(PROMPT)]
    while True:
        answer = asked.invoke(messages)
        if not answer.tool_calls:
            return answer.text
        messages.append(answer)
        for call in answer.tool_calls:
            said = tools[call["name"]].invoke(call["args"])
            messages.append(ToolMessage(said, tool_call_id=call["id"]))


main({"whole": lambda: model().invoke(PROMPT).text, "stream": stream, "agent": agent})
