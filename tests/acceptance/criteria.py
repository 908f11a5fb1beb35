"""The 25 criteria a gateway is accepted by, and what proves each: ``python -m tests.acceptance.criteria``.

Draws docs/acceptance.md.  A proof is ``file::test`` (or a class of tests), or a benchmark's file.
"""

from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).absolute().parents[2]
PAGE = ROOT / "docs" / "acceptance.md"


@frozen
class Criterion:
    """One sentence of ours, and the tests and benchmarks that hold the gateway to it."""

    number: int
    says: str
    proofs: tuple[str, ...]
    open: str = ""  # what of it nothing proves yet


_RELIABILITY = "tests/criteria/test_reliability.py::"
_STREAMS = "tests/laws/test_stream_laws.py::"
_ROUTER = "tests/routing/test_router_laws.py::"
_STICKY = "tests/routing/test_stickiness.py::"

CRITERIA = (
    Criterion(1, "However a stream's bytes are cut and its lines ended, the same events are read.", (
        f"{_STREAMS}test_criterion_01_cutting_the_bytes_elsewhere_changes_no_event",
        f"{_STREAMS}test_carriage_returns_change_no_event",
        "tests/wire/test_sse.py::test_the_kind_of_line_ending_changes_no_frame",
    )),
    Criterion(2, "A tool call's arguments arrive to the letter, also large, empty and interleaved ones.", (
        f"{_STREAMS}test_criterion_02_tool_arguments_are_exact_from_any_source",
        f"{_STREAMS}test_large_tool_arguments_are_exact",
        f"{_STREAMS}test_tool_arguments_are_exact_in_their_own_dialect",
    )),
    Criterion(3, "Every Anthropic stream obeys the grammar of a validator we publish.", (
        f"{_STREAMS}test_criterion_03_every_anthropic_stream_follows_the_grammar",
        "tests/wire/anthropic/test_stream.py::test_an_error_ends_the_stream_within_the_grammar",
    )),
    Criterion(4, "Within one dialect a body goes through byte for byte but for the model's name.", (
        "tests/gateway/test_gateway.py::test_criterion_04_the_same_dialect_goes_through_byte_for_byte",
    )),
    Criterion(5, "Unknown betas and fields are forwarded; a beta falls with its fields, and it shows.", (
        ("tests/gateway/test_gateway.py::"
        "test_anthropic_headers_are_forwarded_whatever_their_values_and_credentials_are_not"),
        "tests/gateway/test_gateway.py::test_criterion_05_a_beta_header_falls_with_its_fields_and_the_record_names_it",
        "tests/providers/test_betas.py::test_every_beta_is_kept_or_falls",
    )),
    Criterion(6, "What is done to a history is done alike to its beginning.", (
        "tests/criteria/test_prefix.py::test_criterion_06_a_history_is_sent_alike_however_it_goes_on",
    ), open="No transform of histories is shipped; the law is held for translations."),
    Criterion(7, "Sealed thinking comes back to its own provider to the letter, and goes to no other.", (
        ("tests/gateway/test_seals.py::"
        "test_geminis_signatures_come_back_through_a_client_of_anthropics_dialect"),
        "tests/gateway/test_seals.py::test_geminis_signatures_come_back_through_a_client_of_responses",
        "tests/gateway/test_seals.py::test_criterion_07_thinking_of_another_provider_is_not_shown_to_anthropic",
        "tests/gateway/test_input_transformations.py::test_criterion_07_what_anthropic_changed_is_told_the_client",
    ), open=(
        "`input_transformations` is passed on from Anthropic; what lynkr itself leaves out, another family's "
        "thinking, is told in the record's losses, not in that field, and wherever it stands."
    )),
    Criterion(8, "Counting tokens always answers, by estimate if need be, within 5 % on recorded requests.", (
        "tests/gateway/test_counting.py::test_a_provider_without_the_call_is_answered_for",
        "tests/gateway/test_counting.py::test_criterion_08_a_provider_that_is_not_there_is_answered_for",
        "tests/test_token_count.py::test_criterion_08_recorded_requests_are_counted_within_five_percent",
    )),
    Criterion(9, "Another target serves only before the first event; later a broken stream ends as broken.", (
        f"{_RELIABILITY}test_criterion_09_before_the_first_event_another_target_serves",
        (f"{_RELIABILITY}"
        "test_criterion_09_after_it_a_broken_stream_ends_in_an_error_event_and_a_failed_record"),
        ("tests/gateway/test_broken_streams.py::"
        "test_a_responses_stream_passed_on_goes_on_counting_in_its_error_event"),
    )),
    Criterion(10, "No client waits in silence while its upstream lives; an idle upstream has failed.", (
        f"{_RELIABILITY}test_criterion_10_no_client_sees_more_silence_than_it_is_promised",
        "tests/criteria/test_silence.py::test_criterion_10_by_default_no_client_sees_15_seconds_of_silence",
        ("tests/criteria/test_silence.py::"
        "test_criterion_10_by_default_an_upstream_that_is_idle_for_two_minutes_has_failed"),
    )),
    Criterion(11, "A client that leaves stops everything within 250 ms and leaves one record.", (
        f"{_RELIABILITY}test_criterion_11_a_client_that_leaves_stops_everything_within_250_ms",
    )),
    Criterion(12, "When all fails, attempts stay below 1.2 x requests + 3.", (
        f"{_RELIABILITY}test_criterion_12_under_total_failure_attempts_are_bounded",
    )),
    Criterion(13, "No call outlives its deadline by more than 50 ms.", (
        f"{_RELIABILITY}test_criterion_13_no_call_outlives_its_deadline_by_50_ms",
        f"{_RELIABILITY}test_criterion_13_holds_over_real_sockets",
    )),
    Criterion(14, "Breakers bound their probes, ignore stale results, and never open on a client's fault.", (
        f"{_RELIABILITY}TestCriterion14TheBreakersLaw",
        f"{_RELIABILITY}test_criterion_14_client_errors_never_open_a_breaker",
    )),
    Criterion(15, "Hints to wait are read in every form; a 429 means one immediate try more at most.", (
        f"{_RELIABILITY}test_criterion_15_wait_hints_are_read_in_every_form",
        f"{_RELIABILITY}test_criterion_15_the_providers_word_on_retrying_is_obeyed",
        (f"{_RELIABILITY}"
        "test_criterion_15_a_429_is_followed_by_one_immediate_try_at_the_same_key_at_most"),
    )),
    Criterion(16, "Equal inputs give equal decisions, in every process and under every hash seed.", (
        ("tests/criteria/test_determinism.py::"
        "test_criterion_16_equal_inputs_give_byte_equal_decisions_in_every_process"),
        f"{_ROUTER}test_criterion_16_the_hash_seed_of_the_process_decides_nothing",
        "tests/routing/test_why.py::test_a_digest_is_the_same_in_every_process",
        "tests/test_front_door.py::test_the_pure_core_loads_no_io_either",
    ), open="CI decides 1,500 cases; all 100,000 with `--hypothesis-profile=deep` (110 s of CPU)."),
    Criterion(17, "A decision says who stood for choice, who fell and why, and what would have changed it.", (
        "tests/routing/test_why.py::test_criterion_17_every_candidate_is_offered_or_left_out_with_a_code",
        "tests/routing/test_why.py::test_the_first_change_is_the_smallest",
        "tests/routing/test_why.py::test_a_record_explains_as_much_as_its_decision",
    )),
    Criterion(18, "No target is asked for what it cannot do; if none can, the error comes before any call.", (
        f"{_ROUTER}test_criterion_18_no_target_is_offered_that_lacks_what_is_needed",
        "tests/routing/test_constraints.py::test_a_refusal_names_every_target_and_its_reason",
    )),
    Criterion(19, "A session is (tenant, session, agent); no move within a tool loop or at a loss.", (
        "tests/routing/test_session.py::test_the_text_of_a_key_is_plain_and_names_one_key_only",
        "tests/routing/test_session.py::test_subagents_of_a_session_have_keys_of_their_own",
        f"{_STICKY}test_criterion_19_no_price_and_no_ask_moves_an_open_loop",
        f"{_STICKY}test_an_easier_ask_leaves_where_the_saving_beats_the_cold_read",
    )),
    Criterion(20, "Every provider's usage is read by one invariant and priced exactly; unknown is not 0.", (
        ("tests/telemetry/test_usage_payloads.py::"
        "test_criterion_20_usage_is_read_by_one_invariant_and_priced_to_the_last_unit"),
        ("tests/telemetry/test_usage_payloads.py::"
        "test_what_a_provider_does_not_say_is_unknown_and_never_zero"),
        ("tests/gateway/test_openrouter_costs.py::"
        "test_criterion_20_the_recorded_cost_is_what_openrouter_says_it_charged"),
    )),
    Criterion(21, "Savings are itemised against a named flagship, its cache included; losses show.", (
        "tests/pricing/test_savings.py::test_criterion_21_the_parts_add_up_to_the_total_of_any_ledger",
        "tests/pricing/test_savings.py::test_a_loss_stays_a_loss_beside_a_gain",
        ("tests/pricing/test_savings.py::"
        "test_a_cache_that_the_flagship_would_have_had_too_is_no_saving_of_the_gateways"),
    )),
    Criterion(22, "Importing is light and touches neither file, network nor environment.", (
        ("tests/test_front_door.py::"
        "test_criterion_22_import_loads_no_io_and_touches_no_file_network_or_environment"),
        "benchmarks/bench_import.py",
    ), open=(
        "`nox -s lowest` tests the edges to other packages with the lowest versions allowed; CI's other "
        "sessions with the newest. The lower bounds of the extra `testing` are not tested."
    )),
    Criterion(23, "Under mixed load and faults nothing leaks and no request waits for the ledger.", (
        "tests/chaos/__main__.py",
        ("tests/telemetry/test_recorder.py::"
        "test_a_store_that_hangs_holds_up_nobody_and_overflow_is_counted"),
        ("tests/telemetry/test_recorder.py::"
        "test_records_older_than_they_are_kept_are_forgotten_hourly"),
    ), open=(
        "CI runs a soak of minutes; 10 were run (36,000 requests, +0.019 MB per 1,000); the hour at "
        "64 clients (`nox -s chaos -- --seconds 3600 --workers 64`) is run by hand."
    )),
    Criterion(24, "A marked key in every slot appears in no log, error, row, header or page.", (
        "tests/criteria/test_attack_surface.py::test_criterion_24_no_slot_of_the_settings_shows_in_an_answer",
        "tests/test_canary.py::test_a_gateway_with_everything_on_lets_nothing_out",
        "tests/test_canary.py::test_no_kind_of_provider_lets_out_what_its_host_shouts_back",
        "tests/test_canary.py::test_the_search_finds_what_it_is_for",
    )),
    Criterion(25, "Loopback or a key; whole keys compared; the admin's own door; no header decides.", (
        "tests/criteria/test_attack_surface.py::test_criterion_25_loopback_unless_there_are_keys",
        ("tests/criteria/test_attack_surface.py::"
        "test_criterion_25_keys_are_whole_surfaces_apart_and_hosts_unheard"),
        "tests/providers/test_addresses.py",
        "tests/server/test_access.py::test_any_other_address_needs_a_key",
        "tests/server/test_access.py::test_a_prefix_of_the_key_is_not_the_key",
        "tests/dashboard/test_door.py::test_nothing_else_a_client_says_opens",
        "tests/server/test_tenants.py::test_neither_the_hash_nor_a_part_of_a_key_lets_in",
    ), open=(
        "Releases by trusted publishing with attestations and hash-pinned actions take a hosting service's "
        "workflow, of which this repository has none: what is here is hash-pinned requirements, the SBOM and "
        "`nox -s audit`. MCP stdio commands do not exist: lynkr starts no process."
    )),
)  # fmt: skip


def page() -> str:
    lines = [
        "# What the gateway is accepted by", "",
        ("Twenty-five criteria, and the tests and benchmarks that hold it to them. "
        "Drawn by `python -m tests.acceptance.criteria`; a test keeps it true."), "",
        "| | criterion | what proves it | not proved yet |", "|---|---|---|---|",
    ]  # fmt: skip
    for one in CRITERIA:
        proofs = "<br>".join(f"`{proof}`" for proof in one.proofs)
        lines.append(f"| {one.number} | {one.says} | {proofs} | {one.open} |")
    lines += ["", "A test runs by `pytest PROOF`, a benchmark by `python FILE`, chaos by `nox -s chaos`.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
