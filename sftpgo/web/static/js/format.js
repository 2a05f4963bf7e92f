// Numbers in the words people use; as the server writes them.

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"];

/** Bytes: "512 B", "98.3 KB", "1 MB". A KB is 1000 bytes. */
export function size(octets) {
  let value = octets;
  let unit = 0;
  while (Math.abs(value) >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return unit === 0 ? `${Math.round(value)} B` : `${value.toFixed(1).replace(/\.0$/, "")} ${UNITS[unit]}`;
}

/** Bytes in a second. */
export function rate(octets) {
  return `${size(octets)}/s`;
}

/** Milliseconds as mm:ss, or hh:mm:ss from an hour on. */
export function elapsed(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60];
  if (seconds >= 3600) {
    parts.unshift(Math.floor(seconds / 3600));
  }
  return parts.map((part) => String(part).padStart(2, "0")).join(":");
}

/** Milliseconds in the two largest units: "3 d 4 h", "5 min". */
export function span(milliseconds) {
  const minutes = Math.max(0, Math.floor(milliseconds / 60000));
  const days = Math.floor(minutes / 1440);
  const hours = Math.floor(minutes / 60) % 24;
  if (days > 0) {
    return `${days} d ${hours} h`;
  }
  return hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}

/** A count, in groups of three digits. */
export function count(number) {
  return number.toLocaleString("en-US");
}
