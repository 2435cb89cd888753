// access.ts - the token of a server that asks for one: kept for this tab, shown with every request and download.
import "./access.css";

const KEY = "tailor-token";
export const hasToken = (): boolean => sessionStorage.getItem(KEY) !== null;

/** fetch with the token; where that is not enough, people are asked for another. They may decline: then it stays a 401. */
export async function fetchAllowed(path: string, init: RequestInit = {}): Promise<Response> {
  for (;;) {
    const token = sessionStorage.getItem(KEY);
    const headers = new Headers(init.headers);
    if (token !== null) headers.set("Authorization", `Bearer ${token}`);
    const response = await fetch(path, { ...init, headers });
    if (response.status !== 401 || !(await newToken(token))) return response;
  }
}

let asking: Promise<void> | undefined; // of all requests that are refused at once, one asks

async function newToken(tried: string | null): Promise<boolean> {
  asking ??= ask(tried !== null).finally(() => (asking = undefined));
  await asking;
  return sessionStorage.getItem(KEY) !== tried;
}

function ask(wrong: boolean): Promise<void> {
  const dialog = document.createElement("dialog");
  dialog.className = "panel access";
  dialog.innerHTML = `
    <form method="dialog">
      <h2>${wrong ? "This token is not valid here" : "This server asks for a token"}</h2>
      <p>Whoever runs it makes one with <code>tailor tokens add --client WHO</code>. It is kept until this tab is closed.</p>
      <label>Token <input type="password" autocomplete="off" spellcheck="false" required></label>
      <button>Open</button>
    </form>`;
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    const input = dialog.querySelector("input");
    dialog.querySelector("form")?.addEventListener("submit", () => sessionStorage.setItem(KEY, input?.value.trim() ?? ""));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve();
    });
  });
}

/** A link cannot show a token: the file is fetched with it, and handed over under its name. */
async function save(link: HTMLAnchorElement): Promise<void> {
  const response = await fetchAllowed(link.href);
  if (!response.ok) return location.assign(link.href); // which shows why
  const named = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "")?.[1];
  const copy = document.createElement("a");
  copy.href = URL.createObjectURL(await response.blob());
  copy.download = named || link.download; // as browsers do it
  copy.click();
  setTimeout(() => URL.revokeObjectURL(copy.href), 60000);
}

document.addEventListener("click", (event) => {
  const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>("a[download]") : null;
  if (!link || !hasToken() || link.protocol === "blob:") return;
  event.preventDefault();
  void save(link);
});
