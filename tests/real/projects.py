"""The projects: which Debian source packages are built, and how.

Words in braces are filled in: {here} is the directory of the unpacked source.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Make:
    """A run of make, whose time counts."""

    arguments: tuple = ()
    jobs: int = None  # where the project cannot do it with as many as asked for


@dataclass(frozen=True)
class Repeat:
    """A run of make that is repeated, and must leave the same tree each time.

    What is right, one run with a single job tells, in which nothing can race.
    """

    arguments: tuple
    rounds: int = 10


@dataclass(frozen=True)
class Project:
    name: str
    release: str
    prepare: tuple = ()  # commands, as lists of words, before the state from which both ways start
    steps: tuple = (Make(),)
    needs: tuple = ()  # Debian packages, beside make, gcc and dpkg-dev; `a|b`: one of them
    package: str = ""  # if it is not the name
    # Pattern of a path -> why the content may differ from one build to the next.
    excepted: dict = field(default_factory=dict)

    @property
    def source(self):
        return self.package or self.name


def installed(directory="{here}/_root"):
    return Make(("install", f"DESTDIR={directory}"))


# Of libcurl's development packages a machine has one or another: without. Without optimisation, as CPython.
GIT = ("prefix=/usr", "NO_CURL=1", "CFLAGS=-O0")

# CPython says `make -j4 regen-all` itself (bpo-42398). In 3.11.2 a parser generator's temporary file
# is read by another generator (python/cpython#110429): there, plain make may fail.
CPYTHON = {
    # Without optimisation: nothing of what is tried depends on it, and it is half of the time.
    "prepare": (("./configure", "OPT=-DNDEBUG -fwrapv -O0", "PYTHON_FOR_REGEN=/usr/bin/python3"),),
    "steps": (Make(), Repeat(("regen-all",))),
    "needs": ("zlib1g-dev", "libffi-dev", "libssl-dev", "libbz2-dev", "liblzma-dev", "libsqlite3-dev",
              "libreadline-dev", "python3"),
}

PROJECTS = {project.name: project for project in (
    Project("hello", "bookworm", (("./configure",),), (Make(), installed()), ("texinfo", "help2man")),
    Project(
        "lua5.4", "bookworm",
        # As debian/rules does it.
        prepare=(
            ("mkdir", "debian/libtool"),
            ("cp", "debian/configure.ac", "debian/libtool/"),
            ("sh", "-c", "cd debian/libtool && LIBTOOLIZE='libtoolize -i' autoreconf -f -i && ./configure"),
            ("cp", "doc/lua.1", "doc/lua5.4.1"),
            ("cp", "doc/luac.1", "doc/luac5.4.1"),
            ("sh", "-c", "echo '#define DEB_HOST_MULTIARCH \"lib\"' > src/lua5.4-deb-multiarch.h"),
        ),
        steps=(Make(("linux-readline", "LIBTOOL={here}/debian/libtool/libtool")),
               Make(("install", "LIBTOOL={here}/debian/libtool/libtool", "INSTALL_TOP={here}/_root"))),
        needs=("autoconf", "automake", "libtool", "libreadline-dev", "g++"),
    ),
    # Without the allocator that Debian's patches take from a package.
    Project("redis", "bookworm",
            steps=(Make(("MALLOC=libc",)), Make(("install", "MALLOC=libc", "PREFIX={here}/_root")))),
    Project("bash", "bookworm", (("./configure",),), (Make(), installed()), ("bison", "libncurses-dev")),
    Project("busybox", "bookworm", (("make", "defconfig"),), (Make(), Make(("install",)))),
    Project("sqlite3", "bookworm", (("./configure",),), (Make(), installed()), ("tcl-dev", "libreadline-dev")),
    Project("git", "bookworm", steps=(Make(GIT), Make(("install", *GIT, "DESTDIR={here}/_root"))),
            needs=("zlib1g-dev", "libssl-dev", "libexpat1-dev", "gettext", "tcl", "perl", "python3"),
            excepted={"templates/boilerplates.made": "a stamp, made by `date >$@`"}),
    Project("python3.11", "bookworm", **CPYTHON),
    Project("python3.9", "bullseye", **CPYTHON, excepted={
        "Lib/*__pycache__/*.pyc": "constant sets are in another order in each process (bpo-37596), also with "
                                  "PYTHONHASHSEED, as the build says `python -E`",
    }),
)}
