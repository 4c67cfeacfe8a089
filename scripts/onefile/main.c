/* ctmupgrade in one file: CPython, and in a zip at this file's end its library and the program. See README.md. */
#include <Python.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifndef SYS_memfd_create
#define SYS_memfd_create 319
#endif
#define CLOEXEC_MEMFD 1u /* MFD_CLOEXEC */

/* memfd(name, flags): glibc has it from 2.27 on, and Python's os module then; the kernel from 3.17 on. */
static PyObject *memfd(PyObject *self, PyObject *args) {
    const char *name;
    unsigned int flags;
    if (!PyArg_ParseTuple(args, "sI", &name, &flags)) return NULL;
    long fd = syscall(SYS_memfd_create, name, CLOEXEC_MEMFD | flags);
    return fd < 0 ? PyErr_SetFromErrno(PyExc_OSError) : PyLong_FromLong(fd);
}

/* load(path, for_all): "" if the library could be loaded, else the reason. It stays loaded. */
static PyObject *load(PyObject *self, PyObject *args) {
    const char *path;
    int for_all;
    if (!PyArg_ParseTuple(args, "si", &path, &for_all)) return NULL;
    void *library = dlopen(path, RTLD_NOW | (for_all ? RTLD_GLOBAL : RTLD_LOCAL));
    return PyUnicode_DecodeFSDefault(library ? "" : dlerror());
}

/* prctl(option): with zeros behind it; there is no ctypes in here. */
static PyObject *own_prctl(PyObject *self, PyObject *args) {
    int option;
    if (!PyArg_ParseTuple(args, "i", &option)) return NULL;
    return PyLong_FromLong(prctl(option, 0, 0, 0, 0));
}

static PyMethodDef methods[] = {
    {"memfd", memfd, METH_VARARGS, NULL},
    {"load", load, METH_VARARGS, NULL},
    {"prctl", own_prctl, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_onefile_c", NULL, -1, methods, NULL, NULL, NULL, NULL};
static PyObject *make_module(void) { return PyModule_Create(&module); }

static void check(PyStatus status) {
    if (PyStatus_IsExit(status)) exit(status.exitcode);
    if (PyStatus_Exception(status)) Py_ExitStatusException(status);
}

/* Finds this file and opens it; it stays open: a newer one may be moved into its place while this one runs.
   archive: the name under which zipimport reads it. */
static int find_self(char *self, char *archive, size_t size) {
    ssize_t got = readlink("/proc/self/exe", self, PATH_MAX - 1);
    if (got <= 0) { /* no /proc */
        const char *name = (const char *)getauxval(AT_EXECFN);
        if (!name || !realpath(name, self)) return 0;
        snprintf(archive, size, "%s", self);
        return 1;
    }
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10); /* not where a program may look for its 0, 1 and 2 */
    if (high >= 0) {
        close(fd);
        fd = high;
    }
    if (fd < 0) snprintf(archive, size, "%s", self);
    else snprintf(archive, size, "/proc/self/fd/%d", fd);
    return 1;
}

/* No environment, no options of Python, no site: whoever may run ctmupgrade gets ctmupgrade, and no Python. */
int main(int argc, char **argv) {
    static char self[PATH_MAX], archive[PATH_MAX];
    if (!find_self(self, archive, sizeof archive)) {
        fprintf(stderr, "ctmupgrade: its own file cannot be found: mount /proc\n");
        return 70;
    }
    PyImport_AppendInittab("_onefile_c", make_module);
    PyPreConfig pre;
    PyPreConfig_InitPythonConfig(&pre); /* as in an ordinary Python unknown and POSIX locales become UTF-8 mode */
    pre.isolated = 1;
    pre.use_environment = 0;
    pre.parse_argv = 0;
    check(Py_PreInitialize(&pre));

    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.isolated = 1;
    config.use_environment = 0;
    config.site_import = 0;
    config.user_site_directory = 0;
    config.safe_path = 1;
    config.parse_argv = 0;
    config.write_bytecode = 0;
    config.pathconfig_warnings = 0;
    check(PyConfig_SetBytesArgv(&config, argc, argv));
    check(PyConfig_SetBytesString(&config, &config.executable, self));
    check(PyConfig_SetBytesString(&config, &config.program_name, self));
    check(PyConfig_SetBytesString(&config, &config.home, "/nonexistent"));
    config.module_search_paths_set = 1;
    wchar_t *path = Py_DecodeLocale(archive, NULL);
    check(PyWideStringList_Append(&config.module_search_paths, path));
    check(PyConfig_SetBytesString(&config, &config.run_module, "_onefile"));
    check(Py_InitializeFromConfig(&config));
    PyConfig_Clear(&config);
    return Py_RunMain();
}
