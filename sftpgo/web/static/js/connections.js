// The table of connections, changed where something has changed.

import { Row } from "./connectionrow.js";
import { count } from "./format.js";
import { stateShown, watch } from "./live.js";
import { confirmed } from "./confirm.js";

// Rows beyond these only make the page slow; the filter finds the others.
const MOST = 200;
const SPEAK_AGAIN = 5000;

const table = document.getElementById("table");
const body = table.querySelector("tbody");
const nobody = document.getElementById("nobody");
const filter = document.getElementById("filter");
const hidden = document.getElementById("hidden-rows");
const said = document.getElementById("said");
const error = document.getElementById("failed");
const known = new Map();
let now = Number(table.dataset.now);
let planned = false;
let saying = 0;

function wanted(row) {
  const word = filter.value.trim().toLowerCase();
  return word === "" || row.words().includes(word);
}

function render() {
  planned = false;
  const matching = [...known.values()].filter(wanted);
  const visible = matching.slice(0, MOST);
  const keep = new Set(visible.map((row) => row.element));
  for (const element of [...body.children]) {
    if (!keep.has(element)) {
      element.remove();
    }
  }
  let place = body.firstElementChild;
  for (const row of visible) {
    row.show(now);
    if (row.element === place) {
      place = place.nextElementSibling;
    } else {
      body.insertBefore(row.element, place);
    }
  }
  table.hidden = visible.length === 0;
  nobody.hidden = known.size > 0;
  hidden.hidden = visible.length === known.size;
  hidden.textContent = `Showing ${count(visible.length)} of ${count(known.size)}`;
  say();
}

function plan() {
  if (!planned) {
    planned = true;
    requestAnimationFrame(render);
  }
}

/** Tells people who do not see the table how many there are; not of everything that happens. */
function say() {
  if (saying === 0) {
    saying = setTimeout(() => {
      saying = 0;
      const text = known.size === 0 ? "No user connected" :
        `${count(known.size)} ${known.size === 1 ? "connection" : "connections"}`;
      if (said.textContent !== text) {
        said.textContent = text;
      }
    }, SPEAK_AGAIN);
  }
}

function add(connection, element) {
  const row = new Row(connection, now, element);
  known.set(connection.connection_id, row);
  return row;
}

function transfer(kind, { connection, transfer }) {
  const row = known.get(connection.connection_id) ?? add({ ...connection, active_transfers: [] });
  row.connection = connection; // what runs on it may be another command now
  row.transfer(kind, transfer, now);
  plan();
}

async function disconnect(row) {
  const { username, remote_address: address, connection_id: id } = row.connection;
  if (!await confirmed(`Disconnect ${username}?`, `The connection from ${address} ends, and its transfers with it.`)) {
    return;
  }
  error.hidden = true;
  let why = "";
  try {
    const answer = await fetch(`/api/v1/connection/${encodeURIComponent(id)}`, {
      method: "DELETE",
      headers: { "X-Requested-With": "page" },
    });
    // One that has gone meanwhile is gone, which was the wish.
    if (!answer.ok && answer.status !== 404) {
      const told = await answer.json().catch(() => ({}));
      why = told.error || told.message || `the server answered ${answer.status}`;
    }
  } catch {
    why = "the server does not answer";
  }
  if (why !== "") {
    error.textContent = `${username} is still connected: ${why}`;
    error.hidden = false;
  }
}

body.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-disconnect]");
  const row = link && known.get(link.closest("tr").dataset.id);
  if (row) {
    event.preventDefault();
    disconnect(row);
  }
});
filter.form.addEventListener("submit", (event) => event.preventDefault());
filter.addEventListener("input", plan);

watch("/api/v1/events?totals=1", {
  state: stateShown(document.getElementById("live")),
  connections(list) {
    const shown = new Map([...body.children].map((element) => [element.dataset.id, element]));
    known.clear();
    list.forEach((connection) => add(connection, shown.get(connection.connection_id)));
    plan();
  },
  connected(connection) {
    add(connection);
    plan();
  },
  disconnected(connection) {
    known.delete(connection.connection_id);
    plan();
  },
  transfer_started: (data) => transfer("transfer_started", data),
  transfer_progress: (data) => transfer("transfer_progress", data),
  transfer_ended: (data) => transfer("transfer_ended", data),
  totals(totals) {
    now = totals.time;
    plan();
  },
});
