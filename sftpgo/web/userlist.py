"""C{/web/users}: the list."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from sftpgo.domain.search import SearchResult, State
from sftpgo.interfaces import IAccounts, IScans
from sftpgo.web import notices
from sftpgo.web.listing import LIMITS, PATH, Listing
from sftpgo.web.pages import Pages
from sftpgo.web.parameters import Query
from sftpgo.web.request import Request
from sftpgo.web.respond import Content
from sftpgo.web.routes import Route
from sftpgo.web.userview import row_of


class UserList:
    """Shows the users a page at a time: the data provider looks, sorts and counts.

    @param clock: its seconds are unix time.
    """

    def __init__(self, accounts: IAccounts, scans: IScans, pages: Pages, clock: IReactorTime) -> None:
        self._accounts = accounts
        self._scans = scans
        self._pages = pages
        self._clock = clock

    def routes(self) -> tuple[Route, ...]:
        """What this answers."""
        return (Route("GET", PATH, self.get, page=True),)

    async def get(self, request: Request) -> Content:
        """A page of the list; one behind the end is the last one."""
        listing = Listing.of(Query(request))
        now = int(self._clock.seconds() * 1000)
        # Looked at first: of one that ends meanwhile the page shows that it runs, and is loaded again.
        scans = {scan.username: scan for scan in self._scans.running()}
        result: SearchResult = await self._accounts.search(listing.search(now))
        last = max(1, -(-result.count // listing.limit)) if listing.limit else 1
        if listing.page > last:
            listing = Listing(listing.text, listing.state, listing.sort, listing.descending, last, listing.limit)
            result = await self._accounts.search(listing.search(now))
        return await self._pages.render(
            request,
            "users.html",
            listing=listing,
            states=list(State),
            limits=LIMITS,
            count=result.count,
            unreadable=result.unreadable,
            last=last,
            first_row=(listing.page - 1) * listing.limit + 1,
            rows=[row_of(user, now, scans) for user in result.users],
            scanning=len(scans),
            notice=notices.take(request),
        )
