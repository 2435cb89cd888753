// network.tsx - a drawing of a network: a box a block, as high as its output is large, as wide as it has channels, and the
// darker the more of the time (or of the multiply-adds, where no device has timed it) it takes.
import { useState } from "preact/hooks";
import type { Block } from "../api_types";
import { integer, metricText, number, percent } from "../format";

const BASE = 136; // where boxes stand
const HEIGHT = 182;
const SHADES = 5;

const boxHeight = (block: Block): number => 16 + 22 * Math.max(0, Math.log2(block.out[0] / 3));
const boxWidth = (block: Block): number => 10 + 1.7 * Math.sqrt(block.out[2]);
const pitch = (block: Block): number => Math.max(boxWidth(block) + 6, 34);
const inStage = (block: Block): boolean => block.slot >= 0;

interface Stage {
  title: string;
  from: number; // index of its first block
  blocks: Block[];
}

function stagesOf(blocks: Block[]): Stage[] {
  const stages: Stage[] = [];
  blocks.forEach((block, i) => {
    const title = inStage(block) ? `Stage ${block.stage + 1}` : block.stage < 0 ? "Stem" : "Head";
    const last = stages.at(-1);
    if (last?.title === title) last.blocks.push(block);
    else stages.push({ title, from: i, blocks: [block] });
  });
  return stages;
}

/** What each block takes of the whole: of the time where every block is timed. */
function shares(blocks: Block[]): { of: "time" | "multiply-adds"; parts: number[] } {
  const timed = blocks.every((b) => b.latency_ms !== null && b.latency_ms !== undefined);
  const costs = blocks.map((b) => (timed ? Math.max(0, b.latency_ms ?? 0) : b.macs));
  const total = costs.reduce((a, b) => a + b, 0) || 1;
  return { of: timed ? "time" : "multiply-adds", parts: costs.map((c) => c / total) };
}

export function Network({ blocks }: { blocks: Block[] }) {
  const [at, setAt] = useState(-1);
  const { of, parts } = shares(blocks);
  const most = Math.max(...parts);
  const shade = (i: number): number => Math.min(SHADES - 1, Math.floor(((parts[i] ?? 0) / most) * SHADES));
  const pointed = blocks[at];
  return (
    <div class="network">
      <div class="stages" role="img" aria-label={`${blocks.length} blocks; the table below says the same`} onMouseLeave={() => setAt(-1)}>
        {stagesOf(blocks).map((stage) => (
          <StageDrawing key={stage.from} stage={stage} shade={shade} at={at} onPoint={setAt} />
        ))}
      </div>
      <p class="pointed">
        {pointed ? <BlockLine block={pointed} share={parts[at] ?? 0} of={of} /> : `${blocks.length} blocks, ${integer(blocks.reduce((n, b) => n + b.macs, 0) / 1e6)} M multiply-adds. Point at a block for its figures.`}
      </p>
      <p class="scale" aria-hidden="true">
        share of the {of}: 0 {Array.from({ length: SHADES }, (_, i) => <i class={`shade-${i}`} />)} {percent(most)}
      </p>
      <BlockTable blocks={blocks} parts={parts} of={of} />
    </div>
  );
}

function StageDrawing({ stage, shade, at, onPoint }: { stage: Stage; shade: (i: number) => number; at: number; onPoint: (i: number) => void }) {
  let x = 4;
  const last = stage.blocks.at(-1)!;
  const width = 8 + stage.blocks.reduce((sum, b) => sum + pitch(b), 0);
  return (
    <figure>
      <svg viewBox={`0 0 ${width} ${HEIGHT}`} width={width} height={HEIGHT}>
        {stage.blocks.map((block, k) => {
          const i = stage.from + k;
          const middle = x + pitch(block) / 2;
          x += pitch(block);
          const [w, h] = [boxWidth(block), boxHeight(block)];
          return (
            <g key={i} class={`block${at === i ? " pointed" : ""}`} data-block={i} onMouseEnter={() => onPoint(i)}>
              <rect class="reach" x={middle - pitch(block) / 2} y={0} width={pitch(block)} height={HEIGHT} />
              <rect class={`box shade-${shade(i)}`} x={middle - w / 2} y={BASE - h} width={w} height={h} rx="2" />
              <text x={middle} y={BASE + 14}>{block.kernel}×{block.kernel}</text>
              {inStage(block) && block.expand !== null && <text x={middle} y={BASE + 28}>e{number(block.expand, 2)}</text>}
              {block.se && <text class="se" x={middle} y={BASE + 42}>SE</text>}
            </g>
          );
        })}
        <line x1="0" x2={width} y1={BASE + 0.5} y2={BASE + 0.5} />
      </svg>
      <figcaption>{stage.title} <span>{last.out[0]}×{last.out[1]}</span></figcaption>
    </figure>
  );
}

const place = (block: Block): string => (inStage(block) ? `stage ${block.stage + 1}, block ${block.slot + 1}` : block.name);
const shape = (s: [number, number, number]): string => `${s[0]}×${s[1]}×${s[2]}`;

function BlockLine({ block, share, of }: { block: Block; share: number; of: string }) {
  return (
    <>
      <strong>{place(block)}</strong>: {block.kernel}×{block.kernel}
      {inStage(block) && block.expand !== null && `, expand ${number(block.expand, 2)}`}, stride {block.stride}
      {block.se && ", squeeze and excite"}, {block.act}, {shape(block.in)} → {shape(block.out)},{" "}
      {number(block.macs / 1e6, 3)} M multiply-adds
      {block.latency_ms !== null && `, ${metricText("latency_ms", block.latency_ms)}`} ({percent(share)} of the {of})
    </>
  );
}

function BlockTable({ blocks, parts, of }: { blocks: Block[]; parts: number[]; of: string }) {
  return (
    <details>
      <summary>The blocks as a table</summary>
      <div class="scroll" tabIndex={0} role="region" aria-label="Blocks">
        <table>
          <thead>
            <tr><th>Block</th><th>Kernel</th><th>Expand</th><th>Stride</th><th>SE</th><th>Activation</th><th>Input</th><th>Output</th>
              <th class="n">Multiply-adds</th><th class="n">Parameters</th><th class="n">Latency</th><th class="n">Share of {of}</th></tr>
          </thead>
          <tbody>
            {blocks.map((b, i) => (
              <tr key={i}>
                <td>{place(b)}</td><td>{b.kernel}×{b.kernel}</td><td>{number(b.expand, 2)}</td><td>{b.stride}</td>
                <td>{b.se ? "yes" : "no"}</td><td>{b.act}</td><td>{shape(b.in)}</td><td>{shape(b.out)}</td>
                <td class="n">{integer(b.macs)}</td><td class="n">{integer(b.params)}</td>
                <td class="n">{metricText("latency_ms", b.latency_ms)}</td><td class="n">{percent(parts[i] ?? 0)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}
