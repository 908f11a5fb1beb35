import json

import litellm
from common import DIALECT, KEY, MODEL, PROMPT, TOOLS, URL, main

route = {
    "messages": {"model": f"anthropic/{MODEL}", "api_base": URL, "max_tokens": 1024},
    "chat": {"model": f"openai/{MODEL}", "api_base": f"{URL}/v1"},
}[DIALECT]
asked = {**route, "api_key": KEY, "num_retries": 0, "max_retries": 0}
messages = [{"role": "user", "content": PROMPT}]


def function(name):
    names = {"write_file": ["path", "content"], "read_file": ["path"]}[name]
    properties = {each: {"type": "string"} for each in names}
    parameters = {"type": "object", "properties": properties, "required": names}
    return {"name": name, "description": TOOLS[name].__doc__, "parameters": parameters}


def stream():
    pieces = litellm.completion(**asked, messages=messages, stream=True)
    return "".join(piece.choices[0].delta.content or "" for piece in pieces)


def agent():
    tools = [{"type": "function", "function": function(name)} for name in TOOLS]
    while True:
        message = litellm.completion(**asked, messages=messages, tools=tools).choices[0].message
        if not message.tool_calls:
            return message.content
        messages.append(message.model_dump())  # with provider_specific_fields and all
        for call in message.tool_calls:
            content = TOOLS[call.function.name](**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})


def whole():
    return litellm.completion(**asked, messages=messages).choices[0].message.content


main({"whole": whole, "stream": stream, "agent": agent})
