"use strict";

// Times of the server in the zone of the browser.
for (const element of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(element.dateTime);
  if (!Number.isNaN(moment.getTime())) {
    const day = { year: "numeric", month: "2-digit", day: "2-digit" };
    const options = "day" in element.dataset ? day : { ...day, hour: "2-digit", minute: "2-digit" };
    element.title = element.dateTime;
    element.textContent = moment.toLocaleString(undefined, options);
  }
}
