from __future__ import annotations

import gzip
import re
from pathlib import Path

import yaml
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from sftpgo.disks import DiskReport
from sftpgo.domain.activity import FileSystem, Totals
from sftpgo.domain.connection import ConnectionInfo, TransferInfo
from sftpgo.domain.explain import OPERATIONS, Verdict
from sftpgo.domain.permissions import Permission
from sftpgo.domain.user import Filters, User
from sftpgo.jsons import user_to_json
from sftpgo.web.apidocs import DESCRIPTION
from sftpgo.web.status import ProviderHealth, ServerStatus
from tests.web import schema
from tests.web.talk import KEY, Reply, Server


class DescriptionTests(SynchronousTestCase):
    def test_every_route_is_described_and_every_operation_is_a_route(self) -> None:
        api = [route for route in Server().site.routes if not route.page]
        routes = {(route.method, re.sub("<([a-z_]+)>", r"{\1}", route.path)) for route in api}
        self.assertEqual(routes, set(schema.operations()))

    def test_pages_are_for_people_only(self) -> None:
        for route in Server().site.routes:
            page = route.path in ("/", "/web", "/static") or route.path.startswith(("/web/", "/static/"))
            self.assertEqual((route.path, route.page), (route.path, page))

    def test_every_reference_leads_somewhere(self) -> None:
        def walk(value: object) -> int:
            if isinstance(value, dict):
                if "$ref" in value:
                    schema.resolved(value)
                return ("$ref" in value) + sum(map(walk, value.values()))
            return sum(map(walk, value)) if isinstance(value, list) else 0

        self.assertGreater(walk(schema.document()), 100)

    def test_operations_are_complete(self) -> None:
        ids = [operation["operationId"] for operation in schema.operations().values()]
        self.assertEqual(len(ids), len(set(ids)))
        for (method, path), operation in schema.operations().items():
            self.assertTrue(operation["summary"] and operation["tags"])
            self.assertLessEqual({"400", "401", "403", "429", "500"}, set(operation["responses"]), (method, path))
            self.assertEqual("413" in operation["responses"], "requestBody" in operation, (method, path))

    def test_records_have_the_fields_that_the_code_has(self) -> None:
        schemas = schema.document()["components"]["schemas"]
        whole = user_to_json(User(public_keys=(KEY,), filters=Filters()), with_password=False)
        self.assertEqual(list(schemas["User"]["properties"]), list(whole))
        writable = [name for name in whole if not name.startswith("used_") and not name.startswith("last_")]
        self.assertEqual(sorted(schemas["UserFields"]["properties"]), sorted([*writable, "password"]))
        for name, record in (
            *(("Connection", ConnectionInfo), ("Transfer", TransferInfo), ("Verdict", Verdict)),
            *(("ServerStatus", ServerStatus), ("Totals", Totals), ("ProviderHealth", ProviderHealth)),
            *(("DiskReport", DiskReport), ("FileSystem", FileSystem)),
        ):
            fields = [attribute.name for attribute in record.__attrs_attrs__]  # type: ignore[attr-defined]
            self.assertEqual((schemas[name]["required"], list(schemas[name]["properties"])), (fields, fields))
        self.assertEqual(schemas["Permission"]["enum"], [str(permission) for permission in Permission])
        self.assertEqual(schemas["Operation"]["enum"], list(OPERATIONS))


class ViewerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.server = Server()

    def ask(self, path: str, **headers: str) -> Reply:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.successResultOf(Deferred.fromCoroutine(self.server.call("GET", path, None, fields)))

    def test_description(self) -> None:
        reply = self.ask("/api/v1/openapi.yaml")
        self.assertEqual((reply.headers["Content-Type"], reply.body), ("application/yaml", DESCRIPTION.read_bytes()))
        self.assertEqual(yaml.safe_load(reply.body)["openapi"], "3.1.0")

    def test_page_loads_nothing_from_elsewhere_and_has_no_inline_script(self) -> None:
        page = self.ask("/docs").body.decode()
        self.assertEqual(re.findall(r"<script(?! src=\"docs/[a-z.-]+\"></script>)", page), [])
        self.assertNotIn("//", page.replace("<!DOCTYPE", ""))
        for name in re.findall(r'(?:src|href)="(docs/[^"]+)"', page):
            self.assertEqual(self.ask(f"/{name}").status, 200, name)
        self.assertNotRegex(page, r"\son[a-z]+=")

    def test_policy(self) -> None:
        for path in ("/docs", "/docs/viewer.js", "/api/v1/openapi.yaml"):
            policy = self.ask(path).headers["Content-Security-Policy"]
            self.assertIn("default-src 'none'; script-src 'self';", policy)
            self.assertIn("frame-ancestors 'none'", policy)

    def test_compressed(self) -> None:
        for path in ("/docs", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"):
            plain = self.ask(path, Accept_Encoding="gzip;q=0")
            packed = self.ask(path, Accept_Encoding="br, gzip;q=0.5")
            self.assertNotIn("Content-Encoding", plain.headers)
            self.assertEqual(packed.headers["Content-Encoding"], "gzip")
            self.assertEqual(gzip.decompress(packed.body), plain.body)

    def test_nothing_else_is_served(self) -> None:
        for name in ("", "index.html", "LICENSE.swagger-ui.txt", "..", "../openapi.yaml", "%2e%2e", "..%2fusers.py"):
            self.assertEqual((name, self.ask(f"/docs/{name}").status), (name, 404))

    def test_licence_is_beside_it(self) -> None:
        static = Path(DESCRIPTION).parent / "static" / "docs"
        self.assertIn("Apache License", (static / "LICENSE.swagger-ui.txt").read_text())
