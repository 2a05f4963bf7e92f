"""A real browser of the local network's services, on the loopback interface alone."""

from __future__ import annotations

import socket
import threading
import time
from unittest import SkipTest

import zeroconf

from sftpgo.mdns import SERVICE_TYPE
from tests.harness import PATIENCE

_GROUP, _PORT = "224.0.0.251", 5353
_PROBE = b"\0" * 12


def need_multicast() -> None:
    """Skip the test where the loopback interface carries no multicast."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            probe.bind(("", _PORT))
            here = socket.inet_aton("127.0.0.1")
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(_GROUP) + here)
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
            probe.settimeout(5)
            probe.sendto(_PROBE, (_GROUP, _PORT))
            probe.recv(9000)
    except OSError as error:
        raise SkipTest(f"no multicast on the loopback interface: {error}") from error


class Browser:
    """Sees services come and go."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._seen: set[str] = set()
        self._zeroconf = zeroconf.Zeroconf(interfaces=["127.0.0.1"])
        self._browser = zeroconf.ServiceBrowser(self._zeroconf, SERVICE_TYPE, handlers=[self._heard])

    def _heard(self, zeroconf, service_type, name, state_change) -> None:
        with self._changed:
            if state_change.name == "Removed":
                self._seen.discard(name)
            else:
                self._seen.add(name)
            self._changed.notify_all()

    def wait_for(self, instance: str, *, gone: bool = False) -> bool:
        """Wait until it is there, or gone; whether that came to be."""
        name = f"{instance}.{SERVICE_TYPE}"
        with self._changed:
            return self._changed.wait_for(lambda: (name in self._seen) != gone, PATIENCE)

    def details(self, instance: str) -> tuple[int, list[str], list[bytes]]:
        """Port, addresses and the strings of the TXT record."""
        info = None
        end = time.monotonic() + PATIENCE
        while info is None and time.monotonic() < end:
            info = self._zeroconf.get_service_info(SERVICE_TYPE, f"{instance}.{SERVICE_TYPE}", timeout=3000)
        assert info is not None, f"{instance} cannot be resolved"
        strings, rest = [], info.text
        while rest:
            strings.append(rest[1 : 1 + rest[0]])
            rest = rest[1 + rest[0] :]
        assert info.port is not None
        return info.port, info.parsed_addresses(), strings

    def close(self) -> None:
        """Look no more."""
        self._browser.cancel()
        self._zeroconf.close()
