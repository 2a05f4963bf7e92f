// How things stood at some moments, and what follows from two of them.

const LEAST = 500;
const EVEN = 5000;

/** The moments of the last `span` milliseconds, and one more at the left edge. */
export class Samples {
  constructor(span, remembered) {
    this.span = span;
    this.all = remembered;
  }

  /** Take another moment; when what only grows has shrunk, the server is a new one. */
  add(totals) {
    const last = this.all.at(-1);
    if (last !== undefined && (totals.time < last.time || totals.logins_ok < last.logins_ok ||
        totals.uploaded < last.uploaded || totals.downloaded < last.downloaded)) {
      this.all = [];
    } else if (last !== undefined && totals.time - last.time < LEAST) {
      this.all.pop(); // no rate can be told of so short a time
    }
    this.all.push(totals);
    const begin = totals.time - this.span;
    while (this.all.length > 1 && this.all[1].time < begin) {
      this.all.shift();
    }
  }

  /** [time, value] of one number. */
  values(name) {
    return this.all.map((totals) => [totals.time, totals[name]]);
  }

  /** [time, growth in a second] of one that only grows, over the last seconds: what comes in bursts is even then. */
  rates(name) {
    let first = 0;
    return this.all.slice(1).map((totals, index) => {
      while (first < index && this.all[first + 1].time <= totals.time - EVEN) {
        first += 1;
      }
      const before = this.all[first];
      return [totals.time, ((totals[name] - before[name]) / (totals.time - before.time)) * 1000];
    });
  }

  /** How much a number has grown in windows of `width` milliseconds, by the moment at each window's end. */
  growth(name, width) {
    let first = 0;
    return this.all.map((totals, index) => {
      while (first < index && this.all[first].time < totals.time - width) {
        first += 1;
      }
      return [totals.time, totals[name] - this.all[first][name]];
    });
  }

  /** The last of some lines' values, 0 when there is none. */
  static last(points) {
    return points.length > 0 ? points.at(-1)[1] : 0;
  }
}
