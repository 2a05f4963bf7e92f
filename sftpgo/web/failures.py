"""How often somebody may fail to log in."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

#: So many failures in so many seconds, of one address.
LIMIT = 10
WINDOW = 300.0

#: Addresses that are remembered; beyond them the one that failed longest ago is forgotten.
MAX_ADDRESSES = 10_000


class Failures:
    """Counts failed attempts by address; all of an IPv6 /64 is one, for a client has a whole one to itself.

    @param seconds: a clock.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds until this address may try again; 0 when it may now."""
        times = self._times.get(_key(address))
        if not times:
            return 0.0
        now = self._seconds()
        while times and times[0] <= now - WINDOW:
            times.popleft()
        return times[0] + WINDOW - now if len(times) >= LIMIT else 0.0

    def began(self, address: str) -> None:
        """An attempt: it counts as failed until it has succeeded, so that many at once are no way around."""
        key = _key(address)
        self._times.setdefault(key, deque(maxlen=LIMIT)).append(self._seconds())
        self._times.move_to_end(key)
        if len(self._times) > MAX_ADDRESSES:
            self._times.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """The attempt was good after all."""
        times = self._times.get(_key(address))
        if times:
            times.pop()


def _key(address: str) -> str:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else address
