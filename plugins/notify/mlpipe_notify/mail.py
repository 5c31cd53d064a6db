"""E-mail, by SMTP."""

import smtplib
import ssl
from email.message import EmailMessage

from mlpipe_notify.config import Email
from mlpipe_notify.outgoing import Outgoing
from mlpipe_notify.refusal import Refused


def email(settings: Email, outgoing: Outgoing) -> None:
    """Send a text to all who are named, in one message.

    Raises:
        Refused: The server did not take it.
    """
    where = f"{settings.host}:{settings.port}"
    # Looked up first: a secret that is not set is not the server's fault.
    password = outgoing.secrets.value(settings.password) if settings.password else ""
    try:
        with _connected(settings, outgoing.timeout) as server:
            if settings.tls == "starttls":
                server.starttls(context=ssl.create_default_context())
            if settings.user:
                server.login(settings.user, password)
            server.send_message(_mail(settings, outgoing))
    except smtplib.SMTPNotSupportedError:
        raise Refused(f"{where} offers no encryption or log-in: see tls: and port:") from None
    except smtplib.SMTPAuthenticationError:
        raise Refused(f"{where} refused the log-in: check user: and the password") from None
    except smtplib.SMTPRecipientsRefused as error:
        who = ", ".join(error.recipients)
        raise Refused(f"{where} takes no mail for {who}") from None
    except smtplib.SMTPResponseException as error:
        text = f"{where} answered {error.smtp_code}"
        raise Refused(text, again=400 <= error.smtp_code < 500) from None
    except ssl.SSLError:
        raise Refused(f"the certificate of {where} is not trusted") from None
    except (OSError, smtplib.SMTPException):
        raise Refused(f"{where} cannot be reached", again=True) from None


def _connected(settings: Email, timeout: float) -> smtplib.SMTP:
    if settings.tls == "implicit":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=timeout, context=context)
    return smtplib.SMTP(settings.host, settings.port, timeout=timeout)


def _mail(settings: Email, outgoing: Outgoing) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = " ".join(outgoing.title.split())[:200]
    mail["From"] = settings.sender
    mail["To"] = ", ".join(settings.to)
    mail["Message-ID"] = f"<{outgoing.id}@mlpipe>"
    mail.set_content(outgoing.text)
    return mail
