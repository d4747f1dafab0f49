// The microphone, as samples made in the page.

export class Microphone {
  /** @param {(chunk: Float32Array) => void} heard is called with each few samples */
  constructor(heard) {
    this.heard = heard;
    this.chunks = [];
  }

  /** Whether this page may ask for a microphone at all: only a secure one may. */
  static isThere() {
    return Boolean(navigator.mediaDevices?.getUserMedia && window.AudioWorkletNode);
  }

  async start() {
    const natural = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio: natural });
    this.context = new AudioContext();
    await this.context.audioWorklet.addModule("page/recorder-worklet.js");
    const node = new AudioWorkletNode(this.context, "recorder", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => {
      this.chunks.push(data);
      this.heard(data);
    };
    this.context.createMediaStreamSource(this.stream).connect(node);
  }

  get durationS() {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0) / this.context.sampleRate;
  }

  /** Ends the recording. @returns {Promise<{samples: Float32Array, rateHz: number}>} */
  async stop() {
    this.stream.getTracks().forEach((track) => track.stop());
    const rateHz = this.context.sampleRate;
    await this.context.close();
    const samples = new Float32Array(this.chunks.reduce((sum, chunk) => sum + chunk.length, 0));
    let place = 0;
    for (const chunk of this.chunks) {
      samples.set(chunk, place);
      place += chunk.length;
    }
    return { samples, rateHz };
  }
}
