// The recording over time: waveform or spectrogram, the emotions over it, and a place in it.

import { RATE_HZ } from "./audio.js";
import { DARK, colour, inkOn, variable } from "./colours.js";
import { spectrogram } from "./spectrum.js";

const BAND = 26; // height of the row of emotions
const AXIS = 20; // and of the times

export class Picture {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.kind = "wave";
    this.show(null, [], [], 0);
    new ResizeObserver(() => this.draw()).observe(canvas);
    DARK.addEventListener("change", () => this.draw());
  }

  /**
   * @param {Float32Array|null} samples at 16 kHz; null where there are none to draw
   * @param {object[]} segments
   * @param {string[]} labels
   * @param {number} durationS
   */
  show(samples, segments, labels, durationS) {
    Object.assign(this, { samples, segments, labels, durationS, atS: null, spectra: null, extremes: null });
    this.draw();
  }

  /** Marks a moment; null for none. */
  mark(atS) {
    this.atS = atS;
    this.draw();
  }

  /** The time at a distance from the canvas's left side, in CSS pixels. */
  timeAt(x) {
    return Math.max(0, Math.min(1, x / this.canvas.clientWidth)) * this.durationS;
  }

  draw() {
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !this.durationS) return;
    const scale = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
    const brush = canvas.getContext("2d");
    brush.scale(scale, scale);
    const body = height - BAND - AXIS;
    this.#tint(brush, width, body);
    if (this.samples && this.kind === "spectrum") this.#spectrum(brush, width, body);
    else if (this.samples) this.#wave(brush, width, body);
    this.#band(brush, width, body);
    this.#axis(brush, width, body + BAND);
    if (this.atS !== null) this.#cursor(brush, width, body + BAND);
  }

  #x(timeS, width) {
    return (timeS / this.durationS) * width;
  }

  #tint(brush, width, height) {
    brush.fillStyle = colour("--ground");
    brush.fillRect(0, 0, width, height);
    brush.globalAlpha = 0.16;
    this.#eachStretch(({ left, size }) => brush.fillRect(left, 0, size, height), brush, width);
    brush.globalAlpha = 1;
  }

  #eachStretch(paint, brush, width) {
    for (const { label, startS, stopS } of joined(this.segments)) {
      if (!label) continue;
      const [left, right] = [startS, stopS].map((timeS) => Math.round(this.#x(timeS, width)));
      const shade = colour(variable(label, this.labels));
      brush.fillStyle = shade;
      paint({ label, left, size: right - left, shade });
    }
  }

  #wave(brush, width, height) {
    const columns = Math.round(width);
    if (this.extremes?.length !== columns) this.extremes = extremes(this.samples, columns, this.durationS * RATE_HZ);
    const loudest = this.extremes.reduce((best, [low, high]) => Math.max(best, -low, high), 0.05);
    brush.fillStyle = colour("--wave");
    this.extremes.forEach(([low, high], x) => {
      const [top, bottom] = [high, low].map((value) => height / 2 - (value / loudest) * (height / 2 - 6));
      brush.fillRect(x, top, 1, Math.max(1, bottom - top));
    });
  }

  #spectrum(brush, width, height) {
    const columns = Math.round(width);
    if (this.spectra?.length !== columns) this.spectra = spectrogram(this.samples, columns);
    const rows = this.spectra[0].length;
    const image = new ImageData(columns, rows);
    const paint = DARK.matches ? glow : ink;
    this.spectra.forEach((column, x) => column.forEach((value, row) => {
      image.data.set(paint(value), 4 * ((rows - 1 - row) * columns + x));
    }));
    const sheet = new OffscreenCanvas(columns, rows);
    sheet.getContext("2d").putImageData(image, 0, 0);
    brush.drawImage(sheet, 0, 0, this.#x(this.samples.length / RATE_HZ, width), height);
  }

  #band(brush, width, top) {
    brush.fillStyle = colour("--track");
    brush.fillRect(0, top, width, BAND);
    brush.font = "600 12px system-ui, sans-serif";
    brush.textBaseline = "middle";
    brush.textAlign = "center";
    this.#eachStretch(({ label, left, size, shade }) => {
      brush.fillRect(left, top, size, BAND);
      if (brush.measureText(label).width + 6 > size) return;
      brush.fillStyle = inkOn(shade);
      brush.fillText(label, left + size / 2, top + BAND / 2 + 1);
    }, brush, width);
  }

  #axis(brush, width, top) {
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((each) => this.#x(each, width) >= 56) ?? 1200;
    brush.fillStyle = colour("--soft");
    brush.font = "11px system-ui, sans-serif";
    brush.textBaseline = "top";
    for (let timeS = 0; timeS <= this.durationS; timeS += step) {
      const x = this.#x(timeS, width);
      brush.fillRect(x, top, 1, 4);
      brush.textAlign = x < 12 ? "left" : x > width - 16 ? "right" : "center";
      brush.fillText(`${Number(timeS.toFixed(1))} s`, x, top + 6);
    }
  }

  #cursor(brush, width, height) {
    brush.fillStyle = colour("--accent");
    brush.fillRect(this.#x(this.atS, width) - 1, 0, 2, height);
  }
}

// The lowest and the highest sample of each column.
function extremes(samples, columns, numSamples) {
  return Array.from({ length: columns }, (_, column) => {
    const [from, to] = [column, column + 1].map((place) => Math.floor((place / columns) * numSamples));
    let [low, high] = [0, 0];
    for (let index = from; index < Math.min(to, samples.length); index += 1) {
      low = Math.min(low, samples[index]);
      high = Math.max(high, samples[index]);
    }
    return [low, high];
  });
}

/** Neighbours of one label as one stretch. */
export function joined(segments) {
  const stretches = [];
  for (const { label, start_s: startS, stop_s: stopS } of segments) {
    const last = stretches.at(-1);
    if (last && last.label === label && Math.abs(last.stopS - startS) < 1e-3) last.stopS = stopS;
    else stretches.push({ label, startS, stopS });
  }
  return stretches;
}

// The louder the lighter in the dark, the darker in the light; the tint behind shines through silence.
function glow(value) {
  const violet = 150 * Math.sin(Math.PI * Math.min(1, value * 1.15)) + 10;
  return [Math.min(255, 60 + 330 * value), Math.max(0, 420 * (value - 0.42)), violet, 255 * Math.min(1, value * 1.6)];
}

function ink(value) {
  return [58 - 30 * value, 34 - 20 * value, 120 - 70 * value, 255 * value ** 1.2];
}
