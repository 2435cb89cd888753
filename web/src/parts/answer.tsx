// answer.tsx - what a search answers: the network found and how far one may trust it, or what could be had instead.
import type { Outcome, Search, Verification } from "../api_types";
import { devicesOf, metricText, objectiveMetric } from "../format";
import { MetricCards } from "./metric_card";
import { Possible } from "./possible";

const MEANING: Record<Outcome, string> = {
  verified: "Measured on the device, and inside every limit.",
  unverified: "Measured, but no candidate surely held the limit: this is the best of those measured.",
  predicted: "Not measured: these values are what the models expect.",
  evaluated: "Workers of your own gave the values marked so; no device measured this network.",
  tabulated: "These values are a row of the space's table; they are not verified here.",
  infeasible: "No network of this space can hold these limits together. This one comes nearest.",
  none_found: "No network inside these limits was found. This one comes nearest.",
};

export function AnswerPanel({ search, onSelect }: { search: Search; onSelect(id: number): void }) {
  const { answer, nearest, outcome } = search;
  const objective = objectiveMetric(search);
  const limits = search.constraints ?? [];
  const found = answer ?? (nearest ? { candidate: nearest.id, metrics: nearest.metrics, verified: false } : undefined);
  if (!found && !search.ranges && !search.together) return null;
  return (
    <section class={`panel answer ${answer?.verified ? "verified" : ""}`}>
      <div class="title">
        <h2>{answer ? (outcome ? "Answer" : "Best so far") : "Nearest"}</h2>
        {answer?.verified && <span class="chip good"><span aria-hidden="true">✓</span> verified on {devicesOf(search).join(", ")}</span>}
        {found && <button class="quiet" onClick={() => onSelect(found.candidate)}>Show its network</button>}
      </div>
      {outcome && <p>{MEANING[outcome]}</p>}
      {found && <MetricCards metrics={found.metrics} limits={limits} objective={objective} />}
      {!answer && (search.ranges ?? search.together) && <Possible ranges={search.ranges} together={search.together} />}
      {search.verifications.length > 0 && <Verifications search={search} onSelect={onSelect} />}
    </section>
  );
}

/** What the device said of the best few; the last word of each candidate is its latest round. */
function Verifications({ search, onSelect }: { search: Search; onSelect(id: number): void }) {
  const several = devicesOf(search).length > 1;
  const limit = several ? undefined : search.constraints?.find((l) => l.metric === "latency_ms" && l.max !== undefined)?.max;
  return (
    <>
      <p class="muted small">
        Measured in turn with the device's anchor network. It holds when the upper bound (95 %, one-sided) of its median
        {several ? " is within the device's limit" : limit === undefined ? " is known" : ` is at most ${metricText("latency_ms", limit)}`}.
      </p>
      <div class="scroll" tabIndex={0} role="region" aria-label="Verification">
        <table>
          <thead>
            <tr><th scope="col">Candidate</th>{several && <th scope="col">Device</th>}<th scope="col">Holds</th><th scope="col" class="n">Predicted</th><th scope="col" class="n">Median</th>
              <th scope="col" class="n">Upper bound</th><th scope="col" class="n">Visits</th><th scope="col" class="n">Blocks</th><th scope="col" class="n">Round</th></tr>
          </thead>
          <tbody>{search.verifications.map((v) => <VerificationRow key={`${v.candidate}:${v.round}:${v.device}`} v={v} onSelect={onSelect} />)}</tbody>
        </table>
      </div>
    </>
  );
}

function VerificationRow({ v, onSelect }: { v: Verification; onSelect(id: number): void }) {
  const waits = v.median_ms === null && v.visits < v.asked_visits;
  return (
    <tr>
      <td><button class="link" onClick={() => onSelect(v.candidate)}>#{v.candidate}</button></td>
      {v.device && <td>{v.device}</td>}
      <td>{waits ? "measuring…" : <Holds v={v} />}</td>
      <td class="n">{metricText("latency_ms", v.predicted_ms)}</td>
      <td class="n">{metricText("latency_ms", v.median_ms)}</td>
      <td class="n">{metricText("latency_ms", v.upper_ms)}</td>
      <td class="n">{v.stable_visits < v.visits ? `${v.stable_visits} stable of ${v.visits}` : v.visits}</td>
      <td class="n">{v.blocks}</td>
      <td class="n">{v.round}</td>
    </tr>
  );
}

function Holds({ v }: { v: Verification }) {
  if (v.holds) return <span class="good">✓ yes</span>;
  return v.upper_ms === null ? <span class="warn">! too few stable visits to say</span> : <span class="bad">✕ no</span>;
}
