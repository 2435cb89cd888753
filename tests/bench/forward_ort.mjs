// forward_ort.mjs MODEL.onnx THREADS RUNS N C H W: milliseconds of one forward with onnxruntime, the best of RUNS after as many warm ones.
import { createRequire } from 'node:module';

const ort = createRequire(`${process.env.TAILOR_ORT}/`)('onnxruntime-node');
const [model, threads, runs, ...shape] = process.argv.slice(2);
const dims = shape.map(Number);
const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: Number(threads), interOpNumThreads: 1, graphOptimizationLevel: 'all',
});
const data = Float32Array.from({ length: dims.reduce((a, b) => a * b) }, (_, i) => Math.sin(i));
const input = new ort.Tensor('float32', data, dims);
let best = Infinity;
for (let run = 0; run < 2 * runs; run++) {
    const begun = process.hrtime.bigint();
    await session.run({ input });
    const took = Number(process.hrtime.bigint() - begun) / 1e6;
    best = run < runs ? best : Math.min(best, took);
}
console.log(best);
