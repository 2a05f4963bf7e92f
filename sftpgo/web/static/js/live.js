// The server's events, for as long as somebody looks at the page.

const KINDS = [
  "connections", "connected", "disconnected", "transfer_started", "transfer_progress", "transfer_ended", "totals",
];
const AGAIN = 3000;
const PATIENCE = 2000;

/**
 * Calls handlers[kind](data) for each event, and handlers.state(name) when it changes: "live", "lost" (it is being tried
 * again) or "ended" (the session has; only a log-in helps).
 */
export function watch(url, handlers) {
  let source = null;
  let timer = 0;
  let losing = 0;

  function close() {
    clearTimeout(timer);
    clearTimeout(losing);
    losing = 0;
    if (source !== null) {
      source.close();
      source = null;
    }
  }

  function open() {
    close();
    source = new EventSource(url);
    source.addEventListener("error", failed);
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        clearTimeout(losing);
        losing = 0;
        handlers[kind]?.(JSON.parse(event.data));
        handlers.state("live");
      });
    }
  }

  async function failed() {
    if (source === null) {
      return;
    }
    // The server ends long streams; that is nothing to speak of.
    losing = losing || setTimeout(() => handlers.state("lost"), PATIENCE);
    if (source.readyState !== EventSource.CLOSED) {
      return; // the browser tries again by itself
    }
    if (await sessionHasEnded()) {
      close();
      handlers.state("ended");
    } else if (!document.hidden) {
      clearTimeout(timer);
      timer = setTimeout(open, AGAIN);
    }
  }

  // Nobody looks at a hidden page, and the server has only so many streams to give.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  open();
}

/** Whether the page itself would now be answered with the way to the log-in page. */
export async function sessionHasEnded() {
  try {
    const answer = await fetch(location.pathname, { method: "HEAD", redirect: "manual" });
    return answer.type === "opaqueredirect";
  } catch {
    return false; // nobody answers at all
  }
}

/** Shows in an element how the stream is. */
export function stateShown(element) {
  const link = element.querySelector("a");
  const text = element.querySelector("span");
  const words = { live: "Live", lost: "No connection to the server, trying again", ended: "Your session has ended" };
  return (name) => {
    if (element.dataset.state === name) {
      return;
    }
    element.dataset.state = name;
    element.hidden = false;
    text.textContent = words[name];
    link.hidden = name !== "ended";
  };
}
