from __future__ import annotations

from tests.web.pages import PageTestCase


class ViewerTests(PageTestCase):
    def test_what_is_described_can_be_tried_out(self) -> None:
        self.server.add_user("viewer-tests")
        self.go("/docs")
        operation = "#operations-users-get_users"
        self.browser.click(f"{operation} .opblock-summary-control")
        self.browser.click(f"{operation} .try-out__btn")
        self.browser.click(f"{operation} .execute")
        self.browser.wait_for_text('"viewer-tests"', f"{operation} .live-responses-table")
        asked = [exchange for exchange in self.look_at("/api/v1/user?") if exchange.status == 200]
        self.assertEqual(len(asked), 1)

    def test_a_get_that_changes_something_is_meant_there(self) -> None:
        self.go("/docs")
        operation = "#operations-maintenance-dumpdata"
        self.browser.click(f"{operation} .opblock-summary-control")
        self.browser.click(f"{operation} .try-out__btn")
        self.browser.fill(f"{operation} tr[data-param-name=output_file] input", "viewer.json")
        self.browser.click(f"{operation} .execute")
        self.browser.wait_for_text('"Data saved"', f"{operation} .live-responses-table")

    def test_without_scripts_the_description_is_linked(self) -> None:
        with self.browser.without_scripts():
            self.go("/docs")
            self.assertTrue(self.browser.find("noscript a").get_attribute("href").endswith("/api/v1/openapi.yaml"))
