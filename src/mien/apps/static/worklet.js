// Hands the sound of the microphone on as it comes, in blocks of some hundredths of a second, mono.
const BLOCK = 2048;

class Ear extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(BLOCK);
    this.n = 0;
  }

  process([channels]) {
    if (!channels.length) return true;
    for (let k = 0; k < channels[0].length; k++) {
      let sum = 0;
      for (const channel of channels) sum += channel[k];
      this.block[this.n++] = sum / channels.length;
      if (this.n === BLOCK) {
        this.port.postMessage(this.block.slice());
        this.n = 0;
      }
    }
    return true;
  }
}

registerProcessor("ear", Ear);
