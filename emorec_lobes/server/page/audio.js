// Samples: from files, and into WAV.

export const RATE_HZ = 16000;

// What the server decodes by itself; the rest is decoded here.
const KNOWN = /\.(wav|wave|flac|ogg|oga|opus|mp3)$/i;

/**
 * A file's samples for drawing, mixed, at 16 kHz; null where this browser cannot decode it.
 * @param {Blob} file
 * @returns {Promise<Float32Array|null>}
 */
export async function samplesOf(file) {
  try {
    const context = new OfflineAudioContext(1, 1, RATE_HZ);
    return mixed(await context.decodeAudioData(await file.arrayBuffer()));
  } catch {
    return null;
  }
}

/** What is sent: the file as it is, or as WAV where the server could not decode it but this browser could. */
export function sendable(file, samples) {
  return KNOWN.test(file.name ?? "recording.wav") || !samples ? file : wav(samples, RATE_HZ);
}

/**
 * 16-bit mono WAV.
 * @param {Float32Array} samples in [-1, 1]
 * @param {number} rateHz
 */
export function wav(samples, rateHz) {
  const bytes = 2 * samples.length;
  const view = new DataView(new ArrayBuffer(44 + bytes));
  const word = (place, letters) => [...letters].forEach((letter, index) => view.setUint8(place + index, letter.charCodeAt(0)));
  word(0, "RIFF");
  view.setUint32(4, 36 + bytes, true);
  word(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rateHz, true);
  view.setUint32(28, 2 * rateHz, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  word(36, "data");
  view.setUint32(40, bytes, true);
  samples.forEach((value, index) => view.setInt16(44 + 2 * index, Math.max(-1, Math.min(1, value)) * 32767, true));
  return new Blob([view.buffer], { type: "audio/wav" });
}

function mixed(buffer) {
  const sum = new Float32Array(buffer.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    buffer.getChannelData(channel).forEach((value, index) => { sum[index] += value / buffer.numberOfChannels; });
  }
  return sum;
}
