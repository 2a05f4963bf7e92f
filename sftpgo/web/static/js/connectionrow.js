// One connection in the table.  What clients name themselves and their files goes in as text, never as markup.

import { elapsed, rate, size } from "./format.js";

const SMOOTH = 0.4;

function key(transfer) {
  return JSON.stringify([transfer.operation_type, transfer.start_time, transfer.path]);
}

function put(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** What the server writes of it when the page is loaded, word for word. */
function info(connection) {
  const command = connection.protocol === "SFTP" || !connection.ssh_command ? "" : ` Command: "${connection.ssh_command}"`;
  return `${connection.protocol}. Client: "${connection.client_version}" From: "${connection.remote_address}"${command && "." + command}`;
}

class Moving {
  constructor(transfer, now) {
    this.element = document.getElementById("transfer").content.firstElementChild.cloneNode(true);
    this.transfer = transfer;
    this.speed = null;
    this.at = now;
    this.size = transfer.size;
    const up = transfer.operation_type === "upload";
    put(this.cell("kind"), up ? "UL" : "DL");
    this.cell("kind").title = up ? "Upload" : "Download";
    put(this.cell("path"), transfer.path);
  }

  cell(name) {
    return this.element.querySelector(`[data-cell="${name}"]`);
  }

  show(now) {
    const { size: moved, start_time: start } = this.transfer;
    if (now > this.at) {
      const speed = ((moved - this.size) / (now - this.at)) * 1000;
      this.speed = this.speed === null ? speed : SMOOTH * speed + (1 - SMOOTH) * this.speed;
      this.at = now;
      this.size = moved;
    }
    const average = now > start ? (moved / (now - start)) * 1000 : 0;
    put(this.cell("size"), size(moved));
    put(this.cell("elapsed"), elapsed(now - start));
    put(this.cell("speed"), rate(this.speed ?? average));
  }
}

export class Row {
  /** @param element the row that shows this connection already, if one does: it keeps the focus. */
  constructor(connection, now, element) {
    this.connection = connection;
    this.element = element ?? document.getElementById("connection").content.firstElementChild.cloneNode(true);
    this.element.dataset.id = connection.connection_id;
    this.transfers = new Map();
    for (const transfer of connection.active_transfers) {
      this.transfer("transfer_started", transfer, now);
    }
    put(this.cell("username"), connection.username);
    const link = this.element.querySelector("a[data-disconnect]");
    link.href = `/web/connections/${encodeURIComponent(connection.connection_id)}`;
    put(this.cell("whom"), ` ${connection.username} from ${connection.remote_address}`);
  }

  cell(name) {
    return this.element.querySelector(`[data-cell="${name}"]`);
  }

  /** What the filter looks at. */
  words() {
    const { username, remote_address: address, client_version: client, protocol } = this.connection;
    return [username, address, client, protocol].join("\n").toLowerCase();
  }

  transfer(kind, transfer, now) {
    const name = key(transfer);
    const moving = this.transfers.get(name);
    if (kind === "transfer_ended") {
      this.transfers.delete(name);
    } else if (moving === undefined) {
      this.transfers.set(name, new Moving(transfer, now));
    } else {
      moving.transfer = transfer;
    }
  }

  show(now) {
    put(this.cell("time"), elapsed(now - this.connection.connection_time));
    put(this.cell("info"), info(this.connection));
    const list = this.cell("transfers");
    const running = [...this.transfers.values()];
    running.forEach((moving) => moving.show(now));
    const elements = running.map((moving) => moving.element);
    if (elements.length !== list.children.length || elements.some((element, index) => element !== list.children[index])) {
      list.replaceChildren(...elements);
    }
  }
}
