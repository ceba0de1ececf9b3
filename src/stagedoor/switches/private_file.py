"""One idiom of the operating system: a small file that nobody but this process's own user can have written.

Trust rests on the opened descriptors alone (``fstat``), of the directory first and then of the file in it,
never on a path that could name something else a moment later.
"""

from __future__ import annotations

import functools
import getpass
import os
import secrets
import shlex
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stagedoor.errors import SwitchError

# O_NONBLOCK: opening a named pipe must not wait for a writer. Windows knows none of them.
_READ_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


class PrivateFile:
    """A file of mode ``0600`` that belongs to the user of this process (its effective user id).

    A file of ``root`` is refused as well, though ``root`` is to be trusted: a ``0600`` file of ``root`` can't
    be read by an application that runs as another user, and one that it can read shows the token to others.
    A directory of ``root`` is accepted, unless others can write to it: a sticky bit keeps them from removing
    the file, but not from being the first to create it or from bringing an old one back with a hard link.

    On Windows the file system's own rules hold and only the file's kind and links are checked.

    :param path: where it is, an absolute path.
    :param called: what it is, as a person would name it in a sentence; every error begins with it.
    """

    def __init__(self, path: Path, called: str) -> None:
        self.path = path
        self.called = called

    def read(self, limit: int) -> bytes | None:
        """All bytes of the file, or ``None`` if there is no file.

        :param limit: the size cap, in bytes.
        :raises SwitchError: if it can't be read or trusted, or is longer than ``limit``.
        """
        try:
            with self._directory() as directory:
                content = self._read(directory, limit)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unreadable(error) from error
        if len(content) > limit:
            raise SwitchError(self.called, f"is longer than {limit} bytes", "Remove it.")
        return content

    def write(self, content: bytes) -> None:
        """Replace the whole file at once (:func:`os.replace`): a reader sees the old one or the new one.

        The directory is made, for this user alone, if only it is missing. Nothing is synchronised to the
        disk: what a crash of the machine loses is an open window.

        :raises SwitchError: if the directory can't be trusted.
        :raises OSError: if the file can't be written.
        """
        with suppress(FileExistsError):
            os.mkdir(self.path.parent, 0o700)
        with self._directory() as directory:
            temporary = self._within(directory, f".stagedoor-{secrets.token_hex(8)}")
            try:
                descriptor = os.open(temporary, _WRITE_FLAGS, 0o600, dir_fd=directory)
                with open(descriptor, "wb") as stream:
                    stream.write(content)
                target = self._within(directory, self.path.name)
                os.replace(temporary, target, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                # It may be in its place already: a signal comes at any time, and what it raises has to get out.
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=directory)
                raise

    def remove(self) -> None:
        """Remove the file; it is no error if there is none.

        :raises SwitchError: if the directory can't be trusted.
        :raises OSError: if the file can't be removed.
        """
        with suppress(FileNotFoundError), self._directory() as directory:
            os.unlink(self._within(directory, self.path.name), dir_fd=directory)

    def is_own(self) -> bool:
        """Whether this user owns the file, or the link or pipe in its place, and so may remove it.

        :raises SwitchError: if the directory can't be trusted.
        """
        try:
            with self._directory() as directory:
                status = self._status(directory)
        except OSError:
            return False
        if stat.S_ISDIR(status.st_mode):
            return False
        return sys.platform == "win32" or status.st_uid == os.geteuid()

    @contextmanager
    def _directory(self) -> Iterator[int | None]:
        """The opened and checked directory; everything else is done relative to it. ``None`` on Windows."""
        if sys.platform == "win32":
            yield None
            return
        try:
            descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            if self.path.parent.is_symlink():
                raise SwitchError(
                    self.called,
                    "is in a directory that is a symbolic link, which could point elsewhere a moment later",
                    "Set STAGEDOOR_SWITCH to a file in the directory itself.",
                ) from None
            raise
        try:
            self._check_directory(os.fstat(descriptor))
            yield descriptor
        finally:
            os.close(descriptor)

    def _within(self, directory: int | None, name: str) -> str:
        return name if directory is not None else str(self.path.parent / name)

    def _status(self, directory: int | None) -> os.stat_result:
        return os.stat(self._within(directory, self.path.name), dir_fd=directory, follow_symlinks=False)

    def _read(self, directory: int | None, limit: int) -> bytes:
        try:
            descriptor = os.open(self._within(directory, self.path.name), _READ_FLAGS, dir_fd=directory)
        except FileNotFoundError:
            raise
        except OSError:
            # The error says no more than "denied"; this says that it is a link, or whose file it is.
            self._check_file(self._status(directory))
            raise
        try:
            self._check_file(os.fstat(descriptor))
            with open(descriptor, "rb", closefd=False) as stream:
                return stream.read(limit + 1)
        finally:
            os.close(descriptor)

    def _unreadable(self, error: OSError) -> SwitchError:
        problem = f"can't be read: {error.strerror}"
        if isinstance(error, PermissionError) and sys.platform != "win32":
            for folder in self.path.parents:
                with suppress(OSError):  # Of a folder that can't be looked into, the one around it can.
                    owner = folder.stat().st_uid
                    if owner != os.geteuid():
                        problem += f": {folder} belongs to {user_name(owner)}, while this process runs as {user_name()}"
                    return SwitchError(self.called, problem, "Check its path.", as_owner=self._as(owner))
        return SwitchError(self.called, problem, "Check its path.")

    def _as(self, owner: int) -> str:
        """What to do where a command has met a switch of another user's than its own."""
        if sys.platform == "win32" or owner in (os.geteuid(), 0):
            return ""
        if self.path.parent.name == own_directory():
            return ""  # It bears this user's number: whoever has it was there first, and is no application's user.
        name = user_name(owner).partition(" ")[0]
        return (
            f"Run the command as the application's user: {self._with_sudo(str(owner) if name == 'uid' else name)} ..."
        )

    def _with_sudo(self, user: str) -> str:
        """The command on this switch as another user, as it can be pasted."""
        user = f"'#{user}'" if user.isdecimal() else user
        return f"sudo -u {user} STAGEDOOR_SWITCH={shlex.quote(str(self.path))} {_command()}"

    def _check_directory(self, status: os.stat_result) -> None:
        if sys.platform == "win32":
            return
        remedy = "Set STAGEDOOR_SWITCH to a file in a directory that only the application's user can write."
        if status.st_uid not in (os.geteuid(), 0):
            raise SwitchError(
                self.called,
                f"is in a directory that belongs to {user_name(status.st_uid)}, who could replace it, while this "
                f"process runs as {user_name()}",
                remedy,
                as_owner=self._as(status.st_uid),
            )
        if status.st_mode & 0o022:
            mode = stat.S_IMODE(status.st_mode)
            raise SwitchError(self.called, f"is in a directory that other users can write to (mode {mode:04o})", remedy)

    def _check_file(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "a device")
            raise SwitchError(self.called, f"is {kind}, not a regular file", "Remove it.")
        if sys.platform != "win32" and status.st_uid != os.geteuid():
            raise SwitchError(
                self.called,
                f"belongs to {user_name(status.st_uid)}, while this process runs as {user_name()}",
                "Remove it, and open the window as the user that the application runs as: "
                f"{self._with_sudo('USER')} open --for 30m.",
                as_owner=self._as(status.st_uid),
            )
        if sys.platform != "win32" and status.st_mode & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            raise SwitchError(
                self.called,
                f"can be read or written by other users (mode {mode:04o}), so that its token is no secret",
                "Close the window and open a new one.",
            )
        # None at all is a file that was replaced or removed after it had been opened: still a whole one.
        if status.st_nlink > 1:
            raise SwitchError(
                self.called,
                f"has {status.st_nlink} links, so that it has another name somewhere",
                "Close the window and open a new one.",
            )


def own_directory() -> str:
    """The name of this user's directory where all users share the one that it is in."""
    return "stagedoor" if sys.platform == "win32" else f"stagedoor-{os.geteuid()}"


def _command() -> str:
    """The command ``stagedoor`` as it was called here: a virtual environment's is not where sudo looks for commands."""
    called = sys.argv[0] if sys.argv else ""
    if os.path.basename(called) == "stagedoor" and os.path.isfile(called):
        return shlex.quote(os.path.abspath(called))
    if called.endswith(os.path.join("stagedoor", "__main__.py")):
        return f"{shlex.quote(sys.executable)} -m stagedoor"
    return "stagedoor"


def user_name(uid: int | None = None) -> str:
    """A user for people: ``www-data (uid 33)``.

    :param uid: by default this process's effective user, whatever its environment says.
    """
    if sys.platform == "win32":
        try:
            return getpass.getuser()
        except (ImportError, KeyError, OSError):  # No variable says it.
            return "a user without a name"
    return _named(os.geteuid() if uid is None else uid)


@functools.cache  # a directory service may be slow, and reading is done again and again
def _named(uid: int) -> str:
    try:
        import pwd  # here, because not every platform has one

        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except (ImportError, KeyError):
        return f"uid {uid}"
