"""Many decisions, and one digest of them all: ``python -m tests.criteria.determinism 100000``.

Prints how many cases there were, of how many kinds, and the SHA-256 over each decision's canonical JSON (or
the error that was raised instead).  Two processes that print the same have decided alike to the byte,
whatever their hash seeds.  A case is a function of its number, made by plain `random`, because Hypothesis
takes ten times as long over one as the router does.
"""

import json
import random
import sys
from hashlib import sha256

from attrs import define, field

from lynkr.errors import RoutingError
from lynkr.model import (
    Image,
    ImageSource,
    Message,
    OutputFormat,
    OutputKind,
    Request,
    Role,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from lynkr.routing import (
    CacheKind,
    Constraints,
    Pin,
    PipelineRouter,
    Profile,
    Rates,
    RequestContext,
    SessionKey,
    Snapshot,
    Target,
    Tariff,
    Tier,
)
from lynkr.routing.context import RequestClass
from lynkr.routing.lexicon import GROUPS
from lynkr.routing.why import decision_json

TARGETS = tuple(
    map(
        Target.parse,
        ("ollama:qwen3:8b", "openai:nano", "openai:gpt", "local:né", "anthropic:mid", "anthropic:top", "x:y"),
    )
)
_TIERS = {
    Tier.SIMPLE: TARGETS[:3],
    Tier.MEDIUM: TARGETS[1:4],
    Tier.COMPLEX: TARGETS[3:6],
    Tier.REASONING: TARGETS[5:],
}
_WORDS = tuple(sorted({word for group in GROUPS for word in group.words}))
_PHRASES = (
    "hi", "thanks!", "fix the typo in README.md", "refactor billing across three services and migrate them",
    "prove that the scheduler cannot deadlock", "what is 2+2?", "continue", "no, that is wrong",
    "design a distributed lock and its failure modes", "rm -rf the production database", "plan the release",
    "```python\ndef f(): ...\n```", "übersetze das", "为什么失败了", "<system-reminder>x</system-reminder>",
)  # fmt: skip
_TOOLS = tuple(
    ToolSpec(name, "does it", {"type": "object", "properties": {"path": {"type": "string"}}})
    for name in ("Read", "Edit", "Bash", "Task", "WebSearch")
)
_PATHS = ("/repo/a.py", "/etc/passwd", "auth/login.py", "docs/x.md", "billing/charge.go")


def profile_of(target: Target) -> Profile:
    number = TARGETS.index(target)
    return Profile(
        tools=(True, False, None)[number % 3],
        vision=(None, True, False)[number % 3],
        structured_output=(True, None)[number % 2],
        context_window=(2_000, None, 32_000, 200_000)[number % 4],
        max_output=(None, 4_096)[number % 2],
    )


ROUTERS = (
    PipelineRouter(_TIERS, profiles=profile_of, exploration=0.3),
    PipelineRouter(_TIERS),
    PipelineRouter({Tier.SIMPLE: TARGETS[0], Tier.COMPLEX: TARGETS[4:]}, profiles=profile_of, margin=0.5),
)


def text_of(chance: random.Random) -> str:
    words = chance.choices(_WORDS, k=chance.choice((0, 0, 3, 12))) if chance.random() < 0.5 else []
    said = " ".join([*chance.choices(_PHRASES, k=chance.choice((1, 1, 2))), *words])
    return said * chance.choice((1, 1, 1, 1, 1, 40))


def messages_of(chance: random.Random) -> tuple[Message, ...]:
    said = [Message.system(text_of(chance))] if chance.random() < 0.3 else []
    for turn in range(chance.choice((1, 1, 2, 3, 5))):
        image = (Image(ImageSource.URL, "https://h/i.png"),) if chance.random() < 0.08 else ()
        said.append(Message(Role.USER, (Text(text_of(chance)), *image)))
        for step in range(chance.choice((0, 0, 1, 4))):
            call, tool = f"call_{turn}_{step}", chance.choice(_TOOLS).name
            said.append(
                Message(Role.ASSISTANT, (ToolCall(call, tool, json.dumps({"path": chance.choice(_PATHS)})),))
            )
            said.append(Message(Role.USER, (ToolResult(call, (Text("done"),), chance.random() < 0.2),)))
        if chance.random() < 0.6:
            said.append(Message.assistant("ok"))
    return tuple(said)


def request_of(chance: random.Random) -> Request:
    return Request(
        model="auto",
        messages=messages_of(chance),
        tools=tuple(chance.sample(_TOOLS, chance.choice((0, 0, 2, 5)))),
        max_output_tokens=chance.choice((None, None, 64, 32_000)),
        output_format=OutputFormat(OutputKind.JSON_OBJECT) if chance.random() < 0.05 else None,
        stream=chance.random() < 0.5,
    )


def some(chance: random.Random) -> frozenset[Target]:
    return frozenset(chance.sample(TARGETS, chance.choice((0, 0, 1, 2, 5, 7))))


def snapshot_of(chance: random.Random) -> Snapshot:
    pin = None
    if chance.random() < 0.5:
        tokens = chance.choice((0, 900, 60_000, 150_000))
        pin = Pin(chance.choice(TARGETS), chance.choice((None, *TARGETS)), tokens=tokens, at=chance.random())
    tariffs = {
        target: Tariff(
            chance.choice((0.0, 0.1, 1.25, 5.0)), chance.choice((0.4, 10.0)), cache_read=0.1,
            cache=chance.choice(tuple(CacheKind)),
        )
        for target in chance.sample(TARGETS, chance.choice((0, 3, 7)))
    }  # fmt: skip
    limits = Constraints(
        deadline_seconds=chance.choice((None, None, None, 2.0)),
        budget_microusd=chance.choice((None, None, None, 900.0)),
        allowed=frozenset(map(str, some(chance))) if chance.random() < 0.15 else None,
        blocked=frozenset(("openai:*", str(chance.choice(TARGETS))))
        if chance.random() < 0.2
        else frozenset(),
    )
    key = SessionKey("s", agent=chance.choice((None, "explore")), tenant=chance.choice((None, "acme")))
    return Snapshot(
        now=chance.choice((0.0, 31.0, 1.8e9)),
        unavailable=some(chance),
        session=str(key),
        seed=chance.getrandbits(63),
        context=RequestContext(
            session=key,
            request_class=chance.choice((None, None, *RequestClass)),
            agent_type=chance.choice((None, None, "Explore", "Plan")),
        ),
        pin=pin,
        rates=Rates(tariffs, version="v1"),
        latencies={target: chance.choice((0.5, 3.0)) for target in sorted(some(chance), key=str)},
        constraints=limits,
    )


@define
class Told:
    """What so many cases came to.  *kinds* are tiers and errors, *answers* the digests of each."""

    cases: int = 0
    kinds: set[str] = field(factory=set)
    answers: set[bytes] = field(factory=set)

    def line(self, whole: str) -> str:
        return f"{self.cases} cases, {len(self.answers)} answers, {' '.join(sorted(self.kinds))}: {whole}"


def decided(number: int) -> tuple[str, bytes]:
    """The kind of answer to case *number*, and the answer in canonical JSON."""
    chance = random.Random(number)
    request, snapshot = request_of(chance), snapshot_of(chance)
    try:
        decision = chance.choice(ROUTERS).route(request, snapshot)
    except RoutingError as error:
        return type(error).__name__, f"{type(error).__name__}: {error}".encode()
    return decision.tier.name, json.dumps(decision_json(decision), sort_keys=True).encode()


def main(cases: int) -> str:
    told, whole = Told(), sha256()
    for number in range(cases):
        kind, answer = decided(number)
        # Once more in this process: nothing may be left over from the first time.
        if number % 16 == 0 and decided(number) != (kind, answer):
            raise AssertionError(f"case {number} is decided differently the second time")
        digest = sha256(answer).digest()
        whole.update(digest)
        told.cases += 1
        told.kinds.add(kind)
        told.answers.add(digest)
    return told.line(whole.hexdigest())


if __name__ == "__main__":
    print(main(int(sys.argv[1])))
