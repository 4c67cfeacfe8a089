"""What answers of ksctl sound like: words of a refused login are not known, so all that look like one count."""

from __future__ import annotations

import pytest

from ctmupgrade.core.ksctl import sounds_like_login

REFUSED = (
    '{"code":5,"codeDesc":"NCERRUnauthorizedAccess: Unauthorized","message":"Wrong username or password."}',
    "Error: Wrong username or password.", "invalid username or password", "Incorrect password", "bad credentials",
    "authentication failed", "Authentication failure", "failed to authenticate", "failed to log in", "login failed",
    "login denied", '{"code":121,"codeDesc":"NCERRAccountLocked: Account is locked out"}', "account is locked",
    '{"codeDesc":"NCERRForbidden: user account is locked"}', "user admin is locked", "the account has been disabled",
    "locked out", "password has expired", "NCERRPasswordExpired", "NCERRInvalidCredentials", "invalid credentials (49)",
    "too many failed login attempts", "too many attempts", "HTTP 401", "token expired", "Password: ", "credentials are invalid",
)  # fmt: skip
OTHER = (
    "connection refused", "NCERRInternalServerError: database is locked", "the user database is locked", "403 Forbidden",
    "NCERRForbidden: not permitted", "disk is locked", '{"account_lockout_at": null}', "NCERRNotFound: user", "no user",
    "root of trust keys are locked", "not ready, login service starts", "unknown command \"login\"",
    "HSM login failed", "partition user is locked", "NTP authentication failed", "incorrect password for the backup key",
    "too many open files", "server gave HTTP response to HTTPS client", "failed to verify certificate: x509",
)  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_a_refused_login(text: str) -> None:
    assert sounds_like_login(text)


@pytest.mark.parametrize("text", OTHER)
def test_something_else(text: str) -> None:
    assert not sounds_like_login(text)
