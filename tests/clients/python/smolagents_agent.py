from common import KEY, MODEL, PROMPT, TOOLS, URL, main
from smolagents import ChatMessage, MessageRole, OpenAIModel, ToolCallingAgent, tool

model = OpenAIModel(MODEL, api_base=f"{URL}/v1", api_key=KEY, client_kwargs={"max_retries": 0})
messages = [ChatMessage(role=MessageRole.USER, content=PROMPT)]


def stream():
    return "".join(piece.content or "" for piece in model.generate_stream(messages))


def agent():
    # Its log would be the last line of the output, where the report belongs.
    made = ToolCallingAgent([tool(each) for each in TOOLS.values()], model, max_steps=4, verbosity_level=0)
    return made.run(PROMPT)


main({"whole": lambda: model.generate(messages).content, "stream": stream, "agent": agent})
