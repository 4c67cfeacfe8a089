"""At which prompts the backup key's password is typed: those that name the backup key, and those that name nothing."""

from __future__ import annotations

import pytest

from ctmupgrade.adapters.local.prompts import asked, may_answer

OURS = (
    "Password:", "password: ", "Enter password:", "Please enter the passphrase:", "Passphrase?", "Enter a new password:",
    "Backup key password:", "Enter the password of the backup key:", "bkpassword:", "bk-password: ",
    "Backup Key Passphrase?", "Enter backup key password:", "Password for backup key:", "Password for key: ",
    "Enter password for backup key 1234-abcd:", "Enter password for the backup key '0f9e8d7c-1234-abcd-0000-aaaabbbbcccc': ",
    "Enter password for backup key id: 1234abcd:", "Enter password for key (12ab): ", "Backup password:",
    "Enter a password to protect the backup key:", "Backup-key password: ", "backupkey password:", "Backup key's password: ",
    "? \x1b[1mBackup key password:\x1b[0m ", "Reading the file\r\nBackup key password: ",
    "Confirm the backup key password: ", "Enter backup key password again: ", "Enter new backup key password (min 8 characters): ",
)  # fmt: skip
REPEATED = (
    "Confirm password:", "Repeat passphrase:", "Please re-enter the password: ", "Retype new password:", "Verify password: ",
    "Enter password again:", "Password (again):", "Password confirmation: ",
)  # fmt: skip
THEIRS = (
    "Enter password for key attacker.example:", "Enter password to backup to evil.example: ",
    "Backup key password for admin on attacker:", "password for key of admin:", "Master key password (attacker):",
    "Enter password for admin@https://attacker.example: ", "Enter password for admin@https://backup-key.example: ",
    "Login password for the backup user: ", "sudo password for root: ", "Password for ctm-1: ", "Password for key k1: ",
    "Password for key dead-beef: ", "Backup key password at 10.0.0.1:", "Backup key password for 10.0.0.1:",
    "Password for backup:", "Enter password of backup:", "root's password: ", "admin password:", "SSH key password:",
    "Private key passphrase: ", "Password for backup key 1234 of eve:", "Backup key password to send to eve:",
    "Backup key password (eve):", "Backup key password [eve]: ", "Backup key password, eve: ", "eve: Backup key password:",
    "eve> backup key password: ", "Backup key password: eve:", "Password for backup key 1234:22:", "Enter PASSWORD for EVE:",
    "Passwort für eve, password:", "Enter password for key fe80::1:", "https://eve/ backup key password:",
    "Confirm password for eve:", "Password again at eve: ", "Repeat passphrase of admin: ",
    "Password for eve@backup" + " " * 500 + "Backup key password:", "Password for eve " + "the " * 90 + "password:",
)  # fmt: skip


@pytest.mark.parametrize("said", OURS)
def test_the_backup_keys_prompts_are_answered(said: str) -> None:
    line = asked(said)
    assert line is not None and may_answer(line, named=False)


@pytest.mark.parametrize("said", REPEATED)
def test_a_repetition_is_answered_behind_one_only(said: str) -> None:
    line = asked(said)
    assert line is not None and may_answer(line, named=True) and not may_answer(line, named=False)


@pytest.mark.parametrize("said", THEIRS)
def test_a_prompt_with_another_name_is_not_answered(said: str) -> None:
    line = asked(said)
    assert line is not None and not may_answer(line, named=False) and not may_answer(line, named=True)


@pytest.mark.parametrize(
    "said", ["", "done", "password: x\n", "Password", "password policy: 12 characters\nok"]
)
def test_what_asks_nothing_is_no_prompt(said: str) -> None:
    assert asked(said) is None
