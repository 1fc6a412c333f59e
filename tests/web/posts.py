"""Which test sends each form of the page so that it is taken; every such test is held to it as it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Final

import pytest

from postroom.web import app

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from postroom.web.paths import Path

__all__ = ["SENT", "posted", "pytest_runtest_makereport", "taken", "watch"]

_PASSED: Final = pytest.StashKey[bool]()
_BACK: Final = ("/prove", "/sign-in")
_SETTLED: Final = (
    "api/test_forms_of_mail.py::"
    "test_what_failed_and_what_is_in_doubt_needs_a_person_and_is_settled_at_once"
)
_SENT: Final = {
    "web/test_access.py::test_a_credential_is_restricted_granted_taken_back_and_opened_on_its_page": (
        "/sign-in", "/credentials/{name}/restrict", "/credentials/{name}/open", "/credentials/{name}/grant",
        "/credentials/{name}/take",
    ),
    "web/test_account.py::test_the_name_leads_to_the_page_where_the_password_is_changed": (
        "/account/password",
    ),
    "web/test_account.py::test_a_session_that_is_open_elsewhere_is_ended_and_nobody_elses": (
        "/account/sessions",
    ),
    "web/test_census.py::test_a_password_that_ends_is_found_and_a_connection_is_changed_to_an_app": (
        "/connections/{name}/convert",
    ),
    "web/test_collecting.py::test_from_an_empty_page_to_collected_messages": (
        "/new/source", "/sources/{name}/preview", "/sources/{name}/run", "/ledger/{id}/reset",
    ),
    "web/test_collecting.py::"
    "test_every_kind_of_setting_is_saved_and_changed_back[schedule-typed0-every-90s]": (
        "/sources/{name}/edit",
    ),
    "web/test_collecting.py::test_held_messages_are_released_and_a_source_is_deleted": (
        "/ledger/{id}/release", "/sources/{name}/delete",
    ),
    "web/test_connecting.py::test_who_says_no_is_told_so_and_may_begin_again": ("/connect/{work}/retry",),
    "web/test_connections.py::test_a_connection_is_made_by_hand_tested_live_used_and_restarted": (
        "/new/connection", "/connections/{name}/restart",
    ),
    "web/test_entrance.py::test_a_session_ends_where_it_is_signed_out": ("/sign-out",),
    "api/test_forms_of_connections.py::"
    "test_a_certificate_is_trusted_a_message_sent_and_the_connection_copied_and_deleted": (
        "/connections/{name}/test", "/connections/{name}/trust", "/connections/{name}/copy",
        "/connections/{name}/delete",
    ),
    "api/test_forms_of_connections.py::test_somebody_is_signed_out_at_the_server_too": (
        "/connections/{name}/sign-out",
    ),
    "api/test_forms_of_connections.py::test_what_is_under_way_is_stopped_by_whoever_began_it": (
        "/connections/{name}/sign-in", "/works/{id}/stop",
    ),
    "api/test_forms_of_mail.py::"
    "test_a_source_is_copied_its_held_mail_released_and_what_was_done_collected_again": (
        "/sources/{name}/copy", "/sources/{name}/again", "/sources/{name}/release",
    ),
    "api/test_forms_of_mail.py::test_mail_of_a_service_is_deferred_tried_again_held_and_let_go": (
        "/outbox/held", "/outbox/{item}/retry", "/services/{name}/release", "/services/{name}/edit",
    ),
    _SETTLED: ("/outbox/settle-all",),
    "api/test_forms_of_mail.py::test_a_job_is_held_let_go_and_deleted_though_a_run_of_it_waits": (
        "/jobs/{name}/hold", "/jobs/{name}/release", "/jobs/{name}/delete",
    ),
    "api/test_forms_of_people.py::test_who_has_a_password_is_invited_anew_and_signed_out_everywhere": (
        "/users/{name}/invite", "/users/{name}/end-sessions",
    ),
    "api/test_forms_of_people.py::"
    "test_a_user_is_let_into_a_restricted_credential_on_their_page_and_out_again": (
        "/users/{name}/grant", "/users/{name}/take",
    ),
    "api/test_forms_of_secrets.py::test_a_wrong_password_is_undone_by_the_version_before_and_destroyed": (
        "/credentials/{name}/details", "/credentials/{name}/versions/{version}/restore",
        "/credentials/{name}/versions/{version}/destroy",
    ),
    "api/test_forms_of_secrets.py::test_a_client_secret_is_refused_proven_later_and_the_old_one_retired": (
        "/credentials/{name}/secrets", "/credentials/{name}/secrets/prove",
        "/credentials/{name}/secrets/{label}/retire",
    ),
    "api/test_forms_of_secrets.py::test_what_is_said_of_a_credential_and_its_copy": (
        "/credentials/{name}/about", "/credentials/{name}/copy",
    ),
    "api/test_forms_of_secrets.py::test_a_key_pair_is_generated_and_its_certificate_shown": (
        "/credentials/{name}/generate",
    ),
    "api/test_forms_of_secrets.py::"
    "test_a_credential_with_a_server_of_its_own_is_tested_and_its_certificate_trusted[True]": (
        "/credentials/{name}/test", "/credentials/{name}/trust",
    ),
    "web/test_from_nothing.py::test_from_the_first_sign_in_to_a_collected_and_a_sent_message": (
        "/welcome", "/connect", "/connect/{work}/trust", "/connect/{work}/make",
    ),
    "web/test_housekeeping.py::test_a_variable_is_made_changed_and_deleted": (
        "/variables", "/variables/{name}", "/variables/{name}/delete",
    ),
    "web/test_housekeeping.py::test_a_job_that_is_handed_a_secret_runs_only_what_was_agreed_to": (
        "/jobs/{name}/copy",
    ),
    "web/test_housekeeping.py::test_the_key_is_rotated_while_the_page_tells_how_far_it_is": (
        "/keys/rotate", "/keys/doctor",
    ),
    "web/test_housekeeping.py::"
    "test_the_audit_record_is_searched_and_verified_and_a_change_in_it_is_told": ("/audit/verify",),
    "web/test_housekeeping.py::test_a_user_is_invited_and_comes_in_with_their_role": (
        "/users", "/users/{name}", "/users/{name}/delete",
    ),
    "web/test_housekeeping.py::test_a_token_is_shown_once_and_has_no_more_rights_than_were_chosen": (
        "/tokens", "/tokens/{id}/revoke",
    ),
    "web/test_housekeeping.py::test_a_room_file_is_applied_after_it_was_seen_what_it_does": ("/room-file",),
    "web/test_housekeeping.py::test_what_is_kept_of_a_person_is_shown_and_erased": (
        "/erasures", "/erasures/erase",
    ),
    "web/test_housekeeping.py::test_another_one_like_it_is_made[services]": ("/services/{name}/copy",),
    "web/test_housekeeping.py::test_colours_are_chosen_without_leaving_the_page": ("/theme",),
    "web/test_jobs.py::test_a_job_is_changed_by_its_form_and_what_is_not_touched_stays": (
        "/new/job", "/jobs/{name}/edit",
    ),
    "web/test_jobs.py::test_a_run_that_waits_is_ended": ("/jobs/{name}/run", "/runs/{run}/cancel"),
    "web/test_notify.py::test_a_webhook_gets_a_secret_that_is_made_on_the_way": (
        "/new/notify", "/notify/test", "/notify/{name}/edit", "/notify/{name}/copy", "/notify/{name}/delete",
    ),
    "web/test_pages.py::test_a_repointed_host_asks_for_the_secret": ("/connections/{name}/edit",),
    "web/test_pages.py::test_new_comes_back_to_the_form_with_what_was_typed": ("/new/credential",),
    "web/test_pages.py::test_what_cannot_be_undone_asks_who_it_is": ("/prove", "/credentials/{name}/delete"),
    "web/test_reading.py::test_a_message_is_flagged_moved_answered_and_deleted": (
        "/messages/change", "/messages/answer",
    ),
    "web/test_sending.py::test_a_service_is_made_and_a_message_with_a_file_is_sent": (
        "/new/service", "/compose",
    ),
    "web/test_sending.py::test_a_refused_recipient_is_shown_with_what_the_server_said": (
        "/outbox/{item}/settle",
    ),
    "web/test_sending.py::test_what_waits_is_held_released_and_cancelled": (
        "/outbox/{item}/hold", "/outbox/{item}/release", "/outbox/{item}/cancel",
    ),
    "web/test_sending.py::test_a_service_is_held_and_cannot_be_deleted_unseen_while_mail_waits": (
        "/services/{name}/hold", "/services/{name}/delete",
    ),
    "web/test_signing_in.py::test_somebody_signs_in_at_their_provider_without_any_script": (
        "/sign-in/to-provider",
    ),
    "web/test_signing_in.py::"
    "test_who_has_no_password_proves_at_their_provider_before_what_cannot_be_undone": (
        "/prove/provider",
    ),
    "web/test_signing_in.py::test_an_address_that_was_pasted_ends_a_sign_in": ("/sign-ins/answer",),
}  # fmt: skip
SENT: Final = {path: test for test, paths in _SENT.items() for path in paths}
"""By the path of each form: the test that sends it."""


def taken(answer: Response, path: str) -> bool:
    """Whether what was sent to ``path`` was taken: neither refused, nor put off until somebody signs in."""
    back = answer.headers.get("location", "").startswith(_BACK) and path != "/sign-out"
    return answer.status_code < 400 and not back


def watch(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Grows by the path of every form that a page takes from now on."""
    seen: set[str] = set()
    answering = app._answering

    def watched(hall: app.Hall, path: Path) -> Callable[[Request], Awaitable[Response]]:
        answer = answering(hall, path)

        async def answered(request: Request) -> Response:
            given = await answer(request)
            if path.method == "POST" and taken(given, path.path):
                seen.add(path.path)
            return given

        return answered

    monkeypatch.setattr(app, "_answering", watched)
    return seen


@pytest.fixture(autouse=True)
def posted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test is said to send (:data:`SENT`) it has sent, and it was taken."""
    where = f"{request.path.parent.name}/{request.path.name}::{request.node.name}"
    said = {path for path, test in SENT.items() if test == where}
    if not said:
        yield
        return
    taken = watch(monkeypatch)
    yield
    if request.node.stash.get(_PASSED, False):
        assert said <= taken, f"not taken, though SENT says so: {sorted(said - taken)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Whether the test itself passed: what failed or was left out has sent nothing to be counted."""
    report = yield
    item.stash[_PASSED] = report.when == "call" and report.passed
    return report
