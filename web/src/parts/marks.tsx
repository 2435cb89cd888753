// marks.tsx - small signs that mean the same everywhere: what kind a value is, how a search stands, what went wrong.
import type { ApiError } from "../api";
import type { Kind, Outcome, Progress, SearchItem, State } from "../api_types";
import { duration, integer, percent } from "../format";

/** The shapes of the charts, for legends and tables: told apart without colour. */
export function Mark({ kind }: { kind: Kind | "sample" }) {
  return (
    <svg class={`mark ${kind}`} viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
      {kind === "measured" && <path d="M6 .5 11.5 6 6 11.5.5 6z" />}
      {kind === "predicted" && <circle cx="6" cy="6" r="4" />}
      {(kind === "computed" || kind === "tabulated" || kind === "evaluated") && <rect x="2.5" y="2.5" width="7" height="7" class="hollow" />}
      {kind === "sample" && <rect x="4.5" y="4.5" width="3" height="3" />}
    </svg>
  );
}

const STATES: Record<State, string> = {
  queued: "queued", profiling: "profiling the device", running: "searching", verifying: "measuring",
  waiting_for_device: "waiting for the device", evaluating: "with the workers", finished: "finished", failed: "failed", cancelled: "cancelled",
};
const OUTCOMES: Record<Outcome, [sign: string, text: string, tone: string]> = {
  verified: ["✓", "verified", "good"],
  unverified: ["!", "not verified", "warn"],
  predicted: ["≈", "predicted", "plain"],
  tabulated: ["=", "from the table", "plain"],
  evaluated: ["=", "valued by workers", "plain"],
  infeasible: ["✕", "impossible", "bad"],
  none_found: ["✕", "none found", "bad"],
};

export const isOver = (state: State): boolean => state === "finished" || state === "failed" || state === "cancelled";

export function Status({ search }: { search: Pick<SearchItem, "state" | "outcome"> }) {
  if (search.state === "finished" && search.outcome) {
    const [sign, text, tone] = OUTCOMES[search.outcome];
    return <span class={`chip ${tone}`}><span aria-hidden="true">{sign}</span> {text}</span>;
  }
  const tone = search.state === "failed" ? "bad" : isOver(search.state) ? "plain" : "busy";
  return <span class={`chip ${tone}`}>{STATES[search.state] ?? search.state}</span>;
}

export function ProgressBar({ progress, label }: { progress: Progress; label: string }) {
  const known = progress.total !== null && progress.total > 0;
  const part = known ? Math.min(1, progress.done / (progress.total ?? 1)) : undefined;
  const eta = progress.eta_s;
  return (
    <div class="progress">
      <progress value={part} max={1} aria-label={label} />
      <span class="figures">
        {integer(progress.done)}
        {known && ` of ${integer(progress.total ?? 0)}`} {progress.unit}
        {part !== undefined && `, ${percent(part, 2)}`}
        {eta !== null && eta !== undefined && `, about ${duration(Math.max(1, Math.round(eta)))} to go`}
      </span>
    </div>
  );
}

export function ErrorNote({ error }: { error: ApiError | undefined }) {
  if (!error) return null;
  return (
    <p class="note bad" role="alert">
      <strong>{error.problem.title}</strong>
      {error.problem.detail && `: ${error.problem.detail}`}
    </p>
  );
}
