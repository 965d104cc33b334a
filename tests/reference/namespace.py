"""Namespaces of its own for a script of this folder: what it starts is alone there, and ends with it."""

import os
import subprocess
import sys

import tools

INSIDE = "UPTIME_REFERENCE_INSIDE"


def is_inside():
    return INSIDE in os.environ


def enter():
    """Runs the script again inside, and gives its exit code."""
    users = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *users, "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    environment = os.environ | {INSIDE: "1", "PATH": tools.PATH, "LC_ALL": "C"}
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        environment.pop(name, None)
    return subprocess.run([*command, sys.executable, *sys.argv], env=environment).returncode
