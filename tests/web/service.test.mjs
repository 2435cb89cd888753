// service.test.mjs - the page as the program serves it, with a search that really runs.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";

let browser;
let program;
let page;
let url;
const data = mkdtempSync(join(tmpdir(), "tailor-page-"));

/** The program on a free port; resolves with the address that it logs. */
function serve() {
  program = spawn(process.env.TAILOR_BIN, ["serve", "--data", data, "--listen", "127.0.0.1:0"], { stdio: ["ignore", "pipe", "pipe"] });
  return new Promise((resolve, reject) => {
    let said = "";
    const listen = (chunk) => {
      said += chunk;
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said);
      if (found) resolve(found[0]);
    };
    program.stdout.on("data", listen);
    program.stderr.on("data", listen);
    program.on("exit", (code) => reject(new Error(`tailor ended with ${code}: ${said}`)));
  });
}

before(async () => {
  [url, browser] = await Promise.all([serve(), launch()]);
});
after(async () => {
  await browser?.close();
  program?.kill("SIGTERM");
  rmSync(data, { recursive: true, force: true });
});

test("the program serves the page, which may be kept, and shows what can be searched", async () => {
  page = await open(browser, `${url}/`);
  await page.waitForSelector(".empty pre");
  await page.getByRole("link", { name: "Spaces" }).click();
  await page.waitForSelector("article h2");
  assert.ok((await page.locator("article h2").allInnerTexts()).includes("ofa-mbv3-w1.0"));
  const script = await page.evaluate(() => document.querySelector("script[src]").src);
  const answer = await page.request.get(script);
  assert.match(answer.headers()["cache-control"], /immutable/);
  assert.deepEqual(page.complaints, []);
});

test("a search asked for in the form runs, and its front and network are drawn", async () => {
  await page.goto(`${url}/#/new?space=ofa-mbv3-w1.0`);
  await page.getByLabel("Bound of limit 1").fill("300");
  await page.getByLabel("Evaluations").fill("3000");
  await page.getByRole("button", { name: "Search" }).click();
  await page.waitForSelector(".head .chip:has-text('predicted')", { timeout: 30000 });
  assert.match(await page.locator(".answer").innerText(), /Multiply-adds[\s\S]*✓ limit ≤ 300 M/);
  await page.waitForSelector(".uplot[data-points]");
  assert.ok(Number(await page.locator(".uplot").first().getAttribute("data-points")) > 500);
  await page.waitForSelector(".stages .block");
  assert.deepEqual(page.complaints, []);
});

test("an impossible limit is refused at its field with the range that is possible", async () => {
  await page.goto(`${url}/#/new?space=ofa-mbv3-w1.0`);
  await page.getByLabel("Bound of limit 1").fill("1");
  await page.getByRole("button", { name: "Search" }).click();
  await page.waitForSelector(".limit-row [aria-invalid=true]");
  assert.match(await page.locator("#limit-1-note").innerText(), /possible: [\d.,]+ M – [\d.,]+ M/);
  assert.deepEqual(page.complaints, []);
});
