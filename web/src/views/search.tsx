// search.tsx - one search: how it stands, what it found, everything it saw, and the network one looks at.
import { useMemo, useState } from "preact/hooks";
import { ApiError, get, getAll, post, useResource } from "../api";
import type { Candidate, CandidateDetail, History, Metric, Page, Points, Search } from "../api_types";
import { devicesOf, duration, integer, limitText, METRICS, nameOf, namesIn, objectiveMetric, objectiveMetrics, objectiveText } from "../format";
import { AnswerPanel } from "../parts/answer";
import { Candidates, csvOf } from "../parts/candidates";
import { Curl, requestOf } from "../parts/curl";
import { HistoryPlot } from "../parts/history";
import { ErrorNote, isOver, ProgressBar, Status } from "../parts/marks";
import { MetricCards } from "../parts/metric_card";
import { Network } from "../parts/network";
import { Scatter, ScatterLegend } from "../parts/scatter";
import { change, href, useTitle, type Route } from "../route";

interface Props {
  id: string;
  route: Route; // ?c= the candidate one looks at, ?x= ?y= the metrics of the scatter, ?sort= the table's order
}

export function SearchView({ id, route }: Props) {
  const path = `/search/${encodeURIComponent(id)}`;
  const { data: search, error, reload } = useResource<Search>(path, { every: (s) => (s && isOver(s.state) ? 0 : 1000) });
  useTitle(search ? search.label || objectiveText(search) : "Search");
  if (!search) return <ErrorNote error={error} />;
  return (
    <>
      <Head search={search} onChanged={reload} />
      <ErrorNote error={error} />
      <AnswerPanel search={search} onSelect={(c) => change({ c })} />
      <Findings search={search} path={path} route={route} />
      <details class="panel">
        <summary>The same as a command</summary>
        <Curl request={requestOf(search)} />
      </details>
    </>
  );
}

function Head({ search, onChanged }: { search: Search; onChanged(): void }) {
  const [refused, setRefused] = useState<ApiError>();
  const over = isOver(search.state);
  const cancel = async (): Promise<void> => {
    try {
      await post(`/search/${encodeURIComponent(search.id)}:cancel`);
      setRefused(undefined);
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      setRefused(failure);
    }
    onChanged();
  };
  const facts = [
    `${integer(search.evaluations)} evaluations${search.seconds ? ` in ${duration(search.seconds)}` : ""}`,
    search.controller && `${search.controller.name}${search.controller.reward ? ` (${search.controller.reward} reward)` : ""}, seed ${search.controller.seed}`,
    search.round > 0 && `round ${search.round}`,
    search.snapshot && `models ${search.snapshot.slice(0, 8)}`,
  ].filter(Boolean);
  return (
    <section class="head">
      <div class="title">
        <h1>{search.label || objectiveText(search)}</h1>
        <Status search={search} />
        <span class="actions">
          {!over && <button onClick={() => void cancel()}>Cancel</button>}
          {!search.devices && <a class="button plain" href={href(["new"], { from: search.id })}>Ask again with changes</a>}
        </span>
      </div>
      <p class="question">
        {search.label && `${objectiveText(search)}, `}
        {search.constraints?.length ? search.constraints.map(limitText).join(", ") : "no limits"},{" "}
        {devicesOf(search).length > 0 ? "on " : "no device"}
        {devicesOf(search).map((d, i) => <>{i > 0 && ", "}<a href={href(["devices", d])}>{d}</a></>)}, in {search.space}
      </p>
      <p class="muted small">{facts.join(" · ")}</p>
      {!over && search.progress && <ProgressBar progress={search.progress} label={search.message} />}
      {search.message && <p class="message" aria-live="polite">{search.message}</p>}
      {search.warnings.map((w) => <p class="note warn">{w}</p>)}
      {search.problem?.detail && <p class="note bad">{search.problem.detail}</p>}
      <ErrorNote error={refused} />
    </section>
  );
}

/** The metrics to choose axes from: those that the candidates have, the objective's against the most telling cost first. */
function axesOf(search: Search, candidates: Candidate[], route: Route): { names: Metric[]; x: Metric; y: Metric } {
  const names = namesIn(...candidates.map((c) => c.metrics));
  const [objective, ...more] = objectiveMetrics(search);
  const spanned = more.length > 0 ? names.filter((m) => m === objective || more.includes(m)) : names;
  const y = pick(route.query.get("y"), names, spanned.includes("accuracy") ? "accuracy" : objective);
  const costs = spanned.filter((m) => m !== y);
  const limited = search.constraints?.map((l) => nameOf(l.metric, l.device)).find((m) => costs.includes(m));
  const usual = costs.includes("latency_ms") ? "latency_ms" : limited ?? costs[0] ?? y;
  return { names, x: pick(route.query.get("x"), names, usual), y };
}

