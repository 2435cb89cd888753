// curl.tsx - the same without the page.
import { useState } from "preact/hooks";
import { hasToken } from "../access";
import type { SearchRequest } from "../api_types";

/** A request's own fields out of a search, in the order in which people write them. */
export function requestOf(search: SearchRequest): SearchRequest {
  const { space, device, label, objective, objectives, constraints, controller, budget, verify } = search;
  const fields = { space, device, label, objective, objectives, constraints, controller, budget, verify };
  return JSON.parse(JSON.stringify(fields)) as SearchRequest;
}

export function Curl({ request }: { request: SearchRequest }) {
  const [copied, setCopied] = useState(false);
  const json = JSON.stringify(request).replaceAll("'", "'\\''");
  const text = `curl -sS ${location.origin}/search -H 'Content-Type: application/json' -H 'Prefer: wait=60'${hasToken() ? ' -H "Authorization: Bearer $TAILOR_TOKEN"' : ""} \\\n  -d '${json}'`;
  const copy = async (): Promise<void> => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return (
    <div class="curl">
      <pre tabIndex={0} role="region" aria-label="The same as a command">{text}</pre>
      <button onClick={() => void copy()} aria-live="polite">{copied ? "Copied" : "Copy"}</button>
    </div>
  );
}
