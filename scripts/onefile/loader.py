"""Starts ctmupgrade from the one file. Extension modules are loaded from memory: nothing is unpacked to disk.

In the file it is called ``_onefile``; main.c runs it.
"""

import sys
from importlib.machinery import ExtensionFileLoader, ModuleSpec

from _onefile_c import load, memfd

_ARCHIVE = sys.path[0]
_UNWINDER = "libgcc_s.so.1"  # Rust's libraries want it; where the host has none, ours serves
_EXEC = 0x10  # MFD_EXEC, known from Linux 6.3 on


class _Extensions:
    """Finds extension modules in the zip. Linux loads a library from a file only: it gets one in memory."""

    def __init__(self, importer, names):
        self._importer = importer
        self._known = {
            name.partition(".")[0].replace("/", "."): name for name in names if name.endswith(".so")
        }
        self._folders = [name[:-9] for name in names if name.endswith(".dist-info/METADATA")]
        self._ready = False

    def find_spec(self, fullname, _path=None, _target=None):
        name = self._known.get(fullname)
        if name is None:
            return None
        if not self._ready and load(_UNWINDER, 1):
            self._place(_UNWINDER, self._importer.get_data(_UNWINDER), 1)
        self._ready = True
        place = self._place(fullname, self._importer.get_data(name), 0)
        return ModuleSpec(fullname, ExtensionFileLoader(fullname, place), origin=place)

    def find_distributions(self, context):
        """For importlib.metadata: paramiko and invoke ask for their own version."""
        from importlib.metadata import Distribution

        get = self._importer.get_data

        class InZip(Distribution):
            def __init__(self, folder):
                self._folder = folder

            def read_text(self, filename):
                try:
                    return get(f"{self._folder}/{filename}").decode()
                except OSError:
                    return None

            def locate_file(self, path):
                raise FileNotFoundError(path)

        wanted = context.name and context.name.lower().replace("-", "_").replace(".", "_")
        for folder in self._folders:
            if wanted in (None, folder.rpartition("-")[0].lower().replace(".", "_")):
                yield InZip(folder)

    def _place(self, name, data, for_all):
        """Loads a library, and returns the path under which it was found."""
        reasons = []
        for how in (_in_memory, _on_disk):
            for place in how(name, data):
                reason = load(place, for_all)
                if not reason:
                    return place
                reasons.append(reason)
        raise ImportError(
            "; ".join(reasons) + "; mount /proc, or set TMPDIR to a folder that allows programs"
        )


def _in_memory(name, data):
    import posix

    try:
        fd = memfd(name, _EXEC)
    except OSError:
        try:
            fd = memfd(name, 0)
        except OSError:
            return
    view = memoryview(data)
    while view:
        view = view[posix.write(fd, view) :]
    yield f"/proc/self/fd/{fd}"  # stays open: dlopen knows libraries by path, a number must not come twice


def _on_disk(name, data):
    """Without /proc, or where the kernel allows no programs in memory: a folder that is gone at our end."""
    import atexit
    import os
    import shutil
    import tempfile

    environ = os.environ
    bases = (
        environ.get("XDG_RUNTIME_DIR"),
        environ.get("TMPDIR"),
        "/tmp",
        "/var/tmp",
        "/dev/shm",
        environ.get("HOME"),
    )
    for base in bases:
        try:
            if not base or os.statvfs(base).f_flag & os.ST_NOEXEC:
                continue
            folder = tempfile.mkdtemp(prefix="ctmupgrade-lib-", dir=base)
            atexit.register(shutil.rmtree, folder, True)
            place = os.path.join(folder, name + ".so")
            with open(place, "wb") as file:
                file.write(data)
        except OSError:
            continue
        yield place


def _install():
    import zipimport

    importer = zipimport.zipimporter(_ARCHIVE)
    sys.meta_path.insert(0, _Extensions(importer, list(zipimport._zip_directory_cache[_ARCHIVE])))
    sys.frozen = True  # ctmupgrade.adapters.own_program


def _leave(code):
    """Ends as Python does, but for the part in which it ends threads that still run: that is pthread_exit, for which an
    old C library wants libgcc_s.so.1, and aborts where the host has none (seen with glibc 2.17, on a busy machine)."""
    import atexit
    import os

    if threading := sys.modules.get("threading"):
        threading._shutdown()
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except OSError:
        sys.exit(code)  # which tells it
    os._exit(code or 0)


_install()
if __name__ == "__main__":
    sys.argv[0] = sys.orig_argv[0]
    from ctmupgrade.__main__ import main

    _leave(main())
