// The sound of a microphone as 16-bit samples that wait to be taken.

export class Microphone {
  constructor(most_s) {
    this.most_s = most_s;
    this.blocks = [];
    this.rate = 48000;
  }

  async open(stream) {
    this.context = new AudioContext();
    this.rate = this.context.sampleRate;
    await this.context.audioWorklet.addModule("/static/worklet.js");
    const source = this.context.createMediaStreamSource(stream);
    const ear = new AudioWorkletNode(this.context, "ear", { numberOfOutputs: 1 });
    ear.port.onmessage = ({ data }) => this.take(data);
    source.connect(ear).connect(this.context.destination); // silent: the worklet writes no output
    await this.context.resume();
  }

  take(block) {
    this.blocks.push(Int16Array.from(block, (value) => 32767 * Math.max(-1, Math.min(1, value))));
    const most = (this.most_s * this.rate) / block.length - 1;
    while (this.blocks.length > most) this.blocks.shift();
  }

  /** Return what waits, as a list of arrays. */
  drain() {
    return this.blocks.splice(0);
  }

  close() {
    this.context?.close();
  }
}
