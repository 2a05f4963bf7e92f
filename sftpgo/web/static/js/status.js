// The dashboard: everything on it is there without this; this makes it move.

import { count, rate, size, span } from "./format.js";
import { stateShown, watch } from "./live.js";
import { Plot } from "./plot.js";
import { Samples } from "./samples.js";

const SPAN = 10 * 60 * 1000;
const MINUTE = 60 * 1000;
const ASK_AGAIN = 15000;
const SPEAK_AGAIN = 30000;

const NAMES = ["time", "connections", "transfers", "uploaded", "downloaded", "logins_ok", "logins_failed"];
const page = document.getElementById("status");
const remembered = JSON.parse(page.dataset.history).map((row) =>
  Object.fromEntries(NAMES.map((name, index) => [name, row[index]])));
const samples = new Samples(SPAN, remembered);
const shown = stateShown(document.getElementById("live"));
const started = Number(page.dataset.started);

const plots = {
  throughput: new Plot(document.getElementById("throughput"), { span: SPAN, format: rate, least: 1000 }),
  sessions: new Plot(document.getElementById("sessions"), { span: SPAN, format: count, least: 4 }),
  logins: new Plot(document.getElementById("logins"), { span: SPAN, format: count, least: 4 }),
};
let spoken = 0;

function put(name, text) {
  for (const element of document.querySelectorAll(`[data-shows="${name}"]`)) {
    if (element.textContent !== text) {
      element.textContent = text;
    }
  }
}

function draw(now) {
  const up = samples.rates("uploaded");
  const down = samples.rates("downloaded");
  plots.throughput.draw([up, down], now);
  plots.sessions.draw([samples.values("connections"), samples.values("transfers")], now);
  plots.logins.draw([samples.growth("logins_ok", MINUTE), samples.growth("logins_failed", MINUTE)], now);
  put("upload_rate", rate(Samples.last(up)));
  put("download_rate", rate(Samples.last(down)));
  put("logins_minute", count(Samples.last(samples.growth("logins_ok", MINUTE))));
  put("failed_minute", count(Samples.last(samples.growth("logins_failed", MINUTE))));
}

function tell(totals) {
  for (const name of ["connections", "transfers", "uploads", "downloads", "logins_ok", "logins_failed"]) {
    put(name, count(totals[name]));
  }
  for (const name of ["upload_errors", "download_errors"]) {
    put(name, count(totals[name]));
  }
  put("uploaded", size(totals.uploaded));
  put("downloaded", size(totals.downloaded));
  put("uptime", span(totals.time - started));
  samples.add(totals);
  draw(totals.time);
  if (totals.time - spoken >= SPEAK_AGAIN) {
    // What a plot shows, in words; changed seldom, so that nobody is told of every second.
    spoken = totals.time;
    const words = document.querySelector('[data-shows="upload_rate"]').textContent;
    const other = document.querySelector('[data-shows="download_rate"]').textContent;
    label("throughput", `Throughput of the last ten minutes. Now ${words} up, ${other} down.`);
    label("sessions", `The last ten minutes. Now ${totals.connections} connections, ${totals.transfers} transfers.`);
  }
}

function label(figure, text) {
  document.querySelector(`#${figure} svg`).setAttribute("aria-label", text);
}

function health(provider) {
  page.dataset.provider = provider.available ? "up" : "down";
  put("provider", provider.available ? "Answers" : "Down");
  put("provider_text", provider.available ? `within ${provider.elapsed_ms} ms` : provider.error);
}

function disks(report) {
  const body = document.getElementById("disks");
  const rows = report.file_systems.map((disk) => {
    const row = document.getElementById("disk").content.cloneNode(true);
    const used = disk.size - disk.free;
    const cell = (name, text) => {
      row.querySelector(`[data-cell="${name}"]`).textContent = text;
    };
    cell("path", disk.path);
    cell("homes", count(disk.homes));
    cell("free", disk.error || `${size(disk.free)} of ${size(disk.size)}`);
    cell("used", disk.size > 0 ? `${Math.round((100 * used) / disk.size)} %` : "");
    cell("files", disk.files > 0 ? `${count(disk.files_free)} of ${count(disk.files)}` : "no limit");
    const meter = row.querySelector("meter");
    meter.hidden = disk.size === 0;
    meter.max = disk.size;
    meter.high = disk.size * 0.95;
    meter.low = disk.size * 0.85;
    meter.value = used;
    meter.setAttribute("aria-label", `Used of ${disk.path}`);
    return row;
  });
  body.replaceChildren(...rows);
  document.getElementById("counting").hidden = report.complete;
  document.getElementById("no-homes").hidden = !report.complete || rows.length > 0;
}

async function ask() {
  if (document.hidden) {
    return;
  }
  try {
    const answer = await fetch("/api/v1/status", { headers: { "X-Requested-With": "page" } });
    if (answer.ok) {
      const status = await answer.json();
      health(status.provider);
      disks(status.disks);
    }
  } catch {
    // The state of the stream says already that nobody answers.
  }
}

if (remembered.length > 0) {
  draw(Number(page.dataset.now));
}
setInterval(ask, ASK_AGAIN);
watch("/api/v1/events?totals=1", { totals: tell, state: shown });