const pick = (wanted: string | null, names: Metric[], usual: Metric): Metric => names.find((m) => m === wanted) ?? usual;

function Findings({ search, path, route }: { search: Search; path: string; route: Route }) {
  const version = `${search.state} ${search.round} ${search.evaluations} ${search.verifications.length}`;
  const front = useResource<Page<Candidate>>(`${path}/front`, { load: getAll, version });
  const history = useResource<History>(`${path}/history`, { version });
  const candidates = front.data?.items ?? [];
  const axes = axesOf(search, candidates, route);
  const points = useResource<Points>(candidates.length ? `${path}/points?x=${axes.x}&y=${axes.y}` : null, { version });
  const answer = search.answer?.candidate;
  const selected = Number(route.query.get("c")) || (answer ?? search.nearest?.id);
  const select = (c: number): void => change({ c });
  const limits = search.constraints ?? [];
  if (!front.data && !front.error) return null;
  if (candidates.length === 0) {
    return isOver(search.state) ? <p class="empty">This search has no candidates.</p> : <p class="empty">The first candidates appear here as soon as there are some.</p>;
  }
  return (
    <>
      <section class="panel">
        <div class="title">
          <h2>What was seen</h2>
          {(["y", "x"] as const).map((which) => (
            <label class="inline" key={which}>
              {which === "y" ? "Upwards" : "Across"}{" "}
              <select value={axes[which]} onChange={(e) => change({ [which]: e.currentTarget.value })}>
                {axes.names.map((m) => <option value={m}>{METRICS[m].label}</option>)}
              </select>
            </label>
          ))}
        </div>
        <ErrorNote error={points.error} />
        <div class="plot-room">
          {points.data && (
            <>
              <ScatterLegend points={points.data} />
              <Scatter points={points.data} x={axes.x} y={axes.y} limits={limits} selected={candidates.find((c) => c.id === selected)} onSelect={select} />
            </>
          )}
        </div>
      </section>
      {selected !== undefined && <Chosen id={selected} search={search} />}
      <section class="panel">
        <div class="title">
          <h2>Candidates <span class="muted">{integer(candidates.length)}</span></h2>
          <Csv candidates={candidates} />
          {(isOver(search.state) || search.round > 0) && <a href={`${path}/export`} download={`search-${search.id.slice(0, 8)}.json`}>Export (JSON)</a>}
        </div>
        <Candidates candidates={candidates} selected={selected} answer={answer} route={route} onSelect={select} />
      </section>
      <section class="panel">
        <h2>Best so far</h2>
        {history.data && <HistoryPlot history={history.data} metric={objectiveMetric(search)} />}
      </section>
    </>
  );
}

function Csv({ candidates }: { candidates: Candidate[] }) {
  const url = useMemo(() => URL.createObjectURL(new Blob([csvOf(candidates)], { type: "text/csv" })), [candidates]);
  return <a href={url} download="candidates.csv">Table (CSV)</a>;
}

/** What the files of a candidate are called. */
const ARTIFACTS: Record<string, string> = {
  "architecture.json": "Architecture (JSON)",
  "net.config": "net.config",
  onnx: "ONNX",
  safetensors: "Weights (safetensors)",
};

/** The network of one candidate: drawn, with its figures and its files. */
function Chosen({ id, search }: { id: number; search: Search }) {
  const version = String(search.verifications.length);
  const { data, error } = useResource<CandidateDetail>(`/candidates/${id}`, { version, load: get });
  const [shown, setShown] = useState<CandidateDetail>();
  const above = id === (search.answer?.candidate ?? search.nearest?.id); // its figures stand in the answer
  if (data && data !== shown) setShown(data); // the one before stays until the next is there: nothing jumps
  return (
    <section class="panel chosen-network" aria-busy={!data}>
      <ErrorNote error={error} />
      {shown && (
        <>
          <div class="title" aria-live="polite">
            <h2>Network #{shown.id}</h2>
            <code>{shown.architecture.id.slice(0, 12)}</code>
            {(shown.artifacts ?? ["architecture.json"]).map((name) => (
              <a key={name} href={`/candidates/${shown.id}/artifacts/${name}`} download>{ARTIFACTS[name] ?? name}</a>
            ))}
          </div>
          <Network blocks={shown.network.blocks} />
          {!above && <MetricCards metrics={shown.metrics} limits={search.constraints ?? []} objective={objectiveMetric(search)} />}
        </>
      )}
    </section>
  );
}
