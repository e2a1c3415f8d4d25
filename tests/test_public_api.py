"""What every module offers, and what importing the library costs."""

import importlib
import inspect
import pkgutil
import subprocess
import sys

import pytest

import mailrouting

MODULES = sorted(
    ["mailrouting", "_mailrouting_pytest"]
    + [found.name for found in pkgutil.walk_packages(mailrouting.__path__, "mailrouting.")]
)
DOORS = [
    "mailrouting",
    *(f"mailrouting.{name}" for name in ("auth", "accounts", "fetch", "outbound")),
]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_offers(name):
    """There is an `__all__`, each name once, each there; the module has a docstring."""
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    assert hasattr(module, "__all__"), f"{name} has no __all__"
    offered = module.__all__
    assert len(offered) == len(set(offered))
    missing = [one for one in offered if not hasattr(module, one)]
    assert missing == []


@pytest.mark.parametrize("name", [name for name in MODULES if "._" not in name])
def test_everything_public_is_documented(name):
    """Each class and function that a public module offers has a docstring, its methods too."""
    module = importlib.import_module(name)
    bare = []
    for one in getattr(module, "__all__", []):
        offered = getattr(module, one)
        if not (inspect.isclass(offered) or inspect.isfunction(offered)):
            continue  # a type's alias or a value is explained where it stands
        if not offered.__doc__:
            bare.append(one)
        for method, member in vars(offered).items() if isinstance(offered, type) else ():
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            is_ours = getattr(function, "__module__", None) == offered.__module__
            if not method.startswith("_") and is_ours and not function.__doc__:
                bare.append(f"{one}.{method}")
    assert bare == []


@pytest.mark.parametrize("name", DOORS)
def test_importing_loads_nothing_that_touches_the_world(name):
    """The library and its front doors load no socket, database, extra or test code."""
    heavy = {
        "imapclient", "imaplib", "dns", "sqlite3", "ssl", "smtplib", "poplib", "click", "rich",
        "pytest", "hypothesis", "nh3", "charset_normalizer", "tnefparse", "flufl",
    }  # fmt: skip
    script = (
        f"import sys, {name}\n"
        f"print(sorted({heavy!r} & {{one.split('.')[0] for one in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
