"""What each finding says in words: what it is, how it was found, what it leaves out, what to do."""

from collections.abc import Mapping
from textwrap import dedent
from types import MappingProxyType
from typing import Final, Self

from attrs import frozen


@frozen
class Words:
    """One finding's prose; names in braces are filled in by `Words.about`."""

    title: str
    says: str
    basis: str
    caveat: str
    fix: str

    @classmethod
    def of(cls, title: str, text: str) -> Self:
        """Read the four paragraphs *says*, *basis*, *caveat* and *fix*."""
        paragraphs = dedent(text).strip().split("\n\n")
        says, basis, caveat, fix = (" ".join(paragraph.split()) for paragraph in paragraphs)
        return cls(title, says, basis, caveat, fix)

    def about(self, **facts: object) -> "Words":
        """The same with *facts* filled in."""
        filled = (
            part.format_map(facts) for part in (self.title, self.says, self.basis, self.caveat, self.fix)
        )
        return Words(*filled)


WORDS: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "failed-requests": Words.of(
            "Paid for, and failed",
            """
            Requests whose client got an error or a stream that broke off, and that the provider still
            charged for.

            The cost of every request that ended in failure, its attempts included, by the prices of the time.

            Attempts whose cost is unknown are not in it, so it is the least that was lost.

            See which errors these were (Requests, errors only), and put another target into the tier of the
            one that fails.
            """,
        ),
        "extra-attempts": Words.of(
            "Attempts whose answer nobody used",
            """
            Retries, fallbacks and hedges that cost something although another attempt served.

            The known cost of every attempt that did not serve, by the prices of the time.

            A provider may charge for a broken attempt without saying how much; such ones are not in it.

            Where one target fails often, put a steadier one first in its tier; hedge less where it seldom
            wins.
            """,
        ),
        "unused-tools": Words.of(
            "Tools nobody called",
            """
            Sessions of {least_calls} or more answers that sent tools along each time and never called one.

            Tools sent, times {tokens} tokens each, at the target's input price; the share of the session's
            prompts that came from the cache at the cache's price.

            The length of a description is assumed, not measured. A tool that was not called may still have
            been needed. The {sessions} dearest sessions are looked at.

            Leave out the tools (MCP servers) that a kind of session never uses.
            """,
        ),
        "side-traffic": Words.of(
            "The client's own upkeep on a dear model",
            """
            Titles, summaries, suggestions and probes that a client sends of its own accord, on a model dearer
            than the simplest tier's.

            What they cost, less what the same tokens cost uncached on {simplest} at today's price.

            Side traffic is recognised by its wording; a client's new wording is taken for the user's own.

            Let these requests ask for lynkr-auto, or point the alias of the client's small model at the
            simplest tier.
            """,
        ),
        "cold-caches": Words.of(
            "Prompts that did not come from the cache",
            """
            Targets that can cache and read less than {good} of their input from it.

            Input tokens that were neither read from nor written to the cache, times what reading would have
            spared, at today's price.

            An upper bound: the first prompt of a session, and what changes in it, no cache can hold.

            Keep what comes first in a prompt the same from call to call; keep a session on one target; set
            cache marks where the provider wants them.
            """,
        ),
        "tier-too-high": Words.of(
            "A tier lower would have done",
            """
            Tiers of whose answers people said that the tier below would have done as well.

            At least {judged} requests of a tier with feedback; the lower end of the 95 % interval of the
            share found too high, times the tier's spend less the same tokens at the tier below's price.

            Those who give feedback may not be those whose requests are typical.

            Raise the threshold of that tier (docs/policies.md), or try the dial of the Policy page first.
            """,
        ),
        "dearer-than-flagship": Words.of(
            "Dearer than {flagship}",
            """
            Targets on which the same tokens cost more than they would have on {flagship}.

            The cost of the answers served, less the baseline, where both are known.

            An estimate: {flagship} would have written other tokens and cached other prompts.

            Put a cheaper target into that tier, or the flagship itself.
            """,
        ),
        "unknown-prices": Words.of(
            "Targets without a price",
            """
            Requests that were answered and whose cost is unknown, so that every sum leaves them out.

            Requests of unknown cost by the target that served, with the tokens of that target.

            Not money that was wasted: money that is not seen. A cost is also unknown where a provider counted
            no tokens.

            Set pricing.overrides."provider:model", or local = true for a host of your own.
            """,
        ),
    }
)
