// Lines that move, as SVG: its colours are the style sheet's, so that it is at home in the light and in the dark.

const WIDTH = 600;
const HEIGHT = 150;

/** The smallest round number that is not below the value, and whose half is round too. */
export function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 10].map((step) => step * power).find((top) => top >= value * 0.999999);
}

/** One figure with some lines over the same time. */
export class Plot {
  /**
   * @param figure the element, with an svg that has a polyline.line and a polygon.area for each line, and elements
   *   .plot-top and .plot-middle for the scale.
   * @param options.span milliseconds from the left edge to the right one
   * @param options.format writes a value of the scale
   * @param options.least what the scale reaches at least
   */
  constructor(figure, { span, format, least }) {
    this.span = span;
    this.format = format;
    this.least = least;
    this.lines = [...figure.querySelectorAll(".line")];
    this.areas = [...figure.querySelectorAll(".area")];
    this.top = figure.querySelector(".plot-top");
    this.middle = figure.querySelector(".plot-middle");
    figure.hidden = false;
  }

  /** Draw lines, each a list of [time, value] in the order of time, with `now` at the right edge. */
  draw(lines, now) {
    const highest = Math.max(this.least, ...lines.flatMap((points) => points.map((point) => point[1])));
    const top = ceiling(highest);
    this.top.textContent = this.format(top);
    this.middle.textContent = this.format(top / 2);
    lines.forEach((points, number) => {
      const placed = points.map(([time, value]) => {
        const x = WIDTH * (1 - (now - time) / this.span);
        return [x, HEIGHT * (1 - value / top)];
      });
      const text = placed.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
      this.lines[number].setAttribute("points", text);
      const left = placed.length > 0 ? placed[0][0].toFixed(1) : 0;
      const right = placed.length > 0 ? placed[placed.length - 1][0].toFixed(1) : 0;
      this.areas[number].setAttribute("points", `${left},${HEIGHT} ${text} ${right},${HEIGHT}`);
    });
  }
}
