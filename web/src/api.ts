// api.ts - talking to the service: one request, and a resource that a view keeps fresh while it is looked at.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { fetchAllowed } from "./access";
import type { Page, Problem } from "./api_types";

export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail ?? problem.title);
  }
}

async function problemOf(response: Response): Promise<Problem> {
  try {
    return (await response.json()) as Problem;
  } catch {
    return { title: response.statusText || "Error", status: response.status };
  }
}

async function send(path: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetchAllowed(path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError({ title: "No answer", status: 0, detail: "the server does not answer; is tailor still running?" });
  }
  if (!response.ok) throw new ApiError(await problemOf(response));
  return response;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await (await send(path, signal ? { signal } : {})).json()) as T;
}

/** All pages of a list, up to a bound that the page can show. */
export async function getAll<T>(path: string, signal?: AbortSignal, pages = 5): Promise<Page<T>> {
  const items: T[] = [];
  let token: string | null = null;
  do {
    const from: string = token === null ? path : `${path}${path.includes("?") ? "&" : "?"}page_token=${token}`;
    const page: Page<T> = await get<Page<T>>(from, signal);
    items.push(...page.items);
    token = page.next_page_token;
  } while (token !== null && --pages > 0);
  return { items, next_page_token: token };
}

export function post(path: string, body?: unknown): Promise<Response> {
  const json = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  return send(path, { method: "POST", ...json });
}

export interface Resource<T> {
  data: T | undefined;
  error: ApiError | undefined;
  reload(): void;
}
interface Options<T> {
  load?: (path: string, signal: AbortSignal) => Promise<T>;
  every?: (data: T | undefined) => number; // ms until the next look; 0: never again
  version?: string; // another version: the same resource is fetched again, and shown until then
}
interface Held<T> {
  path: string | null;
  data?: T | undefined;
  error?: ApiError | undefined;
}

/** The document at `path` (null: none). What was loaded stays while the next is under way; another path empties it. */
export function useResource<T>(path: string | null, options: Options<T> = {}): Resource<T> {
  const [held, setHeld] = useState<Held<T>>({ path });
  const [again, setAgain] = useState(0);
  const latest = useRef(options);
  latest.current = options;

  useEffect(() => {
    if (path === null) return;
    const abort = new AbortController();
    let timer = 0;
    let known: T | undefined;
    const look = async (): Promise<void> => {
      const { load = get<T>, every } = latest.current;
      let wait = 5000; // after a failure
      try {
        const data = await load(path, abort.signal);
        known = data;
        setHeld({ path, data });
        wait = every?.(data) ?? 0;
      } catch (error) {
        if (abort.signal.aborted) return;
        if (!(error instanceof ApiError)) throw error;
        setHeld((was) => ({ path, data: was.path === path ? was.data : undefined, error }));
        if (!every || (error.problem.status >= 400 && error.problem.status < 500)) wait = 0;
      }
      if (wait > 0 && !abort.signal.aborted) timer = window.setTimeout(look, wait);
    };
    // A page that nobody sees asks nothing, and looks at once when it is seen again.
    const seen = (): void => {
      window.clearTimeout(timer);
      if (!document.hidden && (latest.current.every?.(known) ?? 0) > 0) void look();
    };
    void look();
    document.addEventListener("visibilitychange", seen);
    return () => {
      abort.abort();
      window.clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [path, options.version, again]);

  const reload = useCallback(() => setAgain((n) => n + 1), []);
  const fresh = held.path === path;
  return { data: fresh ? held.data : undefined, error: fresh ? held.error : undefined, reload };
}
