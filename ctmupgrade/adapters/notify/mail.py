"""Mail by SMTP: encrypted wherever the server offers it, and never a password without."""

from __future__ import annotations

import os
import smtplib
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass

from ctmupgrade.adapters.notify.connecting import SILENCE, tls, words
from ctmupgrade.adapters.notify.errors import NotDeliveredError
from ctmupgrade.core.receivers import SMTPS, Mail


@dataclass(frozen=True, slots=True)
class MailSender:
    """Sends through one server."""

    receiver: Mail

    def send(self, payload: bytes) -> None:
        """Hand over a whole mail. :raises NotDeliveredError: not all mailboxes get it."""
        to = self.receiver.to
        try:
            server = self._server()
            try:
                self._secured(server)
                self._logged_in(server)
                refused = server.sendmail(self.receiver.sender, to, payload)
                with suppress(OSError, smtplib.SMTPException):  # it has the mail, however it takes leave
                    server.quit()
            finally:
                server.close()
        except smtplib.SMTPException as error:
            raise NotDeliveredError(_words(error)) from None
        except (OSError, ValueError) as error:
            raise NotDeliveredError(words(error)) from None
        if refused:
            raise NotDeliveredError(
                f"{len(refused)} of {len(to)} mailboxes are refused: {', '.join(refused)}"
            )

    def _server(self) -> smtplib.SMTP:
        place, us = (self.receiver.host, self.receiver.port), _our_name()
        if self.receiver.port == SMTPS:
            context = tls(self.receiver.ca_file)
            return smtplib.SMTP_SSL(*place, local_hostname=us, timeout=SILENCE, context=context)
        return smtplib.SMTP(*place, local_hostname=us, timeout=SILENCE)

    def _secured(self, server: smtplib.SMTP) -> None:
        """Encrypt where that is offered; what is offered and fails is no reason to go on without."""
        if isinstance(server, smtplib.SMTP_SSL):
            return
        server.ehlo_or_helo_if_needed()
        if server.has_extn("starttls"):
            server.starttls(context=tls(self.receiver.ca_file))
            server.ehlo()

    def _logged_in(self, server: smtplib.SMTP) -> None:
        name = self.receiver.password_env
        if not name:
            return
        if not isinstance(server.sock, ssl.SSLSocket):
            raise NotDeliveredError("it offers no STARTTLS, so the password is not sent")
        password = os.environ.get(name, "")
        if not password:
            raise NotDeliveredError(f"the variable {name} is not set")
        server.login(self.receiver.user, password)


def _our_name() -> str:
    """What we are called in the greeting; ``smtplib`` itself would ask the name service, which may take long."""
    name = socket.gethostname()
    return name if name.isascii() and name.replace("-", "").replace(".", "").isalnum() else "localhost"


def _words(error: smtplib.SMTPException) -> str:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        error = smtplib.SMTPResponseException(*next(iter(error.recipients.values())))
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        what = "the login" if isinstance(error, smtplib.SMTPAuthenticationError) else "it"
        return f"it refuses {what}: {error.smtp_code} {' '.join(text.split())[:200]}"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        # smtplib makes an end of the connection of every time-out; what it came from is its context
        return (
            words(error.__context__)
            if isinstance(error.__context__, TimeoutError)
            else "it ended the connection"
        )
    return " ".join(str(error).split())[:200] or type(error).__name__
