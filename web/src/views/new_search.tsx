// new_search.tsx - the form that POSTs a search. What the server refuses stands at the field that its pointer names.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, getAll, post, useResource } from "../api";
import type { Controllers, Device, Metric, Page, Problem, Ranges, Search, Space, Together } from "../api_types";
import { METRIC_NAMES, METRICS, rangeText } from "../format";
import { Curl } from "../parts/curl";
import { ErrorNote } from "../parts/marks";
import { Possible, reachText } from "../parts/possible";
import { go, href, useTitle, type Route } from "../route";
import { isPool } from "./devices";
import { draftOf, emptyDraft, requestOfDraft, type Draft, type Row } from "./new_search_draft";

export function NewSearchView({ route }: { route: Route }) {
  useTitle("New search");
  const from = route.query.get("from");
  const spaces = useResource<Page<Space>>("/spaces", { load: getAll });
  const devices = useResource<Page<Device>>("/devices", { load: getAll });
  const controllers = useResource<Controllers>("/controllers");
  const earlier = useResource<Search>(from === null ? null : `/search/${encodeURIComponent(from)}`);
  const ready = spaces.data && devices.data && controllers.data && (from === null || earlier.data);
  return (
    <>
      <div class="title"><h1>New search</h1></div>
      <ErrorNote error={spaces.error ?? devices.error ?? controllers.error ?? earlier.error} />
      {ready && (
        <Form
          spaces={spaces.data!.items} devices={devices.data!.items.filter((d) => !isPool(d))} controllers={controllers.data!}
          start={earlier.data ? draftOf(earlier.data) : emptyDraft(route.query, spaces.data!.items, devices.data!.items)}
        />
      )}
    </>
  );
}

interface FormProps {
  spaces: Space[];
  devices: Device[];
  controllers: Controllers;
  start: Draft;
}

