"""Somebody else's page, in a server of its own: the scripts with which it reaches for ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_PAGE = b"<!DOCTYPE html><title>Prizes</title><h1>You have won</h1>"

#: What follows has C{target}, an origin, C{user}, an account to add, and C{spoil}, to which goes what could be read.
_COMMON = """
const [target, user] = arguments, done = arguments[arguments.length - 1], spoil = [];
const json = JSON.stringify(user), form = new URLSearchParams({...user, permissions: "*", status: "1"});
const finish = (work) => work.then(() => done({spoil}), (error) => done({spoil, error: String(error)}));
const users = [1, 2].map((id) => `/api/v1/user/${id}`);
const connections = user.connections.map((id) => encodeURIComponent(id));
const reads = ["/api/v1/user", "/api/v1/connection", "/api/v1/status", "/web/users", "/web/user", "/docs", "/metrics",
  "/static/userform.js"];
const gets = ["/api/v1/dumpdata?output_file=stolen.json", "/api/v1/loaddata?input_file=" + user.backup];
const posts = ["/api/v1/user", "/api/v1/quota_scan", "/api/v1/dumpdata", "/api/v1/loaddata", "/web/user", "/web/user/1",
  "/web/user/1/delete", "/web/user/1/status", "/web/user/1/scan", "/web/logout", "/web/login",
  ...connections.map((id) => `/web/connections/${id}`)];
"""

#: Everything that C{fetch} and its elders can be asked for.
FETCHES = (
    _COMMON
    + """
const ask = async (method, path, mode, more = {}) => {
  try {
    const answer = await fetch(target + path, {method, mode, credentials: "include", ...more});
    if (answer.type !== "opaque") {
      spoil.push(`${method} ${path} ${mode}: ${answer.status}`);
    }
  } catch {
    // That is how it should be.
  }
};
const elder = (path, type) => new Promise((resolve) => {
  const request = new XMLHttpRequest();
  request.withCredentials = true;
  request.open("POST", target + path);
  request.setRequestHeader("Content-Type", type);
  request.onloadend = () => resolve(request.status && spoil.push(`${path} by XHR`));
  request.send(json);
});
const listen = () => new Promise((resolve) => {
  const events = new EventSource(target + "/api/v1/events", {withCredentials: true});
  events.onopen = () => spoil.push("events");
  events.onopen = events.onerror = () => resolve(events.close());
});
const sandboxed = () => new Promise((resolve) => {
  const frame = document.createElement("iframe");
  frame.sandbox = "allow-scripts";
  addEventListener("message", () => resolve(frame.remove()), {once: true});
  frame.srcdoc = `<script>fetch(${JSON.stringify(target + "/api/v1/user")}, {method: "POST", mode: "no-cors",
    credentials: "include", body: ${JSON.stringify(json)}}).catch(() => 0).then(() => parent.postMessage("", "*"))` +
    "<" + "/script>";
  document.body.append(frame);
});
finish((async () => {
  for (const path of [...reads, ...gets, ...users]) {
    await ask("GET", path, "cors");
    await ask("GET", path, "no-cors");
  }
  for (const path of posts) {
    await ask("POST", path, "no-cors", {body: json, headers: {"Content-Type": "text/plain"}});
    await ask("POST", path, "no-cors", {body: form, referrerPolicy: "no-referrer"});
    await ask("POST", path, "cors", {body: json, headers: {"Content-Type": "application/json"}});
    await elder(path, "text/plain");
    navigator.sendBeacon(target + path, json);
  }
  const closing = connections.map((id) => `/api/v1/connection/${id}`);
  for (const path of [...users, ...closing]) {
    await ask("DELETE", path, "cors");
    await ask("PUT", path, "cors", {body: json});
    await ask("POST", path, "no-cors", {headers: {"X-HTTP-Method-Override": "DELETE"}});
  }
  await ask("GET", gets[0], "cors", {headers: {"X-Requested-With": "XMLHttpRequest"}});
  await listen();
  await sandboxed();
})());
"""
)

#: What a page is made of, asked for from elsewhere.
ELEMENTS = (
    _COMMON
    + """
const load = (tag, attributes) => new Promise((resolve) => {
  const element = Object.assign(document.createElement(tag), attributes);
  const told = `${tag} ${attributes.src || attributes.href}`;
  element.onload = () => resolve(attributes.rel === "prefetch" || spoil.push(told));
  element.onerror = () => resolve();
  document.head.append(element);
});
window.onerror = () => true;
finish((async () => {
  for (const path of [...reads, ...gets, "/static/sftpgo.css", "/static/icon.svg"]) {
    await load("img", {src: target + path});
    await load("script", {src: target + path});
    await load("link", {rel: "stylesheet", href: target + path});
    await load("link", {rel: "prefetch", href: target + path});
  }
})());
"""
)

#: Forms of every kind, sent to a frame.
FORMS = (
    _COMMON
    + """
const frame = document.createElement("iframe");
frame.name = "sink";
document.body.append(frame);
const send = (method, path, enctype, fields) => new Promise((resolve) => {
  const made = Object.assign(document.createElement("form"), {method, action: target + path, enctype, target: "sink"});
  for (const [name, value] of fields) {
    made.append(Object.assign(document.createElement("input"), {type: "hidden", name, value}));
  }
  frame.onload = () => resolve(made.remove());
  document.body.append(made);
  made.submit();
});
finish((async () => {
  for (const path of posts) {
    await send("post", path, "application/x-www-form-urlencoded", form);
    await send("post", path, "text/plain", [[json.slice(0, -1) + ', "x": "', '"}']]);
    await send("post", path, "multipart/form-data", form);
  }
  for (const path of gets) {
    await send("get", path.split("?")[0], "", new URLSearchParams(path.split("?")[1]));
  }
})());
"""
)

#: Each of our pages in a frame.
FRAMES = (
    _COMMON
    + """
const frame = (path) => new Promise((resolve) => {
  const made = document.createElement("iframe");
  made.onload = () => resolve(made.contentDocument && spoil.push(path));
  made.src = target + path;
  document.body.append(made);
});
finish(Promise.all([...reads, "/web/login", "/web/connections", "/nothing"].map(frame)));
"""
)

#: A window of ours that it has opened, and what it can do with it.
OPENER = (
    _COMMON
    + """
const opened = window.open(target + "/web/users", "opened");
const look = () => {
  try {
    if (opened.document.body.textContent) {
      spoil.push("the document");
    }
  } catch {
    // That is how it should be.
  }
  if (opened.closed) {
    done({spoil});
  } else {
    setTimeout(look, 50);
  }
};
setTimeout(look, 50);
"""
)

#: From our own origin, as the browser sees it: a name that was made to lead here.
REBINDING = (
    _COMMON
    + """
const ask = async (method, path, body) => {
  const answer = await fetch(path, {method, body});
  if (answer.status !== 403) {
    spoil.push(`${method} ${path}: ${answer.status}`);
  }
};
finish((async () => {
  for (const path of [...reads, ...gets]) {
    await ask("GET", path);
  }
  for (const path of posts) {
    await ask("POST", path, json);
    await ask("POST", path, form);
  }
  for (const path of users) {
    await ask("DELETE", path);
    await ask("PUT", path, json);
  }
})());
"""
)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(_PAGE)))
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, *_args: object) -> None:
        """Nothing."""


@contextmanager
def foreign_page() -> Iterator[int]:
    """Serve it on a port of the loopback interface, which is given."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
