"""The processes of a cluster on this machine, for the programs beside this file."""

import os
import re
import shlex
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))


class Failure(Exception):
    pass


def nodes_of(directory):
    """The processes of the cluster's nodes, by the directory of their data."""
    found = {}
    wanted = re.compile(re.escape(os.path.realpath(directory)) + r"/node-(\d+)/data$")
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().decode(errors="replace").split("\0")
        except OSError:
            continue
        for word in words:
            if match := wanted.match(os.path.realpath(word) if word.startswith("/") else word):
                found[int(match[1])] = int(name)
    if not found:
        raise Failure(f"no node of {directory} runs")
    return dict(sorted(found.items()))


def memory_of(process):
    """Resident, proportional and anonymous bytes of a process."""
    sizes = {}
    with open(f"/proc/{process}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if name in ("Rss", "Pss", "Anonymous"):
                sizes[name] = int(rest.split()[0]) << 10
    return sizes["Rss"], sizes["Pss"], sizes["Anonymous"]


def processor_seconds_of(process):
    """The processor time that a process has used so far, in user mode and in the kernel."""
    with open(f"/proc/{process}/stat", encoding="ascii") as file:
        # The name, in parentheses, may hold blanks; the times are the 12th and 13th words behind it.
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def variables_of(directory):
    """What `holdfast init` wrote for shells."""
    variables = {}
    with open(os.path.join(directory, "env"), encoding="utf-8") as file:
        for line in file:
            if line.startswith("export "):
                name, _, value = line[len("export "):].strip().partition("=")
                variables[name] = shlex.split(value)[0]
    return variables


def cluster(verb, *words, **more):
    subprocess.run([os.path.join(ROOT, "cluster", verb), *words], check=True,
                   stdout=subprocess.DEVNULL, **more)