function Form({ spaces, devices, controllers, start }: FormProps) {
  const [draft, setDraft] = useState(start);
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(false);
  const form = useRef<HTMLFormElement>(null);
  const set = (changes: Partial<Draft>): void => setDraft((d) => ({ ...d, ...changes }));
  const space = spaces.find((s) => s.name === draft.space);
  const tabulated = space?.buildable === false; // devices are columns of its table, and nothing can be measured
  const names = tabulated ? space.devices : devices.map((d) => d.name);
  const asked = { ...draft, device: names.includes(draft.device) ? draft.device : "", controller: draft.controller || controllers.default };
  const controller = controllers.controllers.find((c) => c.name === asked.controller);
  const { request, places } = requestOfDraft({
    ...asked, verify: asked.verify && !tabulated, reward: controller?.rewards ? asked.reward : "",
  });
  const error = (pointer: string): string | undefined => errorAt(problem, pointer);

  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      const response = await post("/search", request);
      const made = (await response.json()) as Search;
      go(href(["search", made.id]));
    } catch (failure) {
      if (!(failure instanceof ApiError)) throw failure;
      setProblem(failure.problem);
      setBusy(false);
    }
  };
  useEffect(() => form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus(), [problem]);
  /** What was refused names its limit by its place, which is another one now. */
  const setRows = (rows: Row[]): void => {
    set({ rows });
    setProblem(undefined);
  };
  const count = useRef(draft.rows.length);
  useEffect(() => { // the keyboard goes on where the hand is: at the new limit, or at the button below the one that is gone
    const rows = form.current?.querySelectorAll<HTMLElement>(".limit-row select:first-child");
    if (draft.rows.length > count.current) rows?.[draft.rows.length - 1]?.focus();
    if (draft.rows.length < count.current) form.current?.querySelector<HTMLElement>(".limits-add")?.focus();
    count.current = draft.rows.length;
  }, [draft.rows.length]);

  return (
    <form class="panel form" ref={form} onSubmit={(e) => void submit(e)} noValidate>
      <fieldset>
        <legend>What for</legend>
        <Field label="Space" error={error("/space")} hint={space?.title}>
          {(a) => <select {...a} value={draft.space} onChange={(e) => set({ space: e.currentTarget.value })}>
            {spaces.map((s) => <option>{s.name}</option>)}
          </select>}
        </Field>
        <Field label="Device" error={error("/device")} hint={tabulated ? "a column of the table" : deviceHint(devices, draft)}>
          {(a) => <select {...a} value={asked.device} onChange={(e) => set({ device: e.currentTarget.value })}>
            <option value="">none: without latency</option>
            {names.map((name) => <option>{name}</option>)}
          </select>}
        </Field>
        <Field label="Objective" error={error("/objective") ?? error("/objectives")}>
          {(a) => <select {...a} value={draft.objective} onChange={(e) => set({ objective: e.currentTarget.value as Metric })}>
            {METRIC_NAMES.map((m) => <option value={m}>{wish(m)}</option>)}
          </select>}
        </Field>
        <Field label="Label" error={error("/label")} hint="for lists; may be empty">
          {(a) => <input {...a} value={draft.label} onInput={(e) => set({ label: e.currentTarget.value })} />}
        </Field>
        <div class="checks" role="group" aria-labelledby="also">
          <span id="also">All compromises with</span>
          {METRIC_NAMES.filter((m) => m !== draft.objective).map((m) => (
            <label key={m}>
              <input
                type="checkbox" checked={draft.also.includes(m)}
                onChange={(e) => set({ also: e.currentTarget.checked ? [...draft.also, m] : draft.also.filter((k) => k !== m) })}
              />
              {wish(m)}
            </label>
          ))}
        </div>
      </fieldset>

      <fieldset>
        <legend>Limits</legend>
        {draft.rows.map((row, i) => (
          <LimitRow
            key={i} row={row} number={i + 1} range={problem?.ranges} together={problem?.together}
            error={places[i] === undefined ? undefined : error(`/constraints/${places[i]}`)}
            onChange={(changes) => set({ rows: draft.rows.map((r, k) => (k === i ? { ...r, ...changes } : r)) })}
            onRemove={() => setRows(draft.rows.filter((_, k) => k !== i))}
          />
        ))}
        {problem?.errors?.some((e) => e.pointer === "/constraints") && <p class="error wide">{error("/constraints")}</p>}
        <button type="button" class="limits-add" onClick={() => setRows([...draft.rows, { metric: "size_bytes", side: "max", bound: "" }])}>Add a limit</button>
      </fieldset>

      <fieldset>
        <legend>How</legend>
        <Field label="Controller" error={error("/controller/name")} hint={controller?.help}>
          {(a) => <select {...a} value={asked.controller} onChange={(e) => set({ controller: e.currentTarget.value })}>
            {controllers.controllers.map((c) => <option title={c.help}>{c.name}</option>)}
          </select>}
        </Field>
        {controller?.rewards && (
          <Field label="Reward" error={error("/controller/reward")} hint={REWARDS[draft.reward || controllers.rewards[0]!]}>
            {(a) => <select {...a} value={draft.reward || controllers.rewards[0]} onChange={(e) => set({ reward: e.currentTarget.value })}>
              {controllers.rewards.map((r) => <option>{r}</option>)}
            </select>}
          </Field>
        )}
        <NumberField label="Seed" name="seed" error={error("/controller/seed")} hint="the same seed finds the same again" draft={draft} set={set} />
        <NumberField label="Evaluations" name="evaluations" error={error("/budget/evaluations")} draft={draft} set={set} />
        <NumberField label="Seconds at most" name="seconds" error={error("/budget/seconds")} hint="empty: as long as it takes" draft={draft} set={set} />
      </fieldset>

      <fieldset>
        <legend>Verification</legend>
        <label class="check">
          <input type="checkbox" checked={draft.verify} disabled={asked.device === "" || tabulated} onChange={(e) => set({ verify: e.currentTarget.checked })} />
          measure the best on the device
        </label>
        <NumberField label="Best to measure" name="topK" error={error("/verify/top_k")} draft={draft} set={set} />
        <NumberField label="Rounds" name="rounds" error={error("/verify/rounds")} draft={draft} set={set} />
      </fieldset>

      {problem && (
        <div class="note bad" role="alert">
          <strong>{problem.title}</strong>: {problem.detail}
          {problem.ranges && <Possible ranges={problem.ranges} together={problem.together} />}
        </div>
      )}
      <div class="actions"><button class="button" disabled={busy}>{busy ? "Asking…" : "Search"}</button></div>
      <details><summary>The same as a command</summary><Curl request={request} /></details>
    </form>
  );
}

