// access.test.mjs - the page of a server that asks for tokens.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { AxeBuilder } from "@axe-core/playwright";
import { launch, open } from "./browser.mjs";

let browser;
let program;
let url;
let token;
const data = mkdtempSync(join(tmpdir(), "tailor-access-"));

function serve(...more) {
  program = spawn(process.env.TAILOR_BIN, ["serve", "--data", data, "--listen", "127.0.0.1:0", ...more], { stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((resolve, reject) => {
    program.stdout.on("data", (chunk) => {
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(chunk);
      if (found) resolve(found[0]);
    });
    program.on("exit", (code) => reject(new Error(`tailor ended with ${code}`)));
  });
}

const stop = () => new Promise((resolve) => {
  program.removeAllListeners("exit");
  program.on("exit", resolve);
  program.kill("SIGTERM");
});

before(async () => {
  [url, browser] = await Promise.all([serve(), launch()]);
  const json = (path, body) => fetch(`${url}${path}`, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", Prefer: "wait=20" } });
  token = (await (await json("/tokens", { kind: "client", label: "the page" })).json()).token;
  const search = { space: "cifar-mbv3", objective: { maximize: "accuracy" }, constraints: [{ metric: "macs", max: 3e7 }], budget: { evaluations: 500 } };
  assert.equal((await (await json("/search", search)).json()).state, "finished");
  await stop();
  url = await serve("--require-token");
});
after(async () => {
  await browser?.close();
  program?.kill("SIGTERM");
  rmSync(data, { recursive: true, force: true });
});

test("the page asks once for a token, again for a wrong one, and keeps it", async () => {
  const page = await open(browser, `${url}/#/devices`);
  await page.waitForSelector("dialog.access[open]");
  assert.equal(await page.locator("dialog").count(), 1);
  const { violations } = await new AxeBuilder({ page }).include("dialog.access").analyze();
  assert.deepEqual(violations.map((v) => v.id), []);
  await page.getByLabel("Token").fill("tlr_wrong");
  await page.getByRole("button", { name: "Open" }).click();
  await page.waitForSelector("dialog h2:has-text('not valid here')");
  await page.getByLabel("Token").fill(token);
  await page.keyboard.press("Enter");
  await page.waitForSelector("h2:text('No device yet')");
  assert.match(await page.locator("pre").innerText(), /tailor tokens add --device[\s\S]*--token-file/);
  await page.reload();
  await page.waitForSelector("h2:text('No device yet')");
  assert.equal(await page.locator("dialog").count(), 0);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});

test("who declines sees why nothing is shown", async () => {
  const page = await open(browser, `${url}/#/devices`);
  await page.waitForSelector("dialog.access[open]");
  await page.keyboard.press("Escape");
  await page.waitForSelector("[role=alert]:has-text('this server wants a token')");
  assert.equal(await page.locator("dialog").count(), 0);
  await page.context().close();
});

test("files are downloaded with the token, under their own names", async () => {
  const page = await open(browser, `${url}/`);
  await page.getByLabel("Token").fill(token);
  await page.keyboard.press("Enter");
  await page.locator("tbody th a").first().click();
  await page.waitForSelector("a[download]:has-text('Export')");
  for (const [link, name, begins] of [["Export (JSON)", /^search-.*\.json$/, "{"], ["Table (CSV)", /^candidates\.csv$/, ""]]) {
    const download = page.waitForEvent("download");
    await page.locator(`a[download]:has-text('${link}')`).click();
    const file = await download;
    assert.match(file.suggestedFilename(), name);
    assert.ok((await (await file.createReadStream()).toArray()).join("").startsWith(begins));
  }
  const onnx = page.waitForEvent("download");
  await page.locator("a[href$='/artifacts/onnx']").first().click();
  assert.match((await onnx).suggestedFilename(), /\.onnx$/);
  assert.deepEqual(page.complaints, []);
  await page.context().close();
});
