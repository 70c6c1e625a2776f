"""Processes as Docker would start them from our compose file, made of Linux namespaces.

A container sees a root of its own, in which nothing can be written but what the compose file says; code that
root owns; and the hosts of the project by name. It runs as another user, without capabilities, with the
variables of the compose file and of the image and no others (so without HOME). All share one network, whose
ports nobody outside has.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.builders.compose import ROOT

USER = 10001
"""As the Dockerfile's USER."""

SYSTEM = ("usr", "bin", "lib", "lib32", "lib64", "sbin", "etc", "opt")

LOOPBACK_UP = """
import fcntl, os, socket, struct
with socket.socket() as probe:
    name, flags = struct.unpack("16sh", fcntl.ioctl(probe, 0x8913, struct.pack("16sh", b"lo", 0)))
    fcntl.ioctl(probe, 0x8914, struct.pack("16sh", name, flags | 1))
print("up", flush=True)
os.execvp("sleep", ["sleep", "infinity"])
"""


class Network:
    """A network namespace with nothing but its loopback."""

    def __init__(self) -> None:
        self._holder = subprocess.Popen(
            ["unshare", "--net", sys.executable, "-c", LOOPBACK_UP], stdout=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "up\n"
        self.path = f"/proc/{self._holder.pid}/ns/net"

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()
        assert self._holder.stdout is not None
        self._holder.stdout.close()


def why_not() -> str:
    """Return why no container can be made here; nothing if it can."""
    if os.getuid() != 0:
        return "namespaces are made by root"
    if sys.platform != "linux" or not all(map(shutil.which, ("unshare", "nsenter", "setpriv", "chroot"))):
        return "it takes Linux with util-linux"
    tried = subprocess.run(
        ["unshare", "--net", "--mount", "--propagation=private", "mount", "-t", "tmpfs", "none", "/mnt"],
        check=False,
        capture_output=True,
        text=True,
    )
    return tried.stderr.strip()


@dataclass(frozen=True)
class Image:
    """What the Dockerfile's target gives: variables, command, and the code as root has copied it."""

    target: str
    code: Path
    text: str = field(default_factory=lambda: (ROOT / "Dockerfile").read_text().replace("\\\n", ""))

    def variables(self) -> dict[str, str]:
        lines = re.findall(r"^ENV (.*)$", self.text, re.MULTILINE)
        return dict(part.split("=", 1) for line in lines for part in shlex.split(line))

    def command(self) -> list[str]:
        """The CMD of the target's own stage."""
        stage = self.text.split(f" AS {self.target}\n")[1].split("\nFROM ")[0]
        command: list[str] = json.loads(re.findall(r"^CMD (.*)$", stage, re.MULTILINE)[-1])
        assert re.findall(r"^USER (.*)$", stage, re.MULTILINE) == [str(USER)]
        return command


def copied(folder: Path) -> Path:
    """Copy what the Dockerfile copies into its working folder."""
    for names in re.findall(r"^COPY (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE):
        *sources, _ = names.split()
        for source in sources:
            if (ROOT / source).is_dir():
                shutil.copytree(
                    ROOT / source,
                    folder / source,
                    symlinks=True,
                    ignore=shutil.ignore_patterns("__pycache__"),
                )
            else:
                shutil.copy(ROOT / source, folder / source)
    return folder


class Container:
    """A service of the compose file, or a command in the place of one.

    Args:
        service: as the compose file has it, variables in place.
        image: what its command and variables are without the compose file's; None of one that is not ours.
        network: the project's.
        volumes: the folder of each named volume.
        hosts: names that mean the network's loopback.
        log: where its output goes.
    """

    def __init__(
        self,
        service: Mapping[str, Any],
        image: Image | None,
        *,
        network: Network,
        volumes: Mapping[str, Path],
        hosts: Sequence[str],
        log: Path,
        user: int = USER,
    ) -> None:
        self.service, self.image, self.network = service, image, network
        self.volumes, self.hosts, self.log, self.user = volumes, hosts, log, user
        self.process: subprocess.Popen[bytes] | None = None

    def environment(self) -> dict[str, str]:
        python = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        own = {"PATH": python}
        own |= {} if self.image is None else self.image.variables()
        own |= {name: str(value) for name, value in (self.service.get("environment") or {}).items()}
        if self.image is not None:  # which has it among its packages, so after what the service names
            own["PYTHONPATH"] = ":".join(filter(None, (own.get("PYTHONPATH"), "/app")))
        return own

    def start(self, *command: str) -> None:
        """Start the service's command, or another in its place."""
        assert self.process is None or self.process.poll() is not None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._nested(command), stdout=log, stderr=log)

    def run(self, *command: str, given: str = "", timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a command beside the service, as `docker compose exec` does, to its end."""
        return subprocess.run(
            self._nested(command), input=given, capture_output=True, text=True, check=False, timeout=timeout_s
        )

    def healthy(self) -> bool:
        """Whether the health check of the compose file succeeds."""
        kind, *test = self.service["healthcheck"]["test"]
        command = ["sh", "-c", *test] if kind == "CMD-SHELL" else test
        return self.run(*command).returncode == 0

    def stop(self) -> int:
        """Ask the service to stop as Docker does; return its exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=90)

    def _nested(self, command: Sequence[str]) -> list[str]:
        words = list(command or self.service.get("command") or (self.image.command() if self.image else ()))
        inside = [
            *("setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups", "--no-new-privs"),
            *("--bounding-set=-all", "--inh-caps=-all"),
            *("env", "--ignore-environment", f"--chdir={'/app' if self.image else '/'}"),
            *(f"{name}={value}" for name, value in self.environment().items()),
            *words,
        ]
        script = "\n".join(["set -e", *self._mounts(), 'exec chroot "$root" "$@"'])
        outside = ["nsenter", f"--net={self.network.path}", "unshare", "--mount", "--propagation=private"]
        return [*outside, "sh", "-c", script, "sh", *inside]

    def _mounts(self) -> list[str]:
        """Shell lines that build the root."""
        # /mnt, as every system has it; the mount is this container's alone.
        lines = ["root=/mnt", "mount -t tmpfs -o mode=755 root $root", "mkdir $root/proc $root/dev"]
        lines += ["mount --rbind /proc $root/proc", "mount --rbind /dev $root/dev"]
        for name in SYSTEM:
            if Path(f"/{name}").is_symlink():
                lines.append(f"ln -s {shlex.quote(os.readlink(f'/{name}'))} $root/{name}")
            elif Path(f"/{name}").is_dir():
                lines += _bound(Path(f"/{name}"), f"/{name}")
        hosts = self.log.with_suffix(".hosts")
        hosts.write_text(f"127.0.0.1 localhost {' '.join(self.hosts)}\n")
        lines.append(f"mount --bind {shlex.quote(str(hosts))} $root/etc/hosts")
        # Before Python's own folders, which may lie below one of them.
        for entry in self.service.get("tmpfs") or ():
            place, _, options = entry.partition(":")
            noexec = "" if "exec" in options.split(",") else ",noexec"  # as Docker mounts it by itself
            lines += [
                f"mkdir -p $root{place}",
                f"mount -t tmpfs -o mode=1777,nosuid,nodev{noexec} tmp $root{place}",
            ]
        for prefix in sorted({sys.prefix, sys.base_prefix}):
            if prefix.split("/")[1] not in SYSTEM:
                lines += _bound(Path(prefix), prefix)
        if self.image is not None:
            lines += _bound(self.image.code, "/app")
        for entry in self.service.get("volumes") or ():
            if isinstance(entry, str):
                volume, place = entry.split(":")
                lines += _bound(self.volumes[volume], place, writable=True)
            else:
                assert entry["type"] == "bind"
                lines += _bound(ROOT / entry["source"], entry["target"], writable=not entry["read_only"])
        if self.service.get("read_only"):
            lines.append("mount -o remount,ro $root")
        return lines


def _bound(source: Path, place: str, *, writable: bool = False) -> list[str]:
    to = f"$root{shlex.quote(place)}"
    lines = [f"mkdir -p {to}", f"mount --bind {shlex.quote(str(source))} {to}"]
    return lines if writable else [*lines, f"mount -o remount,bind,ro {to}"]
