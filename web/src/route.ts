// route.ts - where one is: #/search/ID?c=12&x=latency_ms. The hash, because the plain paths belong to the API.
import { useEffect, useState } from "preact/hooks";

export interface Route {
  path: string[];
  query: URLSearchParams;
}
export type Query = Record<string, string | number | null | undefined>;

function here(): Route {
  const [path = "", query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  return { path: path.split("/").filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query) };
}

export function href(path: (string | number)[], query: Query | URLSearchParams = {}): string {
  const params = new URLSearchParams();
  const entries = query instanceof URLSearchParams ? [...query] : Object.entries(query);
  for (const [name, value] of entries) {
    if (value !== null && value !== undefined && value !== "") params.set(name, String(value));
  }
  const text = params.toString();
  return `#/${path.map((p) => encodeURIComponent(p)).join("/")}${text && `?${text}`}`;
}

export function go(to: string): void {
  location.hash = to;
}

/** The address of the view one is in, with some of its parameters changed. */
export function changed(route: Route, changes: Query): string {
  return href(route.path, { ...Object.fromEntries(route.query), ...changes });
}

/** Change parameters of the present view, in its place in the history. */
export function change(changes: Query): void {
  location.replace(changed(here(), changes));
}

/** A parameter as it stands in the address at this moment, drawn or not. */
export const now = (name: string): string | null => here().query.get(name);

export function useRoute(): Route {
  const [route, setRoute] = useState(here);
  useEffect(() => {
    const moved = (): void => setRoute(here());
    addEventListener("hashchange", moved);
    return () => removeEventListener("hashchange", moved);
  }, []);
  return route;
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title === "" ? "Tailor" : `${title} · Tailor`;
  }, [title]);
}
