"""The words that tell how hard an ask is, as data.

A *group* is a set of words and phrases that say the same thing about an ask.
`Group.points` is how much evidence they are: *first* for one, *more* for each
further one, never over *most*.  Points of different groups add up, and
``1 - exp(-points)`` is a difficulty in [0, 1]: 0.29 points make MEDIUM, 0.69
COMPLEX, 1.39 REASONING (`lynkr.routing.tiers`).

Words are matched whole and folded; every mark between letters and digits is a
space, so that ``lock-free`` is the phrase "lock free" and ``src/auth/db.ts`` the words
"src auth db ts".  Nothing here is a regular expression, and looking a text up
costs one pass whatever the number of words.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from attrs import evolve, field, frozen

from lynkr.routing import languages


@frozen
class Group:
    """*words* and *phrases* count anywhere, *verbs* only in an order, *nouns* only outside one."""

    name: str
    first: float = 0.0
    more: float = 0.0
    most: float = 0.0
    words: tuple[str, ...] = field(default=(), repr=False)
    verbs: tuple[str, ...] = field(default=(), repr=False)
    nouns: tuple[str, ...] = field(default=(), repr=False)
    phrases: tuple[str, ...] = field(default=(), repr=False)

    def points(self, hits: int) -> float:
        return min(self.most, self.first + self.more * (hits - 1)) if hits else 0.0


def _plain(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _nouns(text: str) -> tuple[str, ...]:
    """Each word and its plural."""
    words: list[str] = []
    for word in text.split():
        words.append(word)
        if word.endswith(("s", "x", "ch", "sh")):
            words.append(word + "es")
        elif word.endswith("y") and word[-2] not in "aeiou":
            words.append(word[:-1] + "ies")
        else:
            words.append(word + "s")
    return tuple(words)


def _verbs(text: str) -> tuple[str, ...]:
    """Each verb, its -ing form, and the British spelling of -ize and -yze."""
    words: list[str] = []
    for verb in text.split():
        spellings = [verb]
        if verb.endswith(("ize", "yze")):
            spellings.append(verb[:-2] + "se")
        for word in spellings:
            words += [word, (word[:-1] if word.endswith("e") and not word.endswith("ee") else word) + "ing"]
    return tuple(words)


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(" ".join(line.split()) for line in text.split(",") if line.strip())


_ENGLISH: Final = (
    # --- what kind of act is asked for
    Group(
        "task",
        first=0.18,
        more=0.05,
        most=0.28,
        verbs=_verbs(
            """add remove delete rename list show print format fix install run check search grep find
            convert extract create make update change move replace revert commit generate parse sort set
            edit handle wire expose validate wrap inline bump upgrade downgrade merge rebase split copy
            insert append import export mock stub test lint document comment log port configure enable
            disable register render fetch call rerun use put"""
        ),
    ),
    Group(
        "prose",
        first=0.25,
        more=0.06,
        most=0.34,
        verbs=_verbs(
            """write draft compose translate summarize explain describe compare contrast paraphrase
            proofread brainstorm suggest recommend elaborate discuss outline rephrase"""
        ),
        words=_nouns(
            "essay article report proposal email story poem letter speech summary difference benefit post "
            "reply memo invitation announcement note"
        ),
    ),
    Group(
        "build",
        first=0.3,
        more=0.1,
        most=0.5,
        verbs=_verbs(
            """implement build develop debug optimize investigate propose trace profile identify
            recommend benchmark parallelize integrate containerize simulate model reconcile enumerate
            justify standardize consolidate unify generalize extend automate troubleshoot instrument
            critique"""
        ),
        phrases=_phrases(
            """walk me through, figure out, find out, find out why, work out why, track down, look into,
            dig into, find the cause, the cause of, find and fix, what causes, set up, roll out, root out"""
        ),
    ),
    Group(
        "work",
        first=0.43,
        more=0.13,
        most=0.8,
        verbs=_verbs(
            """design architect refactor restructure rearchitect redesign reorganize migrate review
            audit diagnose plan analyze evaluate assess decompose decouple modularize harden reengineer
            shard strategize deprecate overhaul untangle disentangle rework rewrite
            modernize synthesize formalize"""
        ),
        phrases=_phrases("root cause, from scratch, re architect, re design, re write, rule out"),
    ),
    Group(
        "work_noun",
        first=0.22,
        more=0.1,
        most=0.4,
        nouns=_nouns(
            "refactor review design plan audit analysis diagnosis evaluation assessment redesign rewrite"
        ),
        phrases=_phrases("deep dive, proof of concept, code review, gap analysis, pull request"),
    ),
    # --- what it is about
    Group(
        "tech",
        first=0.3,
        more=0.03,
        most=0.42,
        words=_nouns(
            """function variable regex api endpoint docstring codebase repo repository linter compiler
            interpreter callback async await promise struct enum decorator middleware dependency library
            package framework dockerfile container pod makefile script cli sdk json yaml xml csv html
            css sql nosql database query subquery orm schema frontend backend microservice service
            webhook grpc rest graphql websocket http tcp udp dns kubernetes docker terraform helm aws
            gcp azure linux bash shell regexp python javascript typescript java kotlin golang rust ruby
            php react vue angular svelte django flask fastapi spring rails node npm yarn pip cargo
            gradle maven webpack redis postgres postgresql mysql sqlite mongodb kafka rabbitmq
            elasticsearch nginx git diff commit rebase stacktrace traceback exception segfault mutex
            semaphore thread coroutine goroutine pointer iterator generator closure lambda algorithm
            hashmap trie bytecode kernel syscall codec parser lexer tokenizer ast orchestrator scheduler
            daemon cron queue cache caching pipeline ingestion etl dataframe pandas numpy pytorch
            tensorflow embedding gpu cuda changelog config linting prettier eslint pytest jest mypy
            typecheck tsx jsx ts js py rs cpp hpp ipynb toml todo stdout stderr env localhost auth oauth
            jwt login logout router routing refactor runtime timeout latency throughput eval heap
            deadlock plugin module app unittest readme sidebar button modal dropdown navbar div flexbox
            grep sed awk curl ssh retry configuration bigquery snowflake warehouse webpage mutation
            selector subclass typo"""
        ),
        phrases=_phrases(
            """unit test, unit tests, integration test, integration tests, test suite, the tests,
            tests pass, error handling, null check, try block, pull request, merge conflict,
            build fails, failing test, failing tests, stack trace, command line, source code, this code,
            the code, my code, data structure, binary search, linked list, hash table, type error,
            state machine, rate limit, rate limiter, bug fix, working tree, feature flag, web app,
            design pattern, race condition, this function, this class"""
        ),
    ),
    Group(
        "soft_tech",
        first=0.16,
        more=0.08,
        most=0.32,
        words=_nouns(
            """class method test file folder directory model server client table branch key path field
            form object line page port log error bug warning array string integer boolean loop import
            export component type tag header token session user request response version release build
            deploy setting parameter argument attribute property interface system network handler helper
            util hook event message index column row record transaction job worker task state comment
            code software program website driver"""
        ),
    ),
    # --- how far it reaches
    Group(
        "scope",
        first=0.26,
        more=0.1,
        most=0.45,
        words=_plain(
            "entire entirely whole across throughout everywhere monolith monorepo fleet multitenant "
            "systemwide comprehensive everything"
        ),
        phrases=_phrases(
            """end to end, all the places, all places, all modules, all services, all consumers,
            all callers, all files, all usages, all of our, multi tenant, multi region,
            multiple services, multiple files, multiple modules, several services, three services,
            module boundaries, call sites, all components, all tests, every test, every file,
            every module, every service,
            every caller, every endpoint, every query, every place, every class, every page, top to bottom,
            go through every, in every"""
        ),
    ),
    # --- what makes it treacherous
    Group(
        "concurrency",
        first=0.52,
        more=0.11,
        most=0.6,
        words=_nouns(
            "concurrency deadlock livelock starvation mutex semaphore linearizability atomicity lock"
        )
        + _plain(
            "linearizable concurrent concurrently multithreaded threadsafe reentrant contention interleaving"
        ),
        phrases=_phrases(
            """race condition, race conditions, data race, data races, lock free, wait free,
            memory ordering, memory barrier, memory model, thread safe, thread safety, double free,
            use after free, lost update, partial write, lock ordering, compare and swap,
            read write lock, critical section, aba problem"""
        ),
    ),
    Group(
        "distributed",
        first=0.33,
        more=0.1,
        most=0.55,
        words=_plain(
            """distributed consensus raft paxos byzantine quorum sharding sharded replication replicas
            failover microservices idempotent idempotency saga crdt gossip partitioning scalable
            scalability multiregion observability kubernetes invalidation backup autoscaling replicate
            tenancy rpo rto"""
        ),
        phrases=_phrases(
            """exactly once, at least once, eventual consistency, eventually consistent,
            strong consistency, split brain, leader election, two phase commit, fault tolerant,
            fault tolerance, high availability, service mesh, event sourcing, event driven,
            message queue, cache invalidation, partial failure, circuit breaker, graceful degradation,
            failure mode, failure modes, high throughput, real time, single point of failure,
            back pressure, at scale, disaster recovery, load balancer, load balancing, multi cluster,
            multiple regions, high load"""
        ),
    ),
    Group(
        "security",
        first=0.3,
        more=0.1,
        most=0.5,
        words=_nouns("vulnerability exploit injection cve attacker cryptography")
        + _plain(
            """security secure insecure authentication authorization authn authz oauth jwt csrf xss ssrf
            rbac encryption encrypt decrypt crypto hardening sandboxing privilege malicious unsafe
            spoofing replay cryptographic compliance pii gdpr hipaa"""
        ),
        phrases=_phrases(
            """sql injection, access control, key rotation, side channel, timing attack, attack surface,
            attack vector, attack vectors, token reuse, privilege escalation, zero trust,
            secret management"""
        ),
    ),
    Group(
        "performance",
        first=0.26,
        more=0.09,
        most=0.45,
        words=_nouns("bottleneck regression p99 p95 tail leak")
        + _plain(
            "latency throughput performance quadratic profiling oom spiked flaky intermittent intermittently "
            "crash crashes crashed crashing hangs freezes corrupt corrupted corruption outage incident"
        ),
        phrases=_phrases(
            """memory leak, heap dump, heap dumps, cpu usage, cold start, out of memory,
            garbage collector, time complexity, space complexity, slow query, n plus one, cache miss,
            cache misses, o n, is down, goes down, went down, gets killed, is killed, race between,
            file descriptors, under load, stops responding, keeps failing"""
        ),
    ),
    Group(
        "change",
        first=0.26,
        more=0.1,
        most=0.45,
        words=_nouns("migration deprecation cutover rollback rollout"),
        phrases=_phrases(
            """zero downtime, no downtime, backwards compatible, backward compatible,
            backwards compatibility, backward compatibility, breaking change, breaking changes,
            without downtime, data loss, without breaking, without changing, tests green, ci green,
            keep the old, legacy code, legacy system, blue green,
            schema change, schema changes"""
        ),
    ),
    Group(
        "design",
        first=0.3,
        more=0.1,
        most=0.5,
        words=_nouns("architecture strategy tradeoff roadmap rfc invariant coupling")
        + _plain("architectural cohesion extensible extensibility decoupled maintainability implications"),
        phrases=_phrases(
            """trade off, trade offs, pros and cons, edge case, edge cases, system design, design doc,
            data model, decision record, weak point, weak points, single source of truth,
            separation of concerns, migration path, testing strategy, which approach, best approach,
            each approach, alternatives, circular imports, circular dependencies, circular dependency,
            tight coupling"""
        ),
    ),
    # --- explicit calls for rigour
    Group(
        "proof",
        first=1.4,
        most=1.4,
        verbs=("prove", "proving"),
        words=_plain("ultrathink"),
        phrases=_phrases(
            """formal proof, formally prove, formally verify, formal verification, proof that, proof by,
            proof of correctness, mathematical proof, prove that, disprove,
            rigorous proof, rigorous argument, argue rigorously, rigorously show"""
        ),
    ),
    Group(
        "formal",
        first=0.4,
        more=0.16,
        most=0.8,
        words=_nouns(
            "theorem lemma corollary invariant counterexample axiom conjecture bijection isomorphism"
        )
        + _plain(
            """linearizability linearization correctness soundness amortized asymptotic adversarial
            competitive provably tla coq isabelle induction contradiction satisfiability undecidable
            tight preserves preserve terminate terminates termination liveness np polynomial reduction"""
        ),
        phrases=_phrases(
            """safety property, liveness property, complexity bound, lower bound, upper bound,
            worst case, necessary and sufficient, if and only if, state machine, big o, fixed point,
            np hard, np complete"""
        ),
    ),
    Group("derive", first=0.6, most=0.6, verbs=("derive", "deriving"), words=("derivation",)),
    Group(
        "verify", verbs=_verbs("verify justify argue demonstrate establish confirm"), phrases=("show that",)
    ),
    Group(
        "reasoning",
        first=0.72,
        more=0.5,
        most=1.3,
        phrases=_phrases(
            """think hard, think harder, think deeply, think carefully, think very hard,
            think really hard, think very carefully, think long, think step by step,
            reason step by step, explain your reasoning, show your reasoning, explain your thinking,
            show your work, reason through, reasoning through, reason from, reason to the,
            first principles, chain of thought, think about this carefully,
            think this through carefully, think through this carefully, careful reasoning,
            reason carefully"""
        ),
    ),
    Group(
        "care",
        first=0.36,
        more=0.2,
        most=0.6,
        words=_plain("thoroughly carefully rigorously rigorous exhaustively meticulously"),
        phrases=_phrases(
            "step by step, think through, think it through, reason about, reasoning about, in depth"
        ),
    ),
    Group(
        "audit",
        first=1.15,
        more=0.1,
        most=1.25,
        phrases=_phrases(
            """security audit, security review, security assessment, security analysis,
            penetration test, penetration testing, pen test, vulnerability scan, vulnerability scanning,
            vulnerability assessment, security vulnerabilities, threat model, threat modeling,
            threat modelling, red team, cryptanalysis"""
        ),
    ),
    # --- how it is to be carried out
    Group(
        "autonomy",
        first=0.55,
        most=0.55,
        words=_plain("autonomously autonomous unattended"),
        phrases=_phrases(
            """on your own, without asking, without my input, do not stop, don t stop, keep going until,
            keep iterating, iterate until, keep trying, until all tests, until all the tests,
            until everything, until it works, until it passes, until they pass, until all pass,
            until green, until the build, one by one, repeat until, loop until, fix everything,
            work through the"""
        ),
    ),
    Group(
        "steps",
        first=0.1,
        more=0.06,
        most=0.25,
        words=_plain("firstly secondly thirdly finally afterwards subsequently"),
        phrases=_phrases(
            """and then, after that, step 1, step 2, first run, once done, as well as, in addition,
            make sure, including, followed by, then update, and also"""
        ),
    ),
    Group(
        "maths",
        first=0.2,
        more=0.08,
        most=0.45,
        words=_nouns(
            """integral derivative equation polynomial matrix eigenvalue probability triangle prime
            theorem vector logarithm permutation combination inequality sequence"""
        )
        + _plain("solve compute calculate evaluate simplify factor modulo sqrt frac sum remainder"),
        phrases=_phrases("how many ways, expected value, greatest common, least common, closed form"),
    ),
    # --- facts worth no points by themselves: what is given, what is told, and what the policy asks for
    Group(
        "passage",
        words=_nouns("passage excerpt premise hypothesis"),
        phrases=_phrases(
            """the following information, following paragraph, following text, following article,
            paragraph below, text below, article below, context below, based on the context,
            according to the text, according to the article, given the context, read the following,
            from the text, the following conversation, the following dialogue"""
        ),
    ),
    Group(
        "given",
        verbs=_verbs(
            """summarize translate proofread rephrase paraphrase shorten condense extract classify
            polish rewrite reword simplify correct transcribe"""
        ),
        phrases=_phrases("turn these, turn this, in one sentence, make this shorter, bit shorter"),
    ),
    Group(
        "creative",
        words=_nouns(
            "poem haiku limerick sonnet song lyric joke riddle toast birthday invitation story greeting"
        ),
    ),
    Group(
        "advice",
        words=_plain("should would some best better ideas tips ways options advice suggestions why"),
    ),
    Group(
        "quantity",
        words=_plain(
            """find calculate compute evaluate solve simplify value sum probability determine express
            percent total average area smallest largest integer integers equation maximum minimum
            remaining distance"""
        ),
    ),
    Group(
        "number",
        words=_plain(
            """two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty
            fifty sixty hundred half twice times third quarter dozen each"""
        ),
    ),
    Group("lookup"),
    Group("thanks"),
    Group(
        "risky",
        words=_nouns("payment refund credential password migration entitlement")
        + _plain(
            """auth authn authz authentication authorization oauth oauth2 saml sso jwt permission
            permissions rbac acl billing payroll encryption decryption terraform iam kms"""
        ),
        phrases=_phrases(
            """database schema, schema migration, schema change, api key, api keys, secret key,
            client secret, access token, refresh token, signing key, private key, access control,
            credit card, card data, production database, production data, production deploy,
            production deployment, to production, in production, on production, github workflows,
            user data, access policy, security policy"""
        ),
    ),
    Group(
        "changing",
        verbs=_verbs(
            """add fix change update implement refactor remove delete rotate migrate deploy replace
            rewrite modify patch upgrade enable disable revoke drop alter integrate encrypt decrypt
            build create roll push apply switch move extend rework harden restructure redesign
            consolidate merge edit configure set ship run implement introduce extract"""
        ),
    ),
    Group(
        "benign",
        words=_nouns(
            "typo docstring comment readme label wording spelling color colour font margin tooltip emoji"
        )
        + _plain("docs documentation changelog copy rename renaming naming css padding formatting grammar"),
    ),
)


def _joined(group: Group) -> Group:
    """With the words of other languages."""
    more = languages.WORDS.get(group.name)
    return evolve(group, words=(*group.words, *more.split())) if more else group


GROUPS: Final = tuple(map(_joined, _ENGLISH))
UNSPACED: Final = tuple(
    (term, number)
    for number, group in enumerate(GROUPS)
    for term in languages.UNSPACED.get(group.name, "").split()
)
"""Terms of alphabets without spaces, each with its group's place."""


