// How things stood at some moments, and what follows from two of them.

const LEAST = 500;

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

  /** [time, growth per unit of time] of one that only grows. */
  rates(name, unit = 1000) {
    return this.all.slice(1).map((totals, index) => {
      const before = this.all[index];
      return [totals.time, ((totals[name] - before[name]) / (totals.time - before.time)) * unit];
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