/** What it learns from, in a sentence; a reward that is newer than the page has none. */
const REWARDS: Record<string, string> = {
  absolute: "stays close to the limits, on either side (TuNAS)",
  soft: "trades limits for the objective, may end far from them (MnasNet)",
  hard: "falls beyond a limit, else the objective alone (MnasNet)",
  power: "trades limits for the objective, may end far from them (ProxylessNAS)",
  quadratic: "falls with the square of what is beyond a limit (YOCO-BERT)",
};

const wish = (metric: Metric): string => `${METRICS[metric].more ? "highest" : "lowest"} ${METRICS[metric].label.toLowerCase()}`;

/** The sentence for a field: of an error at its pointer, or inside it. */
function errorAt(problem: Problem | undefined, pointer: string): string | undefined {
  return problem?.errors?.find((e) => e.pointer === pointer || e.pointer.startsWith(`${pointer}/`))?.detail;
}

function deviceHint(devices: Device[], draft: Draft): ComponentChildren {
  if (devices.length === 0) return <>no device is known; <a href={href(["devices"])}>how to add one</a></>;
  const device = devices.find((d) => d.name === draft.device);
  if (!device) return undefined;
  return device.models.some((m) => m.space === draft.space) ? "has a latency model of this space" : "has no model of this space yet: it is profiled first";
}

interface Aria {
  id: string;
  "aria-invalid": boolean;
  "aria-describedby": string;
}
interface FieldProps {
  label: string;
  error: string | undefined;
  hint?: ComponentChildren;
  children: (aria: Aria) => ComponentChildren;
}

function Field({ label, error, hint, children }: FieldProps) {
  const id = `field-${label.toLowerCase().replaceAll(" ", "-")}`;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, "aria-invalid": error !== undefined, "aria-describedby": `${id}-note` })}
      <p id={`${id}-note`} class={error ? "error" : "hint"}>{error ?? hint}</p>
    </div>
  );
}

type NumberName = "seed" | "evaluations" | "seconds" | "topK" | "rounds";
interface NumberProps extends Omit<FieldProps, "children"> {
  name: NumberName;
  draft: Draft;
  set(changes: Partial<Draft>): void;
}

function NumberField({ name, draft, set, ...field }: NumberProps) {
  const disabled = (name === "topK" || name === "rounds") && (!draft.verify || draft.device === "");
  return (
    <Field {...field}>
      {(a) => <input {...a} inputMode="decimal" disabled={disabled} value={draft[name]} onInput={(e) => set({ [name]: e.currentTarget.value })} />}
    </Field>
  );
}

interface RowProps {
  row: Row;
  number: number;
  range: Ranges | undefined;
  together: Together | undefined;
  error: string | undefined;
  onChange(changes: Partial<Row>): void;
  onRemove(): void;
}

function LimitRow({ row, number, range, together, error, onChange, onRemove }: RowProps) {
  const possible = range?.[row.metric];
  const reach = together?.find((limit) => limit.metric === row.metric && limit[row.side] !== undefined);
  const note = `limit-${number}-note`;
  return (
    <div class="limit-row">
      <select aria-label={`Metric of limit ${number}`} value={row.metric} onChange={(e) => {
        const metric = e.currentTarget.value as Metric;
        onChange({ metric, side: METRICS[metric].more ? "min" : "max" });
      }}>
        {METRIC_NAMES.map((m) => <option value={m}>{METRICS[m].label}</option>)}
      </select>
      <select aria-label={`Side of limit ${number}`} value={row.side} onChange={(e) => onChange({ side: e.currentTarget.value as Row["side"] })}>
        <option value="max">at most</option>
        <option value="min">at least</option>
      </select>
      <span class="with-unit">
        <input
          aria-label={`Bound of limit ${number}`} inputMode="decimal" value={row.bound} aria-invalid={error !== undefined}
          aria-describedby={note} onInput={(e) => onChange({ bound: e.currentTarget.value })}
        />
        <span>{METRICS[row.metric].unit}</span>
      </span>
      <button type="button" class="quiet" onClick={onRemove} aria-label={`Remove limit ${number}`}>✕</button>
      <p id={note} class={error ? "error" : "hint"}>
        {[error, reach ? `reaches ${reachText(reach)}` : possible && `possible: ${rangeText(row.metric, possible)}`].filter(Boolean).join("; ") || null}
      </p>
    </div>
  );
}
