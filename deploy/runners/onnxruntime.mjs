#!/usr/bin/env node
// onnxruntime.mjs [--wasm] [--threads N] - times ONNX models for tailor-agent with onnxruntime-node, or onnxruntime-web's
// WebAssembly. Speaks the session protocol of latency/agent/runner_session.h: one JSON object a line, in and out.
// The packages are looked for beside this file (npm ci in its folder), or in the folder that $TAILOR_NODE_MODULES names.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const { values: { wasm, threads: threadsText } } = parseArgs({
  options: { wasm: { type: 'boolean', default: false }, threads: { type: 'string', default: '1' } },
});
const threads = Number(threadsText);
const name = wasm ? 'onnxruntime-web' : 'onnxruntime-node';

function say(answer) {
  process.stdout.write(JSON.stringify(answer) + '\n');
}

async function importRuntime() {
  const modules = process.env.TAILOR_NODE_MODULES;
  const entry = createRequire(modules ? join(resolve(modules), 'x') : import.meta.url).resolve(name);
  // Node's own build of onnxruntime-web is the one without a browser's backends.
  const module = await import(pathToFileURL(wasm ? join(dirname(entry), 'ort.node.min.mjs') : entry));
  return module.InferenceSession ? module : module.default;
}

const ort = await importRuntime().catch((error) => {
  say({ error: `${name} is not installed (npm ci in the folder of onnxruntime.mjs): ${error.message.split('\n')[0]}` });
  process.exit(1);
});
const version = ort.env.versions[wasm ? 'web' : 'node'] ?? ort.env.versions.common;
if (wasm) {
  ort.env.wasm.numThreads = threads;
}

const options = wasm
  ? { executionProviders: ['wasm'], graphOptimizationLevel: 'all' }
  : { executionProviders: ['cpu'], graphOptimizationLevel: 'all', executionMode: 'sequential',
      intraOpNumThreads: threads, interOpNumThreads: 1 };
const models = new Map(); // id: {session, feeds}

// Inputs of order one from a fixed generator: their values do not change the time.
function makeFeeds(session) {
  const feeds = {};
  let state = 1;
  for (const input of session.inputMetadata) {
    const data = new Float32Array(input.shape.reduce((product, side) => product * side, 1));
    for (let i = 0; i < data.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      data[i] = state / 2 ** 31 - 1;
    }
    feeds[input.name] = new ort.Tensor(input.type, data, input.shape);
  }
  return feeds;
}

async function load({ load: id, path }) {
  const session = await ort.InferenceSession.create(wasm ? new Uint8Array(readFileSync(path)) : path, options);
  models.set(id, { session, feeds: makeFeeds(session) });
  say({ loaded: id });
}

async function unload({ unload: id }) {
  await models.get(id)?.session.release();
  models.delete(id);
  say({ unloaded: id });
}

async function time({ time: id, min_runs, max_runs, ms }) {
  const { session, feeds } = models.get(id);
  const ns = [];
  const until = process.hrtime.bigint() + BigInt(ms) * 1000000n;
  for (let at = process.hrtime.bigint(); ns.length < min_runs || (ns.length < max_runs && at < until);) {
    const from = at;
    await session.run(feeds);
    at = process.hrtime.bigint();
    ns.push(Number(at - from));
  }
  say({ ns });
}

say({ tailor_runner: 1, runtime: wasm ? 'onnxruntime-wasm' : name, version, threads, number_type: 'float32' });
for await (const line of createInterface({ input: process.stdin })) {
  const ask = JSON.parse(line);
  const action = 'load' in ask ? load : 'unload' in ask ? unload : 'time' in ask ? time : null;
  try {
    await action(ask);
  } catch (error) {
    say({ error: String(error?.message ?? error) });
  }
}
