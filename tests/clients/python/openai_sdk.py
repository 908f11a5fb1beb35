import json

from common import DIALECT, KEY, MODEL, PROMPT, TOOLS, URL, main
from openai import OpenAI

client = OpenAI(base_url=f"{URL}/v1", api_key=KEY, max_retries=0)
asked = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}


def function(name):
    names = {"write_file": ["path", "content"], "read_file": ["path"]}[name]
    properties = {each: {"type": "string"} for each in names}
    schema = {"type": "object", "properties": properties, "required": names, "additionalProperties": False}
    return {"name": name, "description": TOOLS[name].__doc__, "parameters": schema, "strict": True}


def chat_whole():
    return client.chat.completions.create(**asked).choices[0].message.content


def chat_stream():
    with client.chat.completions.stream(**asked) as events:
        for _ in events:
            pass
        return events.get_final_completion().choices[0].message.content


def chat_agent():
    messages = list(asked["messages"])
    tools = [{"type": "function", "function": function(name)} for name in TOOLS]
    while True:
        with client.chat.completions.stream(model=MODEL, messages=messages, tools=tools) as events:
            message = events.get_final_completion().choices[0].message
        if not message.tool_calls:
            return message.content
        messages.append(message)  # with all the fields the SDK's own type has
        for call in message.tool_calls:
            content = TOOLS[call.function.name](**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": content})


def responses_whole():
    return client.responses.create(model=MODEL, input=PROMPT).output_text


def responses_stream():
    with client.responses.stream(model=MODEL, input=PROMPT) as events:
        return events.get_final_response().output_text


def responses_agent():
    given, previous = [{"role": "user", "content": PROMPT}], None
    tools = [{"type": "function", **function(name)} for name in TOOLS]
    while True:
        # The history lies with the gateway, which keeps it.
        response = client.responses.create(
            model=MODEL, input=given, tools=tools, previous_response_id=previous
        )
        calls = [item for item in response.output if item.type == "function_call"]
        if not calls:
            return response.output_text
        previous = response.id
        given = [
            {
                "type": "function_call_output",
                "call_id": call.call_id,
                "output": TOOLS[call.name](**json.loads(call.arguments)),
            }
            for call in calls
        ]


main(
    {
        "chat": {"whole": chat_whole, "stream": chat_stream, "agent": chat_agent},
        "responses": {"whole": responses_whole, "stream": responses_stream, "agent": responses_agent},
    }[DIALECT]
)