Phrase: TypeAlias = tuple[bytes, frozenset[bytes], bytes, int]
"""Its rarest word but one, all its words, the phrase between spaces, and its group's place in `GROUPS`."""
Orders: TypeAlias = tuple[bytes, tuple[int, ...], tuple[int, ...]]
"""A word, and its groups' places in orders and outside of orders."""
Entry: TypeAlias = tuple[tuple[int, ...], Orders | None, tuple[Phrase, ...]]
"""What one word of the vocabulary leads to: its groups' places anywhere, those that depend on where it
stands, and the phrases whose rarest word it is.  A plain tuple, because a named one is slower to take apart.
"""


def _entries(groups: Sequence[Group]) -> dict[bytes, Entry]:
    uses: dict[bytes, tuple[list[int], list[int], list[int]]] = {}
    phrases: dict[bytes, list[Phrase]] = {}
    common = Counter(word for group in groups for phrase in group.phrases for word in phrase.split())
    for number, group in enumerate(groups):
        single = (phrase for phrase in group.phrases if " " not in phrase)
        for place, members in enumerate(((*group.words, *single), group.verbs, group.nouns)):
            for word in dict.fromkeys(members):
                uses.setdefault(word.encode(), ([], [], []))[place].append(number)
        for phrase in dict.fromkeys(group.phrases):
            parts = phrase.split()
            if len(parts) > 1:
                # Looked for only in texts that have its rarest word, then only if they have all of them.
                rarest, second, *_ = sorted(parts, key=lambda word: (common[word], -len(word)))
                words = frozenset(part.encode() for part in parts)
                found = (second.encode(), words, f" {phrase} ".encode(), number)
                phrases.setdefault(rarest.encode(), []).append(found)
    shared: dict[Entry, Entry] = {}  # most words lead to what others lead to: less memory is touched
    entries: dict[bytes, Entry] = {}
    for key in {**uses, **phrases}:
        anywhere, in_orders, outside_orders = uses.get(key, ([], [], []))
        orders = (key, tuple(in_orders), tuple(outside_orders)) if in_orders or outside_orders else None
        entry: Entry = (tuple(anywhere), orders, tuple(phrases.get(key, ())))
        entries[key] = shared.setdefault(entry, entry)
    return entries


# A plain dict behind a read-only type: a mapping proxy would double the price of a look-up.
ENTRIES: Final[Mapping[bytes, Entry]] = _entries(GROUPS)
