"""Counts the tokens of the recorded requests with a real tokenizer, into ``token_counts.json``.

``python -m tests.corpus.token_counts o200k_base.js`` (see ``benchmarks/tokens/o200k.py``).  What
is counted is read off the bodies themselves, without lynkr: every text of the system prompt and
the messages, tool calls with their arguments, and name, description and schema of each tool.
For what frames a message, 4 (OpenAI Cookbook, "How to count tokens with tiktoken").  Besides,
texts in other scripts, a few sentences each.
"""

import datetime
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
COUNTS = HERE / "token_counts.json"
FRAME = 4
# What is no text for the model: names of things, and what seals or marks them.
NO_TEXT = frozenset(
    [
        "id",
        "call_id",
        "tool_use_id",
        "tool_call_id",
        "signature",
        "encrypted_content",
        "cache_control",
        "type",
        "role",
        "model",
        "status",
    ]
)
SCRIPTS = {
    "Chinese": "请帮我重构这个函数，使它更容易测试，并解释为什么现在的实现会在高并发下失败。",
    "Japanese": "この関数をリファクタリングして、テストしやすくしてください。",
    "Korean": "이 함수를 리팩터링하여 테스트하기 쉽게 만들어 주세요. 자원이 결국 고갈됩니다.",
    "Russian": "Пожалуйста, перепиши эту функцию так, чтобы её было легче проверять, и скажи, почему.",
    "Greek": "Παρακαλώ ξαναγράψε αυτή τη συνάρτηση ώστε να ελέγχεται ευκολότερα και εξήγησε γιατί.",
    "Arabic": "من فضلك أعد كتابة هذه الدالة بحيث يسهل اختبارها واشرح لماذا تفشل تحت الحمل العالي.",
    "Hindi": "कृपया इस फ़ंक्शन को फिर से लिखें ताकि इसका परीक्षण आसान हो और बताएं कि यह क्यों विफल होता है।",
    "Hebrew": "אנא כתוב מחדש את הפונקציה כך שיהיה קל יותר לבדוק אותה והסבר מדוע היא נכשלת בעומס גבוה.",
    "Thai": "กรุณาเขียนฟังก์ชันนี้ใหม่เพื่อให้ทดสอบได้ง่ายขึ้น และอธิบายว่าทำไมจึงล้มเหลว",
    "German": "Schreibe diese Funktion bitte so um, dass sie leichter zu prüfen ist, und erkläre es.",
    "Czech": "Přepiš prosím tuto funkci tak, aby se dala snadněji testovat, a vysvětli, proč selhává.",
}


def texts_of(value: Any) -> Iterator[str]:
    """Every text in *value*; arguments that are an object count as their JSON."""
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from texts_of(item)
        case dict():
            for name, item in value.items():
                if name == "input" and isinstance(item, dict):
                    yield compact(item)
                elif name not in NO_TEXT:
                    yield from texts_of(item)


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parts_of(body: dict[str, Any]) -> tuple[int, list[str]]:
    """How many messages *body* has, and all its texts."""
    sent = body.get("messages") or body["input"]
    messages = [body[name] for name in ("system", "instructions") if body.get(name)]
    messages += sent if isinstance(sent, list) else [sent]
    texts = [text for message in messages for text in texts_of(message)]
    for tool in body.get("tools", ()):
        function = tool.get("function", tool)
        schema = function.get("input_schema", function.get("parameters"))
        texts += [function.get("name") or "", function.get("description") or ""]
        texts.append(compact(tool if schema is None else schema))
    return len(messages), texts


def main() -> None:
    from benchmarks.tokens.o200k import o200k  # reason: the test needs the rest alone

    encoding = o200k(Path(sys.argv[1]))

    def tokens(text: str) -> int:
        return len(encoding.encode(text, disallowed_special=()))

    requests: dict[str, int] = {}
    for path in sorted((HERE / "requests").glob("*.json")):
        messages, texts = parts_of(json.loads(path.read_text("utf-8"))["body"])
        requests[path.stem] = FRAME * messages + sum(map(tokens, texts))
    told = {
        "source": "o200k_base, ranks of js-tiktoken 1.0.21, by tiktoken 0.14",
        "counted": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "requests": requests,
        "scripts": {name: FRAME + tokens(text) for name, text in SCRIPTS.items()},
    }
    COUNTS.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
