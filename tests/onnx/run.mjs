// run.mjs MODEL.onnx INPUT.f32 OUTPUT.f32 N C H W: runs a model with onnxruntime, raw little-endian floats in and out.
import { createRequire } from 'node:module';
import { readFileSync, writeFileSync } from 'node:fs';

const ort = createRequire(`${process.env.TAILOR_ORT}/`)('onnxruntime-node');
const [model, input, output, ...shape] = process.argv.slice(2);
const bytes = readFileSync(input);
const data = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const session = await ort.InferenceSession.create(model);
const result = await session.run({ input: new ort.Tensor('float32', data, shape.map(Number)) });
const { data: out } = result[session.outputNames[0]];
writeFileSync(output, Buffer.from(out.buffer, out.byteOffset, out.length * 4));
