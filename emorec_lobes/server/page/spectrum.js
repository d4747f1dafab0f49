// A spectrogram: Hann windows of 32 ms, power in dB.

const SIZE = 512;
const FLOOR_DB = 70;

/**
 * @param {Float32Array} samples at 16 kHz
 * @param {number} columns how many windows, evenly spread
 * @returns {Float32Array[]} by column, from low to high, 0 (70 dB below the loudest) to 1
 */
export function spectrogram(samples, columns) {
  const hann = Float32Array.from({ length: SIZE }, (_, index) => 0.5 - 0.5 * Math.cos((2 * Math.PI * index) / SIZE));
  const shift = Math.max(1, (samples.length - SIZE) / Math.max(1, columns - 1));
  const powers = Array.from({ length: columns }, (_, column) => {
    const start = Math.round(column * shift);
    const real = hann.map((weight, index) => weight * (samples[start + index] ?? 0));
    return decibels(real);
  });
  const loudest = powers.reduce((best, column) => column.reduce((a, b) => Math.max(a, b), best), -Infinity);
  return powers.map((column) => column.map((value) => Math.max(0, 1 + (value - loudest) / FLOOR_DB)));
}

function decibels(real) {
  const imaginary = new Float32Array(SIZE);
  transform(real, imaginary);
  return Float32Array.from({ length: SIZE / 2 }, (_, k) => 10 * Math.log10(real[k] ** 2 + imaginary[k] ** 2 + 1e-12));
}

// Cooley and Tukey, in place.
function transform(real, imaginary) {
  const size = real.length;
  for (let index = 1, mirrored = 0; index < size; index += 1) {
    let bit = size >> 1;
    for (; mirrored & bit; bit >>= 1) mirrored ^= bit;
    mirrored ^= bit;
    if (index < mirrored) [real[index], real[mirrored]] = [real[mirrored], real[index]];
  }
  for (let length = 2; length <= size; length *= 2) {
    for (let start = 0; start < size; start += length) {
      for (let k = 0; k < length / 2; k += 1) {
        const angle = (-2 * Math.PI * k) / length;
        const [low, high] = [start + k, start + k + length / 2];
        const re = real[high] * Math.cos(angle) - imaginary[high] * Math.sin(angle);
        const im = real[high] * Math.sin(angle) + imaginary[high] * Math.cos(angle);
        real[high] = real[low] - re;
        imaginary[high] = imaginary[low] - im;
        real[low] += re;
        imaginary[low] += im;
      }
    }
  }
}
